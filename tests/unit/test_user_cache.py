from __future__ import annotations

from pathlib import Path

import pytest

from inter2former.user_cache import user_cache


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("INTER2FORMER_CACHE", str(tmp_path / "here"))
    assert user_cache() == tmp_path / "here"


@pytest.mark.parametrize(
    ("system", "variable", "value", "wanted"),
    [
        ("linux", "XDG_CACHE_HOME", "elsewhere", Path("elsewhere/inter2former")),
        ("linux", "XDG_CACHE_HOME", "", Path("me/.cache/inter2former")),
        ("win32", "LOCALAPPDATA", "local", Path("local/inter2former")),
        ("win32", "LOCALAPPDATA", "", Path("me/AppData/Local/inter2former")),
        ("darwin", "XDG_CACHE_HOME", "elsewhere", Path("me/Library/Caches/inter2former")),
    ],
)
def test_each_system_has_its_place(monkeypatch, system, variable, value, wanted):
    monkeypatch.delenv("INTER2FORMER_CACHE")
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("me"))
    monkeypatch.setenv(variable, value)
    assert user_cache() == wanted
