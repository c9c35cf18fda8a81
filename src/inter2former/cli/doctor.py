"""`inter2former doctor`: what this machine offers and whether everything works."""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inter2former import __version__, kernels
from inter2former.checkpoint import shipped_weights
from inter2former.cli.options import Subparsers, add_command, add_predictor_options, make_predictor
from inter2former.config import preset
from inter2former.errors import Inter2FormerError
from inter2former.machine import processor

__all__ = ["add_parser", "run"]

PACKAGES = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "openvino")
CPU_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "doctor",
        "print versions, processor, threads and kernels, load the weights and time a self-test",
        "inter2former doctor --json",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_predictor_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at everything; 0 if the self-test passed, 1 if not.

    Raises:
        ValueError: an unknown preset or a number out of range.
    """
    preset(options.preset)
    facts: dict[str, Any] = {
        "inter2former": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": processor(),
        "cpu_features": _cpu_features(),
        "torch_cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": options.threads or torch.get_num_threads(),
        "kernels": kernels.active(),
        "kernel_level": kernels.level(),
    }
    facts |= _self_test(options)
    if options.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {item}" for key, item in value.items())
            print(f"{name:<14}{', '.join(value) if isinstance(value, list) else value}")
    return 0 if facts["self_test"] == "passed" else 1


def _self_test(options: argparse.Namespace) -> dict[str, Any]:
    """Load the weights and segment a disc that a program has drawn."""
    started = time.perf_counter()
    try:
        weights = options.weights or str(shipped_weights(options.preset))
        predictor = make_predictor(options)
    except Inter2FormerError as error:
        return {"weights": f"failed: {error}", "self_test": "failed"}
    facts: dict[str, Any] = {
        "weights": f"{Path(weights).name} loads",
        "load_ms": round(1000 * (time.perf_counter() - started)),
    }
    runtime = predictor.engine.runtime
    facts["encoder"] = f"{runtime.runtime} {runtime.precision} ({runtime.reason})"
    image, disc = _disc_image()
    predictor.set_image(image)
    if (compiled := predictor.engine.compiled) is not None:
        facts["encoder_cache"] = compiled.store.problem or str(compiled.store.folder)
    prediction = predictor.add_click(320, 200)
    overlap = np.count_nonzero(prediction.mask & disc) / np.count_nonzero(prediction.mask | disc)
    timings = prediction.timings
    facts["encode_ms"] = round(1000 * timings["encode"])
    facts["click_ms"] = round(1000 * timings["total"])
    facts["self_test_iou"] = round(float(overlap), 3)
    facts["self_test"] = "passed" if overlap > 0.8 else "failed: the mask of a plain disc is wrong"
    return facts


def _disc_image() -> tuple[np.ndarray, np.ndarray]:
    """An orange disc on a grey gradient, and its mask."""
    y, x = np.mgrid[:400, :640]
    disc = (x - 320) ** 2 + (y - 200) ** 2 < 90**2
    image = np.repeat((80 + x // 10)[..., None], 3, axis=2).astype(np.uint8)
    image[disc] = (220, 120, 40)
    return image, disc


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _cpu_features() -> list[str]:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return []
    words = set(cpuinfo.read_text(errors="replace").split())
    return [feature for feature in CPU_FEATURES if feature in words]
