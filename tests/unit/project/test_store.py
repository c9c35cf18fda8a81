"""A project folder: what is acknowledged stays, whoever kills whom; one writer; files that anybody can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inter2former.errors import ProjectError, ProjectLockedError
from inter2former.project import changes
from inter2former.project.records import Label, ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import Click, MaskPrompt, Stroke

MASK = MaskPrompt.of(np.arange(30).reshape(5, 6) % 4 == 0)
CLICKED = (Click(1, 2),)


@pytest.fixture
def photos(tmp_path):
    """A folder with images of equal stems in subfolders and names from several alphabets."""
    folder = tmp_path / "photos"
    for path in ("a.png", "a.jpg", "sub/a.png", "sub/a.png.d/a.png", "画像 ü/ö\u0308 — %2F.png", "x" * 251 + ".png"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5), (len(path), 0, 0)).save(folder / path)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def project(photos, tmp_path):
    with Project.create(tmp_path / "p", photos, labels=[Label(1, "cup", "#1e90ff")]) as project:
        yield project


def made(number, label=1, mask=MASK, prompts=CLICKED):
    return ObjectRecord(number, label, mask, prompts, True, False, "t0", "t0")


def reopened(project, **options):
    project.close()
    return Project(project.folder, **options)


def test_objects_are_there_when_the_folder_is_opened_again(project):
    for path in project.library.listing().paths:
        project.identify(path)
        project.change(path, changes.commit_object(made(1)))
    paths = project.library.listing().paths
    assert len(paths) == 6
    with reopened(project) as again:
        assert [record.path for record in again.records()] == sorted(paths)
        for record in again.records():
            np.testing.assert_array_equal(record.objects[0].mask.mask, MASK.mask)
            assert record.objects[0].prompts == (Click(1, 2),)
            assert record.revision > 0
        assert {at_a_glance.objects for at_a_glance in again.overview()} == {1}
        assert again.labels == (Label(1, "cup", "#1e90ff"),)


def test_every_prompt_is_on_the_disk_before_it_is_acknowledged(project):
    project.identify("a.png")
    stroke = Stroke([(1, 1), (4, 4)], 1.5, erase=True)
    steps = [
        changes.begin_draft(None, 1),
        changes.give_prompt(Click(3, 3)),
        changes.give_prompt(stroke),
        changes.give_prompt(MASK),
        changes.undo_prompt(),
        changes.undo_prompt(),
        changes.redo_prompt(),
    ]
    for step in steps:
        record = project.change("a.png", step)
        # As another process sees the folder at this moment, without the writer's memory.
        with Project(project.folder, write=False) as reader:
            assert reader.record("a.png") == record
    assert record.draft.prompts == (Click(3, 3), stroke)
    assert record.draft.undone == (MASK,)
    lines = (project.folder / "journal.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_new_prompt_drops_what_was_undone(project):
    project.identify("a.png")
    for step in (changes.begin_draft(None, None), changes.give_prompt(Click(1, 1)), changes.undo_prompt()):
        project.change("a.png", step)
    record = project.change("a.png", changes.give_prompt(Click(2, 2)))
    assert (record.draft.prompts, record.draft.undone) == ((Click(2, 2),), ())
    with pytest.raises(ValueError, match=r"the draft of a\.png has no prompt to redo"):
        project.change("a.png", changes.redo_prompt())


def test_objects_are_edited_ordered_and_removed(project):
    project.identify("a.png")
    for number in (1, 2, 3):
        project.change("a.png", changes.put_object(made(number)))
    project.change("a.png", changes.order_objects([3, 1, 2]))
    project.change("a.png", changes.edit_object(1, {"visible": False, "locked": True, "label": None}))
    project.change("a.png", changes.begin_draft(2, 1, made(2).start))
    project.change("a.png", changes.remove_object(2))
    project.change("a.png", changes.set_attributes({"camera": {"iso": 100}}))
    project.change("a.png", changes.set_status("done"))
    with reopened(project) as again:
        record = again.record("a.png")
    assert [item.id for item in record.objects] == [3, 1]
    assert record.next_object == 4
    assert record.draft is None
    assert (record.object(1).visible, record.object(1).locked, record.object(1).label) == (False, True, None)
    assert record.object(1).created == "t0"
    assert record.object(1).modified.endswith("Z")
    assert (record.status, record.attributes) == ("done", {"camera": {"iso": 100}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changes.put_object(made(1, label=9)), "there is no label 9; add it first"),
        (changes.begin_draft(None, 7), "there is no label 7"),
        (changes.begin_draft(5, None), r"a\.png has no object 5; it has \[1\]"),
        (changes.put_object(made(2, mask=MaskPrompt.of(np.ones((2, 2))))), "mask of object 2 is 2x2, a.png is 6x5"),
        (changes.give_prompt(Click(1, 1)), "a.png has no object in work; begin a draft first"),
        (changes.order_objects([1, 1]), r"the order \[1, 1\] of a.png does not name its objects \[1\] once each"),
        (changes.set_status("lost"), "status is 'lost'; wanted one of open, done, skipped"),
        (changes.edit_object(1, {"mask": 5}), "an object's 'mask' cannot be edited"),
        (changes.edit_object(1, {"visible": 1}), "visible is 1; wanted bool"),
        (changes.edit_object(1, {"label": "cup"}), "there is no label 'cup'"),
        ({"change": "explode"}, "the change is 'explode'; wanted one of identify"),
        ({"change": "prompt"}, "is damaged|no object in work"),
        ({"change": "remove"}, "the change 'remove' of a.png is damaged"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_no_trace(project, change, message):
    project.identify("a.png")
    before = project.change("a.png", changes.put_object(made(1)))
    size = (project.folder / "journal.jsonl").stat().st_size
    with pytest.raises(ValueError, match=message):
        project.change("a.png", change)
    assert project.record("a.png") == before
    assert (project.folder / "journal.jsonl").stat().st_size == size


def test_labels_are_renamed_and_removed_only_when_unused(project):
    plate = project.add_label("plate", "#ff8c00")
    assert plate.id == 2
    project.identify("a.png")
    project.change("a.png", changes.put_object(made(1)))
    project.set_labels([plate, Label(1, "mug", "#000000")])
    with pytest.raises(ValueError, match=r"label 'mug' cannot be removed: object 1 of a\.png has it"):
        project.set_labels([plate])
    with pytest.raises(ValueError, match="two labels have the same name or number"):
        project.add_label("mug", "#ffffff")
    with pytest.raises(ValueError, match=r"label 3 is 'x' in 'red'; wanted .* a colour such as #1e90ff"):
        project.add_label("x", "red")
    project.set_labels([Label(1, "mug", "#000000")])
    project.set_settings({"size": 1024})
    with reopened(project, write=False) as again:
        assert again.labels == (Label(1, "mug", "#000000"),)
        assert again.settings == {"size": 1024}
        with pytest.raises(ProjectError, match="is not open for writing"):
            again.add_label("y", "#ffffff")


def test_a_second_writer_is_told_who_is_first(project):
    with pytest.raises(
        ProjectLockedError, match=rf"p: is in use by inter2former \(process {os.getpid()} on .*, since 20.*Z\)"
    ):
        Project(project.folder)
    with Project(project.folder, write=False) as reader:
        assert reader.labels == project.labels
    folder = project.folder
    project.close()
    with Project(folder, holder="test 2") as again, pytest.raises(ProjectLockedError, match="by test 2"):
        Project(again.folder)


def test_changed_and_missing_images_are_not_taken_for_the_known_ones(project, photos):
    project.identify("a.png")
    before = project.change("a.png", changes.put_object(made(1)))
    assert project.identify("a.png") == before
    assert project.state("a.png", thorough=True) == "present"
    Image.new("RGB", (6, 5), (9, 9, 9)).save(photos / "a.png")
    assert project.state("a.png", thorough=True) == "changed"
    with pytest.raises(ProjectError, match=r"a\.png: is another file than the one that was annotated"):
        project.identify("a.png")
    accepted = project.identify("a.png", accept=True)
    assert accepted.sha256 != before.sha256
    assert accepted.objects == before.objects
    Image.new("RGB", (7, 5)).save(photos / "a.png")
    with pytest.raises(ProjectError, match=r"a\.png: was 6x5 when it was annotated and is now 7x5"):
        project.identify("a.png", accept=True)
    (photos / "a.png").unlink()
    assert project.state("a.png") == "missing"
    assert [line.state for line in project.overview() if line.path == "a.png"] == ["missing"]
    with pytest.raises(ProjectError, match=r"a\.png: the image is missing; put it back"):
        project.identify("a.png")


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "", "a/../../b.png", "sub/../../x.png", "a\0b"])
def test_paths_lead_nowhere_else(project, path):
    for call in (project.record, project.identify, project.library.file):
        with pytest.raises(ProjectError, match="is no path of an image below"):
            call(path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_out_of_the_folder_are_refused(project, photos, tmp_path):
    Image.new("RGB", (6, 5)).save(tmp_path / "outside.png")
    (photos / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(ProjectError, match=r"link\.png: leads out of"):
        project.identify("link.png")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have Unicode names only")
def test_names_that_are_no_unicode_are_named(project, photos):
    (Path(os.fsdecode(os.fsencode(photos) + b"/bad\xff.png"))).write_bytes(b"")
    listing = project.library.listing()
    assert listing.refused == (("bad\\udcff.png", "the name is no valid Unicode; rename the file"),)
    assert len(listing.paths) == 6


def test_the_project_is_no_folder_of_images(photos):
    with Project.create(photos / "project", photos) as project:
        Image.new("RGB", (6, 5)).save(photos / "project" / "preview.png")
        assert not [path for path in project.library.listing().paths if "preview" in path]
        assert json.loads((photos / "project" / "project.json").read_text())["images"]["folder"] == ".."
    with pytest.raises(ProjectError, match="holds a project already"):
        Project.create(photos / "project", photos)


def test_only_the_named_images(photos, tmp_path):
    with Project.create(tmp_path / "p", photos, files=["a.jpg"]) as project:
        assert project.library.listing().paths == ("a.jpg",)
    with Project(tmp_path / "p", write=False) as project:
        assert project.library.listing().paths == ("a.jpg",)


def cut(project, count, garbage=b""):
    """The journal as a crash may leave it: without its last bytes, or with garbage after it."""
    project.close()
    journal = project.folder / "journal.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) - count] + garbage)


def forget_checkpoint(project):
    file = project.folder / "project.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "journal": {"seq": 0, "bytes": 0}}))


@pytest.mark.parametrize("garbage", [b"", b'{"seq": 4, "ch', b"\0" * 40, b"\0" * 40 + b"\n", b"{}\n"])
def test_half_a_line_at_the_end_is_the_click_in_flight(project, garbage):
    project.identify("a.png")
    project.change("a.png", changes.begin_draft(None, 1))
    project.change("a.png", changes.give_prompt(Click(1, 1)))
    cut(project, 0, garbage)
    forget_checkpoint(project)
    with Project(project.folder) as again:
        assert again.record("a.png").draft.prompts == (Click(1, 1),)
        again.change("a.png", changes.give_prompt(Click(2, 2)))
    with Project(project.folder, write=False) as again:
        assert again.record("a.png").draft.prompts == (Click(1, 1), Click(2, 2))


def test_damage_before_whole_lines_is_an_error(project):
    project.identify("a.png")
    project.change("a.png", changes.begin_draft(None, 1))
    project.close()
    journal = project.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:1], b"garbage\n", *lines[1:]]))
    forget_checkpoint(project)
    with pytest.raises(ProjectError, match=r"journal\.jsonl: line 2 after byte 0 is damaged"):
        Project(project.folder)


def test_without_its_journal_the_folder_keeps_what_its_files_say(project):
    project.identify("a.png")
    project.change("a.png", changes.put_object(made(1)))
    project.close()
    (project.folder / "journal.jsonl").unlink()
    with Project(project.folder) as again:
        assert len(again.record("a.png").objects) == 1
        record = again.change("a.png", changes.put_object(made(2)))
        assert record.revision > 2


def test_many_images_do_not_stay_in_memory(project, photos):
    for number in range(70):
        Image.new("RGB", (6, 5)).save(photos / f"n{number}.png")
        project.identify(f"n{number}.png")
        project.change(f"n{number}.png", changes.begin_draft(None, None, [Click(1, 1)]))
    assert len(project._records) <= 64
    with reopened(project, write=False) as again:
        assert sum(line.draft for line in again.overview()) == 70


def test_a_full_disk_is_an_error_and_the_journal_stays_whole(project, monkeypatch):
    project.identify("a.png")
    project.change("a.png", changes.begin_draft(None, None))
    size = (project.folder / "journal.jsonl").stat().st_size
    real = os.fsync

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProjectError, match=r"journal\.jsonl: cannot be written \(No space left on device\); make room"):
        project.change("a.png", changes.give_prompt(Click(1, 1)))
    with pytest.raises(ProjectError, match=r"a\.png\.json: cannot be written"):
        project._files.write(project.record("a.png"))
    monkeypatch.setattr(os, "fsync", real)
    assert (project.folder / "journal.jsonl").stat().st_size == size
    assert project.record("a.png").draft.prompts == ()
    assert not list(project.folder.rglob("*.part"))
    assert project.change("a.png", changes.give_prompt(Click(1, 1))).draft.prompts == (Click(1, 1),)


def test_threads_take_turns(project):
    project.identify("a.png")
    project.change("a.png", changes.begin_draft(None, None))
    threads = [
        threading.Thread(
            target=lambda n=n: [project.change("a.png", changes.give_prompt(Click(n, m))) for m in range(10)]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(project.record("a.png").draft.prompts) == 40
    with reopened(project, write=False) as again:
        assert len(again.record("a.png").draft.prompts) == 40


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("project.json", b"{", r"project\.json: is no JSON"),
        ("project.json", b"[]", r"project\.json: holds no JSON object"),
        ("project.json", b'{"schema": 2}', r"project\.json: has schema 2; this version reads 0 to 1"),
        ("project.json", b'{"schema": 1}', r"project\.json: is damaged: KeyError\('images'\)"),
        ("images/a.png.json", b'{"schema": 1}', r"a\.png\.json: is damaged: image is None; wanted an object"),
        ("images/a.png.json", b"\xff", r"a\.png\.json: is no JSON"),
    ],
)
def test_damaged_files_are_named(project, file, content, message):
    project.identify("a.png")
    project.close()
    (project.folder / file).write_bytes(content)
    with pytest.raises(ProjectError, match=message), Project(project.folder, write=False) as again:
        again.record("a.png")


def test_what_another_program_wrote_is_read(project):
    project.identify("a.png")
    project.close()
    file = project.folder / "images" / "a.png.json"
    value = json.loads(file.read_text())
    value["attributes"] = {"reviewed by": "M"}
    value["objects"] = [
        {
            "id": 4,
            "label": 1,
            "visible": True,
            "locked": False,
            "created": "",
            "modified": "",
            "attributes": {"z": 1},
            "prompts": [],
            "mask": {"size": [5, 6], "counts": MASK.counts},
        }
    ]
    file.write_text(json.dumps(value, indent=4))
    with Project(project.folder) as again:
        record = again.record("a.png")
        assert record.next_object == 5
        assert record.object(4).start == (MASK,)
        assert again.change("a.png", changes.set_status("done")).attributes == {"reviewed by": "M"}
    value["objects"][0]["colour"] = "red"
    file.write_text(json.dumps(value))
    with (
        pytest.raises(
            ProjectError, match="an object has the unknown name 'colour'; put what is yours under attributes"
        ),
        Project(project.folder, write=False) as again,
    ):
        again.record("a.png")


def test_a_folder_of_schema_0_is_migrated(photos, tmp_path):
    folder = tmp_path / "old"
    (folder / "images" / "sub").mkdir(parents=True)
    (folder / "project.json").write_text(json.dumps({"schema": 0, "images": "../photos", "labels": ["cup", "plate"]}))
    (folder / "images" / "sub" / "a.png.json").write_text(
        json.dumps(
            {
                "schema": 0,
                "file": "sub/a.png",
                "size": [6, 5],
                "objects": [{"label": "plate", "clicks": [[1, 2, 1], [3, 4, 0]], "mask": MASK.counts}],
            }
        )
    )
    with Project(folder, write=False) as project:
        assert project.record("sub/a.png").objects[0].label == 2
    with Project(folder) as project:
        assert [label.name for label in project.labels] == ["cup", "plate"]
        record = project.identify("sub/a.png")
        assert record.objects[0].prompts == (Click(1, 2), Click(3, 4, positive=False))
        assert record.sha256 is not None
    assert json.loads((folder / "project.json").read_text())["schema"] == 1
    assert json.loads((folder / "project.json.schema-0").read_text())["schema"] == 0
    assert json.loads((folder / "images" / "sub" / "a.png.json").read_text())["schema"] == 1


def test_no_project_is_said_so(tmp_path):
    with pytest.raises(ProjectError, match=r"is no project, it has no project\.json"):
        Project(tmp_path)
    with pytest.raises(ProjectError, match="absent: is no folder"):
        Project.create(tmp_path / "p", tmp_path / "absent")


WRITER = """
import os, random, signal, sys, time
from pathlib import Path
from inter2former.project import changes
from inter2former.project.records import ObjectRecord
from inter2former.project.store import Project
from inter2former.prompt import Click, MaskPrompt
import numpy as np

