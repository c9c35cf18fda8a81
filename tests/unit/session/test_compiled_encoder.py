"""The encoder under OpenVINO against the same encoder under torch."""

from __future__ import annotations

import dataclasses
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from inter2former.benchmark.session import random_engine
from inter2former.config import EdgeConfig, TinyViTConfig, WindowedViTConfig
from inter2former.errors import MissingPackageError
from inter2former.model.edge_encoder import EdgeEncoder
from inter2former.model.edge_terms import skip_nets, skip_terms
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
def windowed():
    """Plain and shifted windows; three scales, one of which fits into a window and one of which takes four."""
    config = WindowedViTConfig(
        depth=3, width=16, heads=2, window=4, position_grid=5, scales=(64, 96), taps=(0, 2), embedding=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = WindowedViT(config)
        for parameter in network.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return BlobStore(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def compiled(encoder, store):
    return CompiledEncoder(encoder, store=store)


@pytest.fixture(scope="module")
def nets(encoder):
    """Of a level that has a net of its own and of two that have none, biases included."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        edges = EdgeEncoder(EdgeConfig(planes="colour", depths=(1, 0), skips=(0, 4, 8, 16), norm="none"))
        for lateral in edges.skip_laterals.values():  # zero as built
            torch.nn.init.normal_(lateral.weight)
            torch.nn.init.normal_(lateral.bias)
        convolutions = [torch.nn.Conv2d(4 ** (level + 1), 4**level, 3, padding=1) for level in range(4)]
        return skip_nets(edges.requires_grad_(False), [layer.requires_grad_(False) for layer in convolutions])


def image_of(height, width):
    generator = torch.Generator().manual_seed(height * width)
    return torch.randn(1, 3, height, width, generator=generator)


def core_with(capabilities):
    class Core:
        def get_property(self, device, name):
            return capabilities

    return Core


def assert_same(found, wanted):
    assert_close((found.embedding, *found.skips), (wanted.embedding, *wanted.skips))


def assert_close(found, wanted):
    for mine, reference in zip(found, wanted, strict=True):
        assert mine.shape == reference.shape
        assert (mine - reference).abs().max() <= TOLERANCE * reference.abs().max()


# From one token, less than a window, over whole windows, to a last window that is nearly empty.
@pytest.mark.parametrize("size", [(16, 16), (16, 240), (112, 112), (224, 448), (240, 32), (272, 240), (448, 464)])
def test_features_are_those_of_torch(encoder, compiled, size):
    image = image_of(*size)
    with torch.inference_mode():
        for laid_out in (image, image.contiguous(memory_format=torch.channels_last)):
            assert_same(compiled(laid_out), encoder(image))


# One token; one window, which does not shift; whole windows; parts of windows at every side.
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (64, 80), (128, 128), (272, 112), (48, 368)])
def test_features_of_the_windowed_vit_are_those_of_torch(windowed, store, size):
    image = image_of(*size)
    with torch.inference_mode():
        assert_same(CompiledEncoder(windowed, store=store)(image), windowed(image))


# A bias inside the edge encoder ends at the border: a wrong one is off by a share of the greatest value.
@pytest.mark.parametrize("size", [(16, 16), (48, 112), (272, 240)])
def test_shares_of_edge_terms_are_those_of_torch(encoder, nets, store, size):
    image = image_of(*size)
    with torch.inference_mode():
        found, features = CompiledEncoder(encoder, nets, store=store)(image), encoder(image)
        assert found.skips == ()
        assert_close((found.embedding, *found.shares), (features.embedding, *skip_terms(nets, features.skips)))


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
    monkeypatch.setattr(encoder_graph, "encoder_graph", lambda *layers: calls.append(1) or write(*layers))
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


def test_the_key_knows_what_no_weight_says(windowed, store):
    core, keys = openvino.Core(), set()
    for change in ({}, {"taps": (1, 2)}, {"rotary_scale": 0.25}, {"heads": 4}, {"scales": (96, 64)}):
        other = WindowedViT(dataclasses.replace(windowed.config, **change)).requires_grad_(False)
        other.load_state_dict(windowed.state_dict())
        keys.add(CompiledEncoder(other, store=store)._key(openvino, core))
    assert len(keys) == 5


def test_the_key_knows_the_nets(encoder, nets, store):
    core = openvino.Core()
    shifted = nets[0]._replace(
        convolutions=tuple(layer._replace(bias=layer.bias + 1) for layer in nets[0].convolutions)
    )
    ways = [(), nets, nets[:2], (shifted, *nets[1:]), (nets[0]._replace(ones=True), *nets[1:])]
    assert len({CompiledEncoder(encoder, way, store=store)._key(openvino, core) for way in ways}) == len(ways)


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


def test_an_engine_with_the_windowed_vit_gives_the_same_with_both(small_preset_b, photo):
    engines = [random_engine("inter2former-b", size=96, encoder=name) for name in ("torch", "openvino")]
    reference, other = (engine.encode(photo()).encoded for engine in engines)
    assert_close((other.embedding, *other.edges), (reference.embedding, *reference.edges))


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


@pytest.mark.parametrize(("precision", "runtime"), [("auto", "torch"), ("float32", "torch"), ("bfloat16", "openvino")])
def test_auto_takes_openvino_for_the_windowed_vit_in_bfloat16(windowed, monkeypatch, precision, runtime):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(openvino, "Core", core_with(["FP32", "BF16"]))
    choice = choose_runtime(windowed, CPU, wanted="auto", precision=precision)
    assert (choice.runtime, choice.precision) == (runtime, "bfloat16" if runtime == "openvino" else "float32")
    if runtime == "torch":
        assert "as quick as openvino in float32" in choice.reason
    # Asked for by name, bfloat16 still is not taken unasked: no evaluation has shown what it costs.
    assert choose_runtime(windowed, CPU, wanted="openvino", precision="auto").precision == "float32"


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
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install openvino"):
        choose_runtime(encoder, CPU, wanted="openvino", precision="float32")


@pytest.mark.parametrize("capabilities", [["FP32"], ["FP32", "BF16"]])
def test_bfloat16_needs_a_processor_that_has_it(encoder, monkeypatch, capabilities):
    monkeypatch.setattr(openvino, "Core", core_with(capabilities))
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
