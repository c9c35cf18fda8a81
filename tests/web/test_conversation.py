"""A person's session without a browser: what is shown and saved is what the session engine says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.engines import tiny_engine
from tests.web.conftest import Refusal

from inter2former.images import load_image
from inter2former.project.store import Project
from inter2former.prompt import Box, Click, Lasso, Scribble, Stroke
from inter2former.session.tree import Session


def expected(photos, name, prompts):
    """The mask that a session of its own gives for these prompts."""
    engine = tiny_engine()
    session = Session(engine, engine.encode(load_image(photos / name)))
    return session.resume(prompts).mask


def test_click_correct_undo_redo_commit(server, photos):
    with server.page("a.png") as page:
        assert page.hello["images"] == 3
        assert page.click(65, 45)
        first = page.settle()
        np.testing.assert_array_equal(first, expected(photos, "a.png", [Click(65, 45)]))
        page.click(10, 80, positive=False)
        second = page.settle()
        both = [Click(65, 45), Click(10, 80, False)]
        np.testing.assert_array_equal(second, expected(photos, "a.png", both))
        page.move("undo")
        np.testing.assert_array_equal(page.settle(), first)
        page.move("redo")
        np.testing.assert_array_equal(page.settle(), second)
        page.move("commit")
        assert [item["id"] for item in page.objects] == [1]
        np.testing.assert_array_equal(page.masks[1], second)
        assert not page.masks[None].any()
        assert not page.draft["working"]
        assert page.prompts == []
    stored = server.project.record("a.png").objects[0]
    np.testing.assert_array_equal(stored.mask.mask, second)
    assert stored.prompts == tuple(both)


PROMPTS = [
    ({"type": "box", "left": 20, "top": 10, "right": 100, "bottom": 80}, Box(20, 10, 100, 80)),
    (
        {"type": "scribble", "points": [[40, 40], [80, 50]], "radius": 2, "positive": True},
        Scribble([(40, 40), (80, 50)], 2.0),
    ),
    (
        {"type": "lasso", "points": [[30, 20], [90, 20], [60, 80]], "positive": True},
        Lasso([(30, 20), (90, 20), (60, 80)]),
    ),
    (
        {"type": "stroke", "points": [[5, 5], [20, 5]], "radius": 4, "erase": False},
        Stroke([(5, 5), (20, 5)], 4.0),
    ),
    ({"type": "stroke", "points": [[60, 45]], "radius": 3, "erase": True}, Stroke([(60, 45)], 3.0, erase=True)),
]


def test_every_kind_of_prompt_gives_the_engine_s_mask(server, photos):
    with server.page("a.png") as page:
        for number, (wire, _) in enumerate(PROMPTS, 1):
            page.move("prompt", prompt=wire)
            np.testing.assert_array_equal(
                page.settle(), expected(photos, "a.png", [prompt for _, prompt in PROMPTS[:number]])
            )
        assert [prompt["type"] for prompt in page.prompts] == [wire["type"] for wire, _ in PROMPTS]
        assert not page.masks[None][45, 60]
        assert page.masks[None][5, 5:21].all()


def test_prompts_are_on_the_disk_when_they_are_acknowledged(server, photos):
    with server.page("a.png") as page:
        page.click(65, 45)
        with Project(photos / "inter2former", write=False) as other:
            assert other.record("a.png").draft.prompts == (Click(65, 45),)
        page.click(60, 40)
        page.move("undo")
        with Project(photos / "inter2former", write=False) as other:
            draft = other.record("a.png").draft
        assert (draft.prompts, draft.undone) == ((Click(65, 45),), (Click(60, 40),))


def test_a_page_that_comes_back_finds_its_object_in_work(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.click(10, 80, positive=False)
        page.move("undo")
        mask = page.settle()
    with server.page("a.png") as page:
        assert len(page.prompts) == 1
        assert page.draft["undone"] == 1
        np.testing.assert_array_equal(page.settle(), mask)
        page.move("redo")
        assert len(page.prompts) == 2


def test_a_new_server_goes_on_where_the_old_one_was_killed(make_server, photos):
    first = make_server()
    with first.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        page.click(20, 20)
        mask = page.settle()
        kept = page.masks[1]
    # As after a kill: the files are brought to nobody, only the journal is there.
    first.project.checkpoint = lambda: None
    first.close()
    with make_server().page() as page:
        assert page.hello["first"] == "a.png"
        page.move("open", path="a.png")
        np.testing.assert_array_equal(page.settle(), mask)
        np.testing.assert_array_equal(page.masks[1], kept)


def test_reopened_object_shows_its_mask_at_once_and_takes_more_clicks(server, photos):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        stored = page.masks[1]
        page.move("reopen", object=1)
        np.testing.assert_array_equal(page.masks[None], stored)
        assert page.draft["object"] == 1
        page.click(10, 80, positive=False)
        refined = page.settle()
        np.testing.assert_array_equal(refined, expected(photos, "a.png", [Click(65, 45), Click(10, 80, False)]))
        page.move("commit")
        assert [item["id"] for item in page.objects] == [1]
        np.testing.assert_array_equal(page.masks[1], refined)
        page.move("undo")
        np.testing.assert_array_equal(page.masks[1], stored)
        np.testing.assert_array_equal(page.settle(), refined)
        page.move("redo")
        np.testing.assert_array_equal(page.masks[1], refined)
        assert not page.draft["working"]


def test_changes_of_objects_can_be_undone(server):
    with server.page("a.png") as page:
        page.move("labels", labels=[{"id": None, "name": "cup", "colour": "#1E90FF"}])
        for x in (65, 20):
            page.click(x, 45)
            page.move("commit")
        before = [(item["id"], item["label"]) for item in page.objects]
        page.move("edit", object=1, values={"label": 1})
        page.move("order", objects=[2, 1])
        page.move("remove", object=2)
        assert [item["id"] for item in page.objects] == [1]
        for _ in range(3):
            page.move("undo")
        assert [(item["id"], item["label"]) for item in page.objects] == before
        for _ in range(3):
            page.move("redo")
        assert [(item["id"], item["label"]) for item in page.objects] == [(1, 1)]
        with pytest.raises(Refusal, match="nothing to redo"):
            page.move("redo")


def test_visibility_and_locks_can_be_undone(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        page.move("edit", object=1, values={"visible": False})
        page.move("edit", object=1, values={"locked": True})
        seen = []
        for move in ("undo", "undo", "redo", "redo"):
            page.move(move)
            seen.append((page.objects[0]["visible"], page.objects[0]["locked"]))
        assert seen == [(False, False), (True, False), (False, False), (False, True)]


def test_undo_is_of_prompts_while_an_object_is_in_work_and_of_objects_otherwise(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        page.move("edit", object=1, values={"visible": False})
        page.click(20, 20)
        page.click(30, 20)
        for left in (1, 0):
            page.move("undo")
            assert len(page.prompts) == left
            assert not page.objects[0]["visible"]
        page.move("undo")
        assert page.objects[0]["visible"]


def test_changes_of_objects_can_be_undone_after_a_reload(server):
    with server.page("a.png") as page:
        for x in (65, 20):
            page.click(x, 45)
            page.move("commit")
        page.move("remove", object=1)
        page.move("undo")
        page.move("open", path="b.png")
    with server.page("a.png") as page:
        assert page.answer_after_open()["history"] == [2, 1]
        page.move("redo")
        assert [item["id"] for item in page.objects] == [2]
        page.move("undo")
        page.move("undo")
        assert [item["id"] for item in page.objects] == [1]
        assert page.draft["working"]
    with server.page("a.png") as page:
        page.move("commit")
        assert [item["id"] for item in page.objects] == [1, 3]


def test_page_that_stays_inherits_what_the_other_could_undo(server):
    with server.page("a.png") as stays:
        with server.page("a.png") as page:
            page.click(65, 45)
            page.move("commit")
            assert stays.receive("objects")["history"] == [0, 0]
        while stays.receive("answer")["history"] != [1, 0]:
            pass
        stays.move("undo")
        assert stays.objects == []


def test_undo_of_what_another_page_made_impossible_is_refused_once(server):
    with server.page("a.png") as page, server.page("a.png") as other:
        page.click(65, 45)
        page.move("commit")
        page.move("edit", object=1, values={"visible": False})
        other.move("remove", object=1)
        with pytest.raises(Refusal, match="no object 1"):
            page.move("undo")
        other.move("undo")
        page.move("undo")
        assert page.objects == []


def test_given_up_object_comes_back_by_undo(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        mask = page.settle()
        page.move("discard")
        assert not page.masks[None].any()
        page.move("undo")
        np.testing.assert_array_equal(page.settle(), mask)


def test_label_of_the_object_in_work_is_stored(server):
    with server.page("a.png") as page:
        page.move("labels", labels=[{"id": None, "name": name, "colour": "#112233"} for name in ("cup", "spoon")])
        page.move("label", label=2)
        page.click(65, 45)
        page.move("label", label=1)
        page.move("commit")
        assert page.objects[0]["label"] == 1
        page.click(20, 20)
        assert page.draft["label"] == 1
        with pytest.raises(Refusal, match="no label 9"):
            page.move("label", label=9)
        with pytest.raises(Refusal, match="'cup' cannot be removed"):
            page.move("labels", labels=[{"id": 2, "name": "spoon", "colour": "#112233"}])


def test_finished_image_is_done_in_every_list(server):
    with server.page("a.png") as page, server.page("b.png") as other:
        page.click(65, 45)
        page.move("commit", status="done")
        while (seen := other.receive("overview"))["status"] != "done":
            pass
        assert (seen["path"], seen["objects"], seen["draft"]) == ("a.png", 1, False)
    items = server.client.get("/api/v1/images").json()
    assert [(item["path"], item["status"], item["objects"]) for item in items] == [
        ("a.png", "done", 1),
        ("b.png", "open", 0),
        ("more/c.png", None, 0),
    ]


@pytest.mark.parametrize(
    ("type", "values", "why"),
    [
        ("prompt", {"prompt": {"type": "click", "x": 130, "y": 0, "positive": True}}, "outside the 130x90 image"),
        ("prompt", {"prompt": {"type": "circle"}}, "the type 'circle'"),
        ("prompt", {"prompt": None}, "a prompt is None"),
        ("commit", {}, "no object to commit"),
        ("undo", {}, "nothing to undo"),
        ("discard", {}, "no object in work"),
        ("remove", {"object": 5}, "has no object 5"),
        ("order", {"objects": [3]}, "does not name its objects"),
        ("edit", {"object": 1, "values": {"mask": 1}}, "wanted any of label"),
        ("status", {"status": "perfect"}, "wanted open, done or skipped"),
        ("open", {"path": "nothing.png"}, "no such file"),
        ("labels", {"labels": [{"id": None, "name": "x", "colour": "red"}]}, "such as #1e90ff"),
        ("fly", {}, "no move 'fly'"),
    ],
)
def test_refusals_say_why(server, type, values, why):
    with server.page("a.png") as page:
        with pytest.raises(Refusal, match=why):
            page.move(type, **values)
        assert page.click(65, 45)


def test_click_on_an_image_that_was_left_meanwhile_is_refused(server):
    with server.page("a.png") as page:
        page.move("open", path="b.png")
        with pytest.raises(Refusal, match=r"'a.png' is not open any more"):
            page.move("prompt", path="a.png", prompt={"type": "click", "x": 1, "y": 1, "positive": True})
        assert page.move("prompt", path="b.png", prompt={"type": "click", "x": 1, "y": 1, "positive": True})


def test_empty_mask_is_not_committed(server):
    with server.page("a.png") as page:
        page.prompt("stroke", points=[[5, 5]], radius=2, erase=True)
        with pytest.raises(Refusal, match="the mask is empty"):
            page.move("commit")


def test_click_on_erased_pixels_is_taken_back(server):
    with server.page("a.png") as page:
        page.prompt("stroke", points=[[5, 5]], radius=3, erase=True)
        page.settle()
        page.click(5, 5)
        page.settle()
        assert [m["why"] for m in page.messages if m["type"] == "problem"] == [
            "click (5, 5) contradicts a stroke: the pixel is erased; paint over it, or undo the stroke"
        ]
        assert len(page.prompts) == 1
        page.click(60, 40)
        page.settle()
    assert len(server.project.record("a.png").draft.prompts) == 2


def test_locked_object_is_kept_from_changes(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.move("commit")
        page.move("edit", object=1, values={"locked": True})
        for type in ("reopen", "remove"):
            with pytest.raises(Refusal, match="is locked"):
                page.move(type, object=1)
        page.move("edit", object=1, values={"visible": False})
        assert [(item["visible"], item["locked"]) for item in page.objects] == [(False, True)]


def test_imported_mask_is_refined_from_itself(server, disc):
    from inter2former.project import changes
    from inter2former.project.files import now
    from inter2former.project.records import ObjectRecord
    from inter2former.prompt import MaskPrompt

    server.project.identify("a.png")
    mask = MaskPrompt.of(disc(90, 130))
    item = ObjectRecord(1, None, mask, (), True, False, now(), now())
    server.project.change("a.png", changes.put_object(item))
    with server.page("a.png") as page:
        np.testing.assert_array_equal(page.masks[1], disc(90, 130))
        page.move("reopen", object=1)
        page.move("commit")
        assert server.project.record("a.png").objects[0].prompts == ()
        page.move("reopen", object=1)
        page.click(5, 5)
        page.settle()
        page.move("commit")
    assert server.project.record("a.png").objects[0].prompts == (mask, Click(5, 5))


def test_messages_are_as_small_as_the_change(server):
    with server.page("a.png") as page:
        page.click(65, 45)
        page.settle()
        erase = bool(page.masks[None][5, 5])
        page.prompt("stroke", points=[[5, 5]], radius=2, erase=erase)
        page.settle()
        [wire] = page.answer["masks"]
        assert wire["box"] == [3, 3, 8, 8]
        assert wire["bytes"] < 20
        assert len(json.dumps(page.answer)) < 600