folder, photos, rounds, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
MASK = MaskPrompt.of(np.arange(30).reshape(5, 6) % 4 == 0)
random.seed(seed)
Project.create(folder, photos).close()


def write(pipe):
    project = Project(folder)
    project.identify("a.png")
    while True:
        record = project.record("a.png")
        if record.draft is None:
            change = changes.begin_draft(None, None)
        elif len(record.draft.prompts) < 3:
            change = changes.give_prompt(Click(len(record.draft.prompts), 1))
        else:
            number = record.next_object
            change = changes.commit_object(ObjectRecord(number, None, MASK, record.draft.prompts, True, False, "", ""))
        record = project.change("a.png", change)
        state = record.next_object * 10 + (0 if record.draft is None else 1 + len(record.draft.prompts))
        os.write(pipe, b"%d %d\\n" % (record.revision, state))


for _ in range(rounds):
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        try:
            write(into)
        finally:
            os._exit(1)
    os.close(into)
    # After some answers, and a moment into what follows them.
    acknowledged, wanted = b"", random.randint(0, 12)
    while acknowledged.count(b"\\n") < wanted:
        acknowledged += os.read(out, 65536)
    time.sleep(random.uniform(0, 0.006))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while block := os.read(out, 65536):
        acknowledged += block
    os.close(out)
    with Project(folder) as project:
        record = project.record("a.png")
        lines = [line for line in acknowledged.split(b"\\n")[:-1]]
        if lines:
            revision, state = map(int, lines[-1].split())
            assert record.revision in (revision, revision + 1), (record.revision, revision)
            now = record.next_object * 10 + (0 if record.draft is None else 1 + len(record.draft.prompts))
            if record.revision == revision:
                assert now == state, (now, state)
        if record is not None:
            assert [item.id for item in record.objects] == list(range(1, record.next_object))
            with Project(folder, write=False) as reader:
                assert reader.record("a.png") == record
print("revision", record.revision)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_killed_writer_loses_at_most_the_click_in_flight(photos, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WRITER, tmp_path / "killed", photos, "10", "7"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 20
