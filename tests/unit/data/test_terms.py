"""Terms of use: stated in a file, or not, and what follows for commercial use."""

from __future__ import annotations

import pytest

from inter2former.data.layouts import open_dataset
from inter2former.data.terms import refuse_other_than_commercial
from inter2former.errors import DataError


@pytest.fixture
def described(make_folder, write_text):
    """Opens a folder with this description: `described(name, content)`."""

    def make(name, content):
        folder = make_folder(name)
        write_text(f"{name}/dataset.json", content)
        return open_dataset(folder)

    return make


def test_a_description_is_taken_over(described):
    dataset = described("a", {"name": "workshop", "terms": "CC0", "commercial_use": True})
    assert (dataset.name, dataset.terms, dataset.commercial_use) == ("workshop", "CC0", True)
    assert dataset.identity(0) == "workshop/0"
    dataset = described("b", {"terms": "mine"})
    assert (dataset.name, dataset.terms, dataset.commercial_use) == ("b", "mine", None)


def test_without_a_description_nothing_is_known(make_folder):
    dataset = open_dataset(make_folder())
    assert (dataset.terms, dataset.commercial_use) == ("", None)


def test_a_description_goes_before_what_the_layout_implies(tmp_path, write_image, write_text, blocks):
    write_image("GrabCut/data_GT/a.bmp")
    write_image("GrabCut/boundary_GT/a.bmp", blocks(255))
    write_text("GrabCut/dataset.json", {"commercial_use": True})
    dataset = open_dataset(tmp_path / "GrabCut")
    assert dataset.terms.startswith("Microsoft Research")
    assert dataset.commercial_use is True


@pytest.mark.parametrize("content", ['{"terms": ', "[]", '{"term": "CC0"}', '{"commercial_use": "yes"}'])
def test_a_description_that_is_not_understood_is_named(described, content):
    with pytest.raises(DataError, match=r"a/dataset\.json"):
        described("a", content)


def test_only_what_allows_commercial_use_passes(described, make_folder):
    allowed = described("free", {"terms": "CC0", "commercial_use": True})
    forbidden = described("other", {"terms": "CC BY-NC", "commercial_use": False})
    unknown = open_dataset(make_folder("unknown"))
    refuse_other_than_commercial([allowed])
    with pytest.raises(
        DataError, match=r"allowed for other \(CC BY-NC\), unknown \(no terms stated\); leave these out"
    ):
        refuse_other_than_commercial([allowed, forbidden, unknown])
