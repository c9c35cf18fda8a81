"""The JSON file that COCO and LVIS share: which images it lists, which objects belong to them, where the images lie."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from inter2former.data.instances import Instance, InstanceImage
from inter2former.data.mask_files import Unusable, without_duplicates
from inter2former.data.sample import Dataset, Item
from inter2former.data.segmentations import compact, require_polygons
from inter2former.data.terms import DESCRIPTION, Terms, dataset_of
from inter2former.errors import DataError

__all__ = ["dataset_of_file", "json_files", "read_json", "split_file"]

# What COCO's `annotations/` holds besides files with objects.
OTHER_FILES = ("captions_", "panoptic_", "person_keypoints_", "stuff_", "image_info_", "lvis_v1_image_info_")
SPLITS = frozenset({"train", "val", "minival", "trainval", "test"})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that lists images and annotations; polygons are compacted on the way.

    Raises:
        DataError: the file cannot be read or lists something else.
    """
    try:
        data = json.loads(path.read_bytes(), object_hook=_compacted)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path}: {error}; give a JSON file of COCO or LVIS") from error
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in ("images", "annotations")):
        raise DataError(f'{path} has no lists "images" and "annotations"; give a JSON file of COCO or LVIS')
    return data


def _compacted(entry: dict[str, Any]) -> dict[str, Any]:
    """While the file is read; with all polygons as lists first, reading takes twice the memory."""
    if "segmentation" in entry:
        entry["segmentation"] = compact(entry["segmentation"])
    return entry


def json_files(folder: Path) -> list[Path]:
    """The JSON files in a folder and its `annotations/` that may list objects."""
    found = [*folder.glob("*.json"), *(folder / "annotations").glob("*.json")]
    return sorted(path for path in found if path.name != DESCRIPTION and not path.name.startswith(OTHER_FILES))


def split_file(folder: Path, split: str | None) -> Path:
    """Choose one of the JSON files of a folder.

    Args:
        folder: a folder of which `json_files` finds some.
        split: word of the file's name, such as `val` of `instances_val2017.json`; None: the only one.
    Raises:
        DataError: no such file, or several and none named.
    """
    files = json_files(folder)
    # A file that names no split at all serves for any.
    chosen = [path for path in files if split is None or _split(path) in (split, "")]
    if len(chosen) == 1:
        return chosen[0]
    wanted = "none is named" if split is None else f"{split!r} is wanted"
    raise DataError(
        f"{folder} has the files {', '.join(path.name for path in files) or 'none'}, and {wanted}; "
        "name the split, or give the path of its JSON file instead of the folder"
    )


def _split(path: Path) -> str:
    """The word of a file's name that is a split, such as "val" of `instances_val2017.json`; "" where there is none."""
    return next((word for word in re.split(r"[^a-z]+", path.stem.lower()) if word in SPLITS), "")


def dataset_of_file(
    path: Path,
    data: Mapping[str, Any],
    images: str | Path | None,
    *,
    name_of: Callable[[Mapping[str, Any]], object],
    folders: Sequence[str],
) -> Dataset:
    """List the images that have objects, in the order of the file.

    Args:
        path: the file.
        data: what it holds.
        images: the folder that the images' names are relative to; None: looked for around the file.
        name_of: the name in an entry of `images`.
        folders: where to look for images, relative to the file's folder and the one above it.
    Raises:
        DataError: no objects, the images cannot be found, or there are polygons and nothing that draws them.
    """
    listed, problems = _listed_images(path, data["images"], name_of)
    objects, crowds, orphans = _listed_objects(path, data["annotations"], listed)
    annotated = {key: entry for key, entry in listed.items() if key in objects}
    if not annotated:
        raise DataError(f"{path} lists no objects of its {len(listed)} images; give a file with objects")
    # Uncompressed and compressed run lengths are dictionaries; everything else needs the polygons' drawing.
    everything = (entry for group in (objects, crowds) for entries in group.values() for entry in entries)
    if any(isinstance(entry.segmentation, (list, tuple)) for entry in everything):
        require_polygons()
    names = [str(name_of(entry)) for entry in annotated.values()]
    root = _images_folder(path, images, folders, names)
    items: list[Item] = [
        InstanceImage(
            str(PurePosixPath(name).with_suffix("")),
            root / name,
            path,
            _size(entry),
            tuple(sorted(objects[key], key=lambda instance: instance.id)),
            tuple(crowds.get(key, ())),
        )
        for name, (key, entry) in zip(names, annotated.items(), strict=True)
    ]
    usable = without_duplicates([*items, *problems, *orphans])
    found = dataset_of(path, usable, name=path.stem, terms=_terms(data, annotated.values()))
    return dataclasses.replace(found, split=_split(path))


