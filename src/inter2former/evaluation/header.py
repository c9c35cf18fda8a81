"""What a run's figures depend on, gathered before it starts: protocol, data, weights, versions, machine."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from inter2former.data.sample import Dataset
from inter2former.evaluation.job import Job, image_folder
from inter2former.evaluation.protocol import protocol_hash
from inter2former.evaluation.records import RunHeader
from inter2former.machine import processor

__all__ = ["dataset_fingerprint", "run_header", "versions"]

PACKAGES = ("inter2former", "torch", "numpy", "opencv-python-headless", "pillow")


def run_header(
    job: Job, protocol_name: str, *, images: int, threads: int, workers: int, shard: tuple[int, int] = (1, 1)
) -> RunHeader:
    """Describe a run; reads every file of the data set for its fingerprint.

    Args:
        job: what is measured and how.
        protocol_name: what its protocol is called.
        images: how many of the data set's images the run covers.
        threads: per process.
        workers: processes.
        shard: (i, n), where the run is one of n.
    Raises:
        WeightsError: the weights cannot be read.
    """
    settings: dict[str, object] = {
        "clicks": job.clicks,
        "clicker": "protocol" if job.clicker is None else {"realistic": dataclasses.asdict(job.clicker)},
        "seeds": job.seeds,
        **job.segmenter.settings,
        "folder": image_folder(job.dataset).absolute().as_posix(),
    }
    if shard[1] > 1:
        settings["shard"] = f"{shard[0]}/{shard[1]}"
    return RunHeader(
        dataset=job.dataset.name,
        dataset_fingerprint=dataset_fingerprint(job.dataset),
        objects=images,
        protocol=protocol_name,
        protocol_hash=protocol_hash(job.protocol),
        segmenter=job.segmenter.name,
        weights_hash=job.segmenter.weights_hash(),
        settings=settings,
        versions=versions(),
        cpu=processor(),
        threads=threads,
        workers=workers,
    )


def dataset_fingerprint(dataset: Dataset) -> str:
    """A hash over the sorted hashes of each image with its mask files: 16 hexadecimal digits.

    Names and order do not enter, contents do. A missing file counts as such, so that a data set is another one once
    the file is there.
    """
    known: dict[Path, str] = {}
    entries = []
    for index in range(len(dataset)):
        for path in dataset.files(index):
            if path not in known:
                known[path] = _content_hash(path)
        entries.append(" ".join(known[path] for path in dataset.files(index)))
    return hashlib.sha256("\n".join(sorted(entries)).encode("ascii")).hexdigest()[:16]


def versions() -> Mapping[str, str]:
    """Versions of Python, this package and the libraries that shape figures."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _content_hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return "missing"
    return digest.hexdigest()
