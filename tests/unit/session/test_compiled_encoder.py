"""The encoder under OpenVINO against the same encoder under torch."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from inter2former.config import TinyViTConfig
from inter2former.errors import MissingPackageError
from inter2former.model.tiny_vit import TinyViT
from inter2former.model.windowed_vit import WindowedViT
from inter2former.session.blob_store import BlobStore
from inter2former.session.compiled_encoder import CompiledEncoder, RuntimeChoice, choose_runtime
from inter2former.session.engine import Engine

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

CPU = torch.device("cpu")
# Sums of at most some thousand terms in another order; a hundredth of it is seen.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def encoder():
    """A block of every kind, narrow; its norms and biases are not those of a new network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = TinyViT(TinyViTConfig(widths=(8, 16, 24, 32), depths=(1, 1, 1, 1), heads=(2, 3, 2), embedding=16))
        for parameter in network.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return BlobStore(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def compiled(encoder, store):
    return CompiledEncoder(encoder, store=store)


def image_of(height, width):
    generator = torch.Generator().manual_seed(height * width)
    return torch.randn(1, 3, height, width, generator=generator)


def assert_same(found, wanted):
    pairs = list(zip((found.embedding, *found.skips), (wanted.embedding, *wanted.skips), strict=True))
    for mine, reference in pairs:
        assert mine.shape == reference.shape
        assert (mine - reference).abs().max() <= TOLERANCE * reference.abs().max()


# From one token, less than a window, over whole windows, to a last window that is nearly empty.
@pytest.mark.parametrize("size", [(16, 16), (16, 240), (112, 112), (224, 448), (240, 32), (272, 240), (448, 464)])
def test_features_are_those_of_torch(encoder, compiled, size):
    image = image_of(*size)
    with torch.inference_mode():
        for laid_out in (image, image.contiguous(memory_format=torch.channels_last)):
            assert_same(compiled(laid_out), encoder(image))


def test_what_one_call_gave_survives_the_next(compiled):
    first = compiled(image_of(64, 64))
    before = [maps.clone() for maps in (first.embedding, *first.skips)]
    compiled(image_of(64, 64) + 1)
    for kept, maps in zip(before, (first.embedding, *first.skips), strict=True):
        assert torch.equal(kept, maps)


def test_threads_do_not_disturb_each_other(encoder, compiled):
    images = [image_of(64, 48 + 16 * number) for number in range(4)] * 2
    with torch.inference_mode():
        wanted = [encoder(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for found, reference in zip(pool.map(compiled, images), wanted, strict=True):
            assert_same(found, reference)


def test_uses_as_many_threads_as_torch(encoder, store, torch_threads):
    compiled = CompiledEncoder(encoder, store=store)
    for threads in (2, 1):
        torch.set_num_threads(threads)
        compiled.prepare()
        assert compiled._compiled.get_property("INFERENCE_NUM_THREADS") == threads


def counted(monkeypatch):
    """Counts how often a graph is written, which is what happens when none was kept."""
    from inter2former.session import encoder_graph

    calls, write = [], encoder_graph.encoder_graph
    monkeypatch.setattr(encoder_graph, "encoder_graph", lambda encoder: calls.append(1) or write(encoder))
    return calls


def test_a_graph_is_compiled_once(encoder, compiled, store, monkeypatch):
    compiled.prepare()
    calls = counted(monkeypatch)
    again = CompiledEncoder(encoder, store=store)
    with torch.inference_mode():
        assert_same(again(image_of(48, 48)), encoder(image_of(48, 48)))
    assert not calls


@pytest.mark.parametrize("content", [b"", b"something else"])
def test_an_entry_that_openvino_refuses_is_made_again(encoder, tmp_path, monkeypatch, content):
    store, calls = BlobStore(tmp_path), counted(monkeypatch)
    compiled = CompiledEncoder(encoder, store=store)
    key = compiled._key(openvino, openvino.Core())
    store.put(key, content)  # whole, yet no graph
    compiled.prepare()
    assert len(calls) == 1
    assert len(store.get(key)) > 1000


def test_other_weights_are_another_entry(encoder, compiled, store):
    compiled.prepare()
    before = {path.name for path in store.folder.iterdir()}
    other = TinyViT(TinyViTConfig(widths=(8, 16, 24, 32), depths=(1, 1, 1, 1), heads=(2, 3, 2), embedding=16))
    other.load_state_dict(encoder.state_dict())
    changed = other.requires_grad_(False).eval()
    changed.stem_in.bias[0] += 1
    CompiledEncoder(changed, store=store).prepare()
    assert len({path.name for path in store.folder.iterdir()} - before) == 1


def test_runs_without_a_folder_to_write_to(encoder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = BlobStore(tmp_path / "file" / "blobs")
    with torch.inference_mode():
        assert_same(CompiledEncoder(encoder, store=store)(image_of(32, 32)), encoder(image_of(32, 32)))
    assert store.problem is not None


def test_an_engine_gives_the_same_with_both(random_weights, photo):
    engines = [Engine.load(weights=random_weights, size=128, encoder=name) for name in ("torch", "openvino")]
    assert [engine.runtime.runtime for engine in engines] == ["torch", "openvino"]
    reference, other = (engine.encode(photo()).encoded for engine in engines)
    for wanted, found in zip((reference.embedding, *reference.edges), (other.embedding, *other.edges), strict=True):
        assert (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    asked = np.full((96, 128), 2, np.uint8)
    (wanted, box), (found, other_box) = (engine.answer(engine.encode(photo()), asked) for engine in engines)
    assert box == other_box
    assert ((wanted > 0) == (found > 0))[np.abs(wanted) >= 1e-3].all()


@pytest.mark.parametrize(
    ("capability", "installed", "runtime", "reason"),
    [
        ("AVX512", True, "openvino", "the processor has AVX512"),
        ("AVX2", True, "torch", "the processor has AVX2, not AVX512"),
        ("AVX512", False, "torch", "openvino is not installed"),
    ],
)
def test_auto_takes_openvino_where_it_is_far_ahead(encoder, monkeypatch, capability, installed, runtime, reason):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    choice = choose_runtime(encoder, CPU, wanted="auto", precision="float32")
    assert choice.runtime == runtime
    assert reason in choice.reason


def test_torch_is_taken_where_it_is_asked_for(encoder):
    choice = choose_runtime(encoder, CPU, wanted="torch", precision="float32")
    assert choice == RuntimeChoice("torch", "float32", "asked for")


def test_refuses_what_cannot_be_had(encoder, monkeypatch):
    for words, message in (
        ({"wanted": "tensorrt", "precision": "float32"}, "encoder is 'tensorrt'; it must be one of auto, torch, openv"),
        (
            {"wanted": "auto", "precision": "float16"},
            "precision is 'float16'; it must be one of auto, float32, bfl",
        ),
        ({"wanted": "torch", "precision": "bfloat16"}, "precision is bfloat16, which torch does not run"),
    ):
        with pytest.raises(ValueError, match=message):
            choose_runtime(encoder, CPU, **words)
    with pytest.raises(ValueError, match="the network runs on meta; ask for torch or auto"):
        choose_runtime(encoder, torch.device("meta"), wanted="openvino", precision="float32")
    with torch.device("meta"), pytest.raises(ValueError, match="there is a graph of TinyViT only"):
        choose_runtime(WindowedViT.__new__(WindowedViT), CPU, wanted="openvino", precision="float32")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install openvino"):
        choose_runtime(encoder, CPU, wanted="openvino", precision="float32")


@pytest.mark.parametrize("capabilities", [["FP32"], ["FP32", "BF16"]])
def test_bfloat16_needs_a_processor_that_has_it(encoder, monkeypatch, capabilities):
    class Core:
        def get_property(self, device, name):
            return capabilities

    monkeypatch.setattr(openvino, "Core", Core)
    best = "bfloat16" if "BF16" in capabilities else "float32"
    assert choose_runtime(encoder, CPU, wanted="openvino", precision="auto").precision == best
    assert choose_runtime(encoder, CPU, wanted="openvino", precision="float32").precision == "float32"
    assert choose_runtime(encoder, CPU, wanted="torch", precision="auto").precision == "float32"
    if "BF16" in capabilities:
        assert choose_runtime(encoder, CPU, wanted="openvino", precision="bfloat16").precision == "bfloat16"
    else:
        with pytest.raises(ValueError, match="which this processor does not have; ask for float32"):
            choose_runtime(encoder, CPU, wanted="openvino", precision="bfloat16")


def test_a_signal_after_it_ran_reaches_its_handler(compiled):
    """It was a segmentation fault: OpenVINO leaves the loading thread a signal stack too small for Python."""
    compiled(image_of(16, 16))
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
