"""`doctor`: facts about the machine and a self-test, which random weights fail."""

from __future__ import annotations

import json

import torch


def test_facts_as_json(run, small):
    result = run("doctor", "--json", "--threads", 1, *small)
    facts = json.loads(result.out)
    assert result.code == 1
    assert facts["self_test"] == "failed: the mask of a plain disc is wrong"
    assert facts["packages"]["torch"] == torch.__version__
    assert facts["threads"] == 1
    assert facts["weights"] == "random.safetensors loads"
    assert min(facts[name] for name in ("load_ms", "encode_ms", "click_ms")) > 0
    assert set(facts["kernels"].values()) <= {"reference", "native"}
    assert facts["encoder"].startswith(("torch float32 (", "openvino float32 ("))


def test_facts_as_text(run, small):
    lines = run("doctor", *small).out.splitlines()
    assert lines[0].startswith("inter2former  ")
    assert any(line.startswith("kernels       ") for line in lines)


def test_says_what_runs_the_image_encoder(run, small):
    facts = json.loads(run("doctor", "--json", "--encoder", "torch", *small).out)
    assert facts["encoder"] == "torch float32 (asked for)"
    assert "encoder_cache" not in facts


def test_weights_that_do_not_load_are_a_finding(run, tmp_path):
    result = run("doctor", "--json", "--weights", tmp_path / "absent")
    facts = json.loads(result.out)
    assert result.code == 1
    assert facts["weights"].startswith("failed: no weights at")
    assert facts["self_test"] == "failed"


def test_mistakes_in_one_sentence(refused, random_weights):
    assert "unknown preset 'q'; the presets are inter2former-b, inter2former-t" in refused("doctor", "--preset", "q")
    assert "size is 8, wanted" in refused("doctor", "--weights", random_weights, "--size", 8)
    wrong = refused("doctor", "--weights", random_weights, "--encoder", "torch", "--precision", "bfloat16")
    assert "precision is bfloat16, which torch does not run" in wrong
    assert "threads is 0" in refused("doctor", "--weights", random_weights, "--threads", 0)


def test_the_shipped_weights_pass(run, shipped):
    assert run("doctor").code == 0
