"""The list of released tensors that is made from the network equals the stored one."""

from __future__ import annotations

from inter2former.config import preset
from inter2former.released_keys import released_tensors, rename, rename_back


def test_released_tensors(load_description):
    stored = load_description("official_state_dict")["keys"]
    listed = {
        key: {"shape": list(shape), "dtype": str(dtype).removeprefix("torch.")}
        for key, (shape, dtype) in released_tensors(preset("inter2former-b")).items()
    }
    assert listed == {key: {name: entry[name] for name in ("shape", "dtype")} for key, entry in stored.items()}


def test_names_translate_there_and_back(load_description):
    names = {key: rename(key) for key in load_description("official_state_dict")["keys"]}
    found = {key: name for key, name in names.items() if name is not None}
    assert len(found) == len(set(found.values()))
    assert {rename_back(name): name for name in found.values()} == found
