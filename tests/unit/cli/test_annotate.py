"""`inter2former annotate`: which project it opens, and one sentence where it cannot."""

from __future__ import annotations

import importlib
import logging
import socket

import pytest

from inter2former.cli.__main__ import main
from inter2former.errors import ProjectError
from inter2former.project.store import Project


@pytest.fixture
def folder(make_folder):
    return make_folder() / "images"


@pytest.fixture
def open_project():
    """Opens what the command would, and closes it again: gives the project's folder and the images to show."""
    folders = importlib.import_module("inter2former.web.folders")

    def open_(*paths, folder=None):
        opened = folders.open_project(paths, folder)
        with opened.project:
            return opened.project.folder, opened.only

    return open_


def test_folder_of_images_has_its_project_inside(open_project, folder):
    assert open_project(folder) == (folder / "inter2former", None)
    with Project(folder / "inter2former", write=False) as project:
        assert project.library.listing().paths == ("0.png", "1.png")
    assert open_project(folder) == open_project(folder / "inter2former")


def test_project_may_lie_elsewhere(open_project, folder, tmp_path):
    assert open_project(folder, folder=tmp_path / "plates") == (tmp_path / "plates", None)
    assert open_project(tmp_path / "plates") == (tmp_path / "plates", None)
    assert open_project(tmp_path / "plates", folder=tmp_path / "plates") == (tmp_path / "plates", None)


def test_the_project_of_other_images(open_project, folder, tmp_path):
    open_project(folder, folder=tmp_path / "plates")
    (tmp_path / "others").mkdir()
    with pytest.raises(
        ProjectError, match=r"others: is not in the project's folder of images .*; name another project folder"
    ):
        open_project(tmp_path / "others", folder=tmp_path / "plates")
    assert open_project(folder, folder=tmp_path / "plates") == (tmp_path / "plates", None)


def test_single_images_are_shown_alone(open_project, folder):
    assert open_project(folder / "1.png") == (folder / "inter2former", ("1.png",))
    assert open_project(folder / "1.png", folder / "0.png", folder / "1.png")[1] == ("1.png", "0.png")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere"], "nowhere: there is no such file"),
        (["{folder}", "{folder}/0.png"], "is a folder beside other paths"),
        (["{folder}/../notes.txt"], "is no image by its name"),
        (["{folder}", "--port", "99999"], "port 99999 cannot be used"),
        (["{folder}", "--memory", "1"], "--memory is 1 MB"),
        (["{folder}/0.png", "--project", "{other}"], "is not in the project's folder of images"),
    ],
)
def test_bad_input_is_one_sentence(folder, tmp_path, capsys, arguments, why):
    (folder.parent / "notes.txt").write_text("no image")
    other = tmp_path / "other"
    (tmp_path / "elsewhere").mkdir()
    Project.create(other, tmp_path / "elsewhere").close()
    names = {"folder": folder, "other": other}
    assert main(["annotate", "--no-browser", *(argument.format(**names) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_taken_port_and_taken_project(folder, capsys):
    serve = importlib.import_module("inter2former.web.serve")
    with socket.socket() as taken:
        taken.bind((serve.HOST, 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["annotate", str(folder), "--no-browser", "--port", port]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err
    with Project.create(folder / "inter2former", folder, holder="somebody"):
        assert main(["annotate", str(folder), "--no-browser", "--port", "0"]) == 2
    assert "in use by somebody" in capsys.readouterr().err


def test_broken_weights_end_the_server_with_a_sentence(folder, tmp_path, capsys):
    weights = tmp_path / "broken.safetensors"
    weights.write_bytes(b"no weights")
    assert main(["annotate", str(folder), "--no-browser", "--port", "0", "--weights", str(weights)]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("open http://127.0.0.1:")
    assert "broken.safetensors" in captured.err


def test_cache_without_encodings_ends_the_server_with_a_sentence(folder, tmp_path, capsys, random_weights):
    arguments = ["--no-browser", "--port", "0", "--weights", str(random_weights), "--size", "64"]
    assert main(["annotate", str(folder), *arguments, "--cache", str(tmp_path / "nothing")]) == 2
    assert "nothing holds no encodings of this network at 64 px" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_port_is_on_the_loopback_address_only(monkeypatch):
    serve = importlib.import_module("inter2former.web.serve")
    with serve.open_port(0) as port:
        assert port.getsockname()[0] == "127.0.0.1"
        monkeypatch.setattr(serve, "USUAL_PORT", port.getsockname()[1])
        with serve.open_port(None) as other:
            assert other.getsockname()[1] not in (0, port.getsockname()[1])


def test_the_server_leaves_other_handlers_of_the_process_alone(folder, tmp_path):
    class Handler(logging.Handler):
        closed = False

        def close(self):
            self.closed = True
            super().close()

    handler = Handler()
    weights = tmp_path / "broken.safetensors"
    weights.write_bytes(b"no weights")
    assert main(["annotate", str(folder), "--no-browser", "--port", "0", "--weights", str(weights)]) == 2
    assert not handler.closed
