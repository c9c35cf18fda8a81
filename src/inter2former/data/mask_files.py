"""Images whose objects are in a mask file of their own, and how they are listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from inter2former.data.label_maps import LabelMap, Labels
from inter2former.data.sample import Annotation, Item
from inter2former.errors import DataError, ImageReadError
from inter2former.images import upright_size

__all__ = ["MaskFile", "Unusable", "check_size", "listed_names", "paired_items", "split_list", "without_duplicates"]

# What file managers leave behind.
LEFTOVERS = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class MaskFile:
    """An image and its mask file.

    Attributes:
        id: unique within the data set.
        image_path: the image.
        mask_path: the mask.
        read: makes labels of the mask file; a function of a module, so that it can be pickled.
    """

    id: str
    image_path: Path
    mask_path: Path
    read: Callable[[Path], Labels]

    @property
    def files(self) -> tuple[Path, ...]:
        """Image and mask."""
        return self.image_path, self.mask_path

    def annotation(self, source: str) -> LabelMap:
        """Read the mask.

        Raises:
            DataError: a file is missing or damaged, or the two are not of one size.
        """
        if not self.mask_path.is_file():
            raise DataError(f"the image {self.image_path} has no mask: there is no {self.mask_path}; add it")
        labels = self.read(self.mask_path)
        height, width = labels.values.shape
        check_size(self.image_path, (height, width), f"the mask {self.mask_path}")
        return LabelMap(f"{source}/{self.id}", self.image_path, source, labels)


@dataclass(frozen=True, slots=True)
class Unusable:
    """An image that is listed but cannot be used.

    Attributes:
        id: unique within the data set.
        image_path: the image, or the file that lists it.
        files: the files in question.
        reason: one sentence that names the file and says what to do.
    """

    id: str
    image_path: Path
    files: tuple[Path, ...]
    reason: str

    def annotation(self, source: str) -> Annotation:
        """Refuse.

        Raises:
            DataError: always.
        """
        raise DataError(self.reason)


def paired_items(
    images: Path,
    masks: Path,
    read: Callable[[Path], Labels],
    *,
    prefix: str = "",
    image_suffix: str = "",
    mask_suffix: str = "",
) -> list[Item]:
    """List the images of a folder with the masks of the same file stems in another, or in the same.

    Args:
        images: a folder.
        masks: a folder.
        read: makes labels of a mask file.
        prefix: goes before the stem in the ids.
        image_suffix: only such files are images.
        mask_suffix: only such files are masks.
    Returns:
        one item per stem in the order of the images' names, then masks without an image as unusable items; none where
        either folder has no files.
    """
    found, candidates = _files_by_stem(images, image_suffix), _files_by_stem(masks, mask_suffix)
    if not found or not candidates:
        return []
    pairs: list[Item] = [
        _paired(f"{prefix}{stem}", paths, candidates.get(stem, []), masks / f"{stem}.png", read)
        for stem, paths in found.items()
    ]
    alone = [(stem, paths) for stem, paths in candidates.items() if stem not in found]
    return pairs + [_without_image(f"{prefix}{stem}", images / stem, paths) for stem, paths in alone]


def _without_image(id: str, wanted: Path, masks: list[Path]) -> Unusable:
    reason = f"the mask {masks[0]} has no image: there is no {wanted} of any type; add it, or take the mask out"
    return Unusable(id, wanted, tuple(masks), reason)


def _paired(
    id: str, images: list[Path], masks: list[Path], wanted: Path, read: Callable[[Path], Labels]
) -> MaskFile | Unusable:
    for files, what in ((images, "images"), (masks, "masks")):
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            reason = f"{files[0].parent} has {len(files)} {what} called {files[0].stem} ({names}); keep one"
            return Unusable(id, images[0], (*images, *masks), reason)
    return MaskFile(id, images[0], masks[0] if masks else wanted, read)


def without_duplicates(items: Iterable[Item]) -> list[Item]:
    """Put one unusable item in the place of those that share an id."""
    groups: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.id].append(item)
    return [group[0] if len(group) == 1 else _duplicate(group) for group in groups.values()]


def _duplicate(group: list[Item]) -> Unusable:
    first = group[0]
    names = ", ".join(str(item.image_path) for item in group)
    files = tuple(dict.fromkeys(file for item in group for file in item.files))
    return Unusable(first.id, first.image_path, files, f"{first.id} is listed {len(group)} times ({names}); keep one")


def check_size(image_path: Path, shape: tuple[int, int], what: str) -> None:
    """Compare a mask's size with that in the image's header.

    Args:
        image_path: the image.
        shape: height and width of the mask.
        what: names the mask at the beginning of a sentence.
    Raises:
        DataError: the image cannot be read or is of another size.
    """
    try:
        width, height = upright_size(image_path)
    except ImageReadError as error:
        raise DataError(str(error)) from error
    if (height, width) != shape:
        raise DataError(
            f"{what} is {shape[1]}x{shape[0]}, but the upright image {image_path} is {width}x{height}; "
            "give both one size"
        )


def listed_names(path: Path) -> list[str]:
    """The lines of a list file, empty ones left out.

    Raises:
        DataError: the file cannot be read or has no lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the list {path}: {error}; give a text file with one name per line") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError(f"the list {path} is empty; it must hold one name per line")
    return names


def split_list(folder: Path, split: str | None) -> Path:
    """Choose one of the list files of a folder.

    Args:
        folder: holds `train.txt`, `val.txt` and the like.
        split: stem of the file wanted; None: the only one.
    Raises:
        DataError: no such list, or several and none named.
    """
    lists = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    if split is None and len(lists) == 1:
        return next(iter(lists.values()))
    if split in lists:
        return lists[split]
    wanted = "none is named" if split is None else f"{split!r} is wanted"
    raise DataError(
        f"{folder} has the lists {', '.join(path.name for path in lists.values()) or 'none'}, and {wanted}; "
        "name the split, or give the path of its list file instead of the folder"
    )


def _files_by_stem(folder: Path, suffix: str) -> dict[str, list[Path]]:
    """The files of a folder in the order of their names, without hidden ones and what file managers leave behind."""
    paths = folder.iterdir() if folder.is_dir() else iter(())
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(paths):
        name = path.name.lower()
        if name.endswith(suffix) and not name.startswith(".") and name not in LEFTOVERS and path.is_file():
            found[path.stem].append(path)
    return dict(found)
