"""Make the committed subset from a folder of all fixtures: `python tests/parity/make_subset.py FOLDER`.

Small files are copied. Of larger ones some cases are kept, in the same format. What is left out: `e2e`, `hrsam_tiny`,
`neck_real` and `canny_net`, whose weights or maps alone are too large.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

SUBSET = Path(__file__).resolve().parent / "fixtures"
LIMIT_BYTES = 3_000_000

COPIED = (
    "binary_iou_np",
    "boundary",
    "bsq_attention_eval",
    "bsq_attention_train",
    "canny",
    "click_simulation",
    "dpe",
    "full_attention_rope",
    "hybrid_moe_train_bias",
    "losses",
    "noc",
    "num_clicks_sampling",
    "official_state_dict",
    "patch_conv",
    "ref_label_updates",
    "sim_mlp",
    "upsample2x",
)

# Tensors left out, by the start of their names. The mixture of experts keeps the cases with weights of their own, local
# upsampling the one with the smallest maps, whose coarse net finds nothing.
CUT = {
    "hybrid_moe_eval": ("c4.", "q8.", "q8scale.", "w."),
    "dlu": ("c0.", "c1.", "c2."),
}


def cut(source: Path, name: str, left_out: tuple[str, ...]) -> None:
    """Write one file without the tensors and cases that start with `left_out`."""
    tensors = {
        key: value for key, value in load_file(source / f"{name}.safetensors").items() if not key.startswith(left_out)
    }
    save_file(tensors, SUBSET / f"{name}.safetensors")
    description = json.loads((source / f"{name}.json").read_text(encoding="utf-8"))
    for part in ("tensors", "cases"):
        kept = {key: value for key, value in description[part].items() if not f"{key}.".startswith(left_out)}
        description[part] = kept
    (SUBSET / f"{name}.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


def main(source: Path) -> None:
    """Copy and cut, then check the size of the whole."""
    for name in COPIED:
        for file in sorted(source.glob(f"{name}.*")):
            target = SUBSET / file.name
            target.unlink(missing_ok=True)
            shutil.copyfile(file, target)
    for name, left_out in CUT.items():
        cut(source, name, left_out)
    size = sum(file.stat().st_size for file in SUBSET.iterdir())
    if size > LIMIT_BYTES:
        raise SystemExit(f"{SUBSET.name} holds {size} bytes; {LIMIT_BYTES} are allowed: leave more out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
