"""The images of a project: which files they are, whether they are still the same, and that no path leads elsewhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, TypeAlias

from inter2former.errors import ProjectError
from inter2former.images import upright_size

__all__ = ["IMAGE_SUFFIXES", "PROJECT_FILE", "FileIdentity", "ImageState", "Library", "Listing"]

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Files with other endings are no images to a project; lower case."""

PROJECT_FILE = "project.json"
"""What makes a folder a project."""

_BLOCK = 1 << 20

ImageState: TypeAlias = Literal["present", "missing", "changed"]


class Listing(NamedTuple):
    """What a folder holds.

    Attributes:
        paths: of the images below the folder, with forward slashes, sorted by folder and name.
        refused: names that cannot be used, each with the reason.
    """

    paths: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class FileIdentity(NamedTuple):
    """Which file an image is.

    Attributes:
        width: columns of the upright image.
        height: rows of the upright image.
        sha256: of the file's content, in hexadecimal.
        bytes: size of the file.
    """

    width: int
    height: int
    sha256: str
    bytes: int


class Library:
    """The folder of the images; nothing outside it can be reached."""

    def __init__(self, folder: Path, files: Sequence[str] | None = None) -> None:
        """Name the images.

        Args:
            folder: that holds them, also in subfolders.
            files: paths below the folder with forward slashes; None: every image in it. Folders that hold a
                project.json and those whose name begins with a dot are passed over.
        """
        self.folder = folder
        self.files = None if files is None else tuple(files)

    def require(self, path: str | os.PathLike[str]) -> None:
        """Refuse an image, or a folder of images, that is neither this folder nor below it.

        Raises:
            ProjectError: both are named.
        """
        if not Path(path).resolve().is_relative_to(below := self.folder.resolve()):
            raise ProjectError(f"{path}: is not in the project's folder of images {below}; name another project folder")

    def listing(self) -> Listing:
        """Look which images there are; links to folders are not followed."""
        if self.files is not None:
            return Listing(self.files, ())
        paths: list[str] = []
        refused: list[tuple[str, str]] = []
        for root, folders, names in os.walk(self.folder):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and not os.path.isfile(os.path.join(root, name, PROJECT_FILE))
            )
            below = Path(root).relative_to(self.folder)
            for name in sorted(names):
                if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                    path = (below / name).as_posix()
                    if _is_unicode(path):
                        paths.append(path)
                    else:
                        shown = path.encode("utf-8", "backslashreplace").decode()
                        refused.append((shown, "the name is no valid Unicode; rename the file"))
        return Listing(tuple(paths), tuple(refused))

    def file(self, path: str) -> Path:
        """Find the file of an image; it need not be there.

        Raises:
            ProjectError: the path leads out of the folder, or is no path with forward slashes.
        """
        parts = PurePosixPath(path).parts
        outside = not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\0" in path
        if outside or (os.name == "nt" and any(character in path for character in "\\:")):
            raise ProjectError(f"{path!r:.200}: is no path of an image below {self.folder}")
        found = self.folder.joinpath(*parts)
        if not found.resolve().is_relative_to(self.folder.resolve()):
            raise ProjectError(f"{path}: leads out of {self.folder}; copy the file into the folder")
        return found

    def identity(self, path: str, size: tuple[int, int] | None = None) -> FileIdentity:
        """Read what makes this file this file.

        Args:
            path: of the image.
            size: width and height of the upright image where they are known; None: from the file's header.
        Raises:
            ProjectError: the file is missing or cannot be read.
            ImageReadError: it is no image.
        """
        file = self.file(path)
        try:
            with file.open("rb") as stream:
                digest = hashlib.sha256()
                while block := stream.read(_BLOCK):
                    digest.update(block)
                length = stream.tell()
        except FileNotFoundError:
            raise ProjectError(f"{file}: the image is missing; put it back, or open the project without it") from None
        except OSError as error:
            raise ProjectError(
                f"{file}: cannot be read ({error.strerror or error}); check that you may read it"
            ) from error
        width, height = upright_size(file) if size is None else size
        return FileIdentity(width, height, digest.hexdigest(), length)

    def state(self, path: str, sha256: str | None, size: int | None, *, thorough: bool) -> ImageState:
        """Tell whether a file is still the one that is known.

        Args:
            path: of the image.
            sha256: hash of the known content; None: not known.
            size: known size in bytes; None: not known.
            thorough: compare the content too, not only the size; takes reading the file.
        """
        try:
            status = self.file(path).stat()
        except OSError:
            return "missing"
        if size is not None and status.st_size != size:
            return "changed"
        if thorough and sha256 is not None:
            return "present" if self.identity(path, size=(1, 1)).sha256 == sha256 else "changed"
        return "present"


def _is_unicode(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
