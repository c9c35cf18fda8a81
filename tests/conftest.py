"""What many tests share: a network with random weights, made-up photos, and small data set folders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from inter2former.checkpoint import save_weights, shipped_weights
from inter2former.config import PRESETS, DecoderConfig, EdgeConfig, ModelConfig, WindowedViTConfig, preset
from inter2former.errors import WeightsError
from inter2former.model.inter2former import Inter2Former
from inter2former.predictor import Predictor
from inter2former.released_keys import released_tensors

PRESET = "inter2former-t"
SIZE = 128


def make_photo(height=90, width=130, seed=0):
    """A bright disc on coloured noise, (H, W, 3) uint8."""
    image = np.random.default_rng(seed).integers(0, 120, (height, width, 3), dtype=np.uint8)
    image[make_disc(height, width)] += 100
    return image


def make_disc(height=90, width=130):
    """The disc of `make_photo`, (H, W) bool."""
    y, x = np.mgrid[:height, :width]
    return (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 3) ** 2


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keeps the tests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTER2FORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photo():
    """Makes a photo: `photo(height, width, seed)`."""
    return make_photo


@pytest.fixture(scope="session")
def disc():
    """Makes the mask of that photo's object: `disc(height, width)`."""
    return make_disc


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """Path of weights for the compact preset that are random and always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Inter2Former(preset(PRESET))
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(network, path, metadata={"made by": "tests/conftest.py"})
    return path


@pytest.fixture(scope="session")
def shipped():
    """Path of the weights that come with the package, for tests of quality."""
    try:
        return shipped_weights(PRESET)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_predictor(random_weights):
    """One predictor for all tests; each sets its own image."""
    return Predictor(PRESET, weights=random_weights, size=SIZE)


@pytest.fixture
def new_predictor(random_weights):
    """A predictor that has never seen an image."""
    return Predictor(PRESET, weights=random_weights, size=SIZE)


@pytest.fixture
def predictor(shared_predictor):
    """A predictor with a 130x90 image and no prompt."""
    shared_predictor.set_image(make_photo())
    return shared_predictor


@pytest.fixture
def small_preset_b(monkeypatch):
    """Makes the preset inter2former-b a network of the same parts that a test can afford; gives its configuration."""
    config = ModelConfig(
        encoder=WindowedViTConfig(depth=2, width=32, heads=2, window=4, position_grid=3, scales=(48,), taps=(0, 1)),
        decoder=DecoderConfig(hidden=128),
        edges=EdgeConfig(depths=(1, 0, 0, 0)),
        channel_order="bgr",
        padding="zero",
    )
    monkeypatch.setitem(PRESETS, "inter2former-b", config)
    return config


@pytest.fixture(scope="session")
def fake_release():
    """Makes random tensors with the names, shapes and types of the released checkpoint for inter2former-b."""

    def make():
        rng = torch.Generator().manual_seed(0)
        return {
            key: torch.randn(shape, generator=rng) * 0.02 if dtype.is_floating_point else torch.tensor(7)
            for key, (shape, dtype) in released_tensors(preset("inter2former-b")).items()
        }

    return make


@pytest.fixture
def torch_threads():
    """Puts the process's number of threads back."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.fixture
def make_folder(tmp_path):
    """Writes a data set folder: `make_folder(name, {stem: (image, mask)})`; None: two photos of discs."""

    def make(name="tiny", pairs=None):
        pairs = pairs or {f"{i}": (make_photo(90, 130 - 16 * i, i), make_disc(90, 130 - 16 * i)) for i in range(2)}
        for part in ("images", "masks"):
            (tmp_path / name / part).mkdir(parents=True)
        for stem, (image, mask) in pairs.items():
            Image.fromarray(image).save(tmp_path / name / "images" / f"{stem}.png")
            mask = mask.astype(np.uint8) * 255 if mask.dtype == np.bool_ else mask
            Image.fromarray(mask).save(tmp_path / name / "masks" / f"{stem}.png")
        return tmp_path / name

    return make
