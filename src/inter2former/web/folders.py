"""Which project the annotator opens: a folder of images has its project inside, a project folder is one itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from inter2former.errors import ProjectError
from inter2former.project.library import IMAGE_SUFFIXES, PROJECT_FILE
from inter2former.project.store import Project

__all__ = ["INSIDE", "Opened", "open_project"]

INSIDE = "inter2former"
"""The name of the project folder inside the folder of the images."""


class Opened(NamedTuple):
    """A project that is open for writing.

    Attributes:
        project: the project.
        only: paths of the images to show; None: all.
    """

    project: Project
    only: tuple[str, ...] | None


def open_project(paths: Sequence[str | os.PathLike[str]], folder: str | os.PathLike[str] | None = None) -> Opened:
    """Open the project of a folder, or of single images; made where there is none.

    Args:
        paths: one folder, of images or a project's; or images, at least one.
        folder: where the project is or shall be; None: in the folder of the images, under the name `INSIDE`.
    Raises:
        ValueError: a path is neither, or there is no image.
        ProjectError: the project cannot be used, or its images are elsewhere.
    """
    given = [Path(path) for path in paths]
    if len(given) == 1 and given[0].is_dir():
        project = _project(given[0], folder)
        if folder is not None and given[0].resolve() != project.folder.resolve():
            _require(project, given)
        return Opened(project, None)
    for path in given:
        if path.is_dir():
            raise ValueError(f"{path}: is a folder beside other paths; give one folder, or single images")
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file; give a folder of images, or image files")
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(f"{path}: is no image by its name; wanted one of {', '.join(sorted(IMAGE_SUFFIXES))}")
    whole = [path.resolve() for path in given]
    common = Path(os.path.commonpath([path.parent for path in whole]))
    project = _project(common, folder)
    _require(project, whole)
    below = project.library.folder.resolve()
    return Opened(project, tuple(dict.fromkeys(path.relative_to(below).as_posix() for path in whole)))


def _require(project: Project, paths: Sequence[Path]) -> None:
    """Close a project whose images are elsewhere, and refuse it."""
    try:
        for path in paths:
            project.library.require(path)
    except ProjectError:
        project.close()
        raise


def _project(images: Path, folder: str | os.PathLike[str] | None) -> Project:
    """The project of a folder of images, opened or made."""
    holder = "inter2former annotate"
    if folder is None and (images / PROJECT_FILE).is_file():
        return Project(images, holder=holder)
    where = images / INSIDE if folder is None else Path(folder)
    if (where / PROJECT_FILE).is_file():
        return Project(where, holder=holder)
    return Project.create(where, images, holder=holder)