def _listed_images(
    path: Path, entries: list[Any], name_of: Callable[[Mapping[str, Any]], object]
) -> tuple[dict[Any, Mapping[str, Any]], list[Item]]:
    listed: dict[Any, Mapping[str, Any]] = {}
    problems: list[Item] = []
    for number, entry in enumerate(entries):
        key = entry.get("id") if isinstance(entry, dict) else None
        name = name_of(entry) if isinstance(entry, dict) else None
        if not isinstance(key, (int, str)) or not isinstance(name, str) or not PurePosixPath(name).name:
            problems.append(_unusable(path, f"images[{number}]", "has no id or no file name; add them"))
        elif key in listed:
            problems.append(_unusable(path, f"images[{number}]", f"has the id {key} of an entry before it; change it"))
        else:
            listed[key] = entry
    return listed, problems


def _listed_objects(
    path: Path, entries: list[Any], images: Collection[Any]
) -> tuple[dict[Any, list[Instance]], dict[Any, list[Instance]], list[Item]]:
    """Objects and crowds by the id of their image, and what belongs to no image."""
    objects: defaultdict[Any, list[Instance]] = defaultdict(list)
    crowds: defaultdict[Any, list[Instance]] = defaultdict(list)
    problems: dict[object, Item] = {}
    for number, entry in enumerate(entries):
        what = f"annotations[{number}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            problems[what] = _unusable(path, what, "has no whole number as id; add it")
        elif not isinstance(entry.get("image_id"), (int, str)) or entry["image_id"] not in images:
            image = str(entry.get("image_id"))
            reason = f"is of image {image}, which is not listed; list it, or remove its annotations"
            problems.setdefault(image, _unusable(path, what, reason))
        else:
            chosen = crowds if entry.get("iscrowd") else objects
            instance = Instance(entry["id"], _area(entry.get("area")), entry.get("segmentation"))
            chosen[entry["image_id"]].append(instance)
    return dict(objects), dict(crowds), list(problems.values())


def _unusable(path: Path, what: str, reason: str) -> Unusable:
    return Unusable(what, path, (path,), f"{what} in {path} {reason}")


def _area(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0 else None


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _images_folder(path: Path, images: str | Path | None, folders: Sequence[str], names: list[str]) -> Path:
    if images is None:
        candidates = [base / folder for base in (path.parent, path.parent.parent) for folder in folders]
    else:
        candidates = [Path(images)]
    for candidate in candidates:
        if candidate.is_dir() and any((candidate / name).is_file() for name in names):
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise DataError(
        f"none of the {len(names)} images of {path}, such as {names[0]}, lies in {tried}; put them into one of these"
    )


def _terms(data: Mapping[str, Any], images: Collection[Mapping[str, Any]]) -> Terms:
    """The photos' licences. That of the annotations is not in the file, so more than a refusal cannot be concluded."""
    used = {str(image.get("license")) for image in images}
    licences = [licence for licence in _dictionaries(data.get("licenses")) if str(licence.get("id")) in used]
    if not licences:
        return Terms()
    names = ", ".join(str(licence.get("name")) for licence in licences)
    words = " ".join(f"{licence.get('name')} {licence.get('url')}" for licence in licences).lower()
    forbidden = re.search(r"non-?commercial|by-nc", words) is not None
    return Terms(f"photos: {names}", False if forbidden else None)


def _dictionaries(value: object) -> Iterator[dict[str, Any]]:
    yield from (entry for entry in (value if isinstance(value, list) else []) if isinstance(entry, dict))
