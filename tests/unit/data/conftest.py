"""Writes the files of miniature data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 6, 8


@pytest.fixture
def write_image(tmp_path):
    """Writes a 8x6 photo, or the one given: `write_image("DAVIS/JPEGImages/480p/bear/00000.jpg")`."""

    def write(name, pixels=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8) if pixels is None else pixels).save(path)
        return path

    return write


@pytest.fixture
def write_text(tmp_path):
    """Writes a text, or anything else as JSON."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def blocks():
    """Makes a (6, 8) mask with two columns per value, zeros after them: `blocks(255, 128)`."""

    def make(*values, dtype=np.uint8):
        mask = np.zeros((HEIGHT, WIDTH), dtype=dtype)
        for index, value in enumerate(values):
            mask[:, 2 * index : 2 * index + 2] = value
        return mask

    return make
