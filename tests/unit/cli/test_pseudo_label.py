"""`inter2former pseudo-label` writes a data set that training reads, and goes on where it stopped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inter2former.data.layouts import open_dataset
from inter2former.training.pseudo_labels import PseudoLabels


@pytest.fixture
def labelled(monkeypatch):
    """Sizes of the photos that a stand-in for the teacher labelled: an object on the left, its edge undecided."""
    photos = []

    def label(teacher, image, rules, rng):
        photos.append(image.shape[:2])
        mask, undecided = np.zeros(image.shape[:2], dtype=bool), np.zeros(image.shape[:2], dtype=bool)
        mask[:, :8], undecided[:, 8:10] = True, True
        return PseudoLabels((mask,), undecided)

    monkeypatch.setattr("inter2former.cli.pseudo_label.pseudo_labels", label)
    monkeypatch.setattr("inter2former.cli.pseudo_label.load_mobile_sam", lambda teacher, path: None)
    monkeypatch.setattr("inter2former.cli.pseudo_label.file_hash", lambda path: "abc")
    return photos


def test_what_it_writes_is_a_data_set(run, make_folder, labelled, tmp_path):
    photos, out = make_folder("photos"), tmp_path / "found" / "objects.json"
    command = ("pseudo-label", "--photos", photos, "--teacher", tmp_path / "any", "--out", out)
    first = run(*command)
    assert first.code == 0, first.err
    number = len(labelled)
    assert number > 0
    assert f"{number} objects in {number} photos" in first.out
    dataset = open_dataset(out)
    assert (dataset.name, dataset.commercial_use, len(dataset)) == ("objects", False, number)
    for index in range(number):
        annotation = dataset.annotation(index)
        (sample,) = annotation.samples()
        assert sample.mask[:, :8].all()
        assert not sample.mask[:, 8:].any()
        assert sample.ignore is not None
        assert sample.ignore[:, 8:10].all()
        assert sample.ignore.sum() == 2 * len(sample.mask)
    before = out.read_bytes()
    again = run(*command)
    assert again.code == 0, again.err
    assert len(labelled) == number
    assert out.read_bytes() == before


def test_mistakes_in_one_sentence(refused, make_folder, labelled, tmp_path):
    photos, out = make_folder("photos"), tmp_path / "objects.json"
    command = ("pseudo-label", "--photos", photos, "--teacher", tmp_path / "any", "--out", out)
    assert "--clicks is 0" in refused(*command, "--clicks", "0")
    out.write_text(json.dumps({"images": []}))
    assert "was not written by this command" in refused(*command)
    out.write_text(json.dumps({"info": {"made_by": {"seed": 3}}}))
    assert "was made with {'seed': 3}" in refused(*command)
    out.unlink()
    (tmp_path / "dataset.json").write_text("{}")
    assert "describes another data set" in refused(*command)
    assert (tmp_path / "dataset.json").read_text() == "{}"
    assert labelled == []


def test_a_photo_that_cannot_be_read_is_passed_over(run, make_folder, labelled, tmp_path):
    photos, out = make_folder("photos"), tmp_path / "objects.json"
    (photos / "images" / "broken.jpg").write_bytes(b"no image")
    done = run("pseudo-label", "--photos", photos, "--teacher", tmp_path / "any", "--out", out)
    assert done.code == 0
    assert "broken.jpg" in done.err
    assert "1 passed over" in done.out
    assert len(json.loads(out.read_text())["images"]) == len(labelled)
