"""Print the rows of the results table, as the README and the model card have them, from stored summaries.

    inter2former evaluate grabcut/ --json > bench/results/quality-grabcut.json
    python bench/quality_table.py

One row per bench/results/quality-*.json; 95 % bootstrap intervals in brackets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
HEADER = "| set (objects) | NoC85 | NoC90 | NoC95 | NoF90 | NoF95 | IoU@1 | @3 | @5 | @10 | @20 | boundary IoU@5 |"
NAMES = {"grabcut": "GrabCut", "davis345": "DAVIS"}


def main() -> None:
    print(HEADER)
    print("|" + "---|" * (HEADER.count("|") - 1))
    for row in rows():
        print(row)


def rows() -> list[str]:
    """One row per stored summary, the smaller sets first."""
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("quality-*.json")]
    return [row(summary) for summary in sorted(summaries, key=lambda summary: int(summary["objects"]))]


def row(summary: dict[str, Any]) -> str:
    """One row of the table."""
    iou, intervals = summary["iou"], summary["intervals"]

    def with_interval(name: str, value: float, digits: int) -> str:
        low, high = intervals[name]
        return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    cells = (
        f"{NAMES.get(summary['dataset'], summary['dataset'])} ({summary['objects']})",
        f"{summary['noc85']:.2f}",
        with_interval("noc90", summary["noc90"], 2),
        with_interval("noc95", summary["noc95"], 2),
        str(summary["nof90"]),
        str(summary["nof95"]),
        f"{iou['1']:.3f}",
        f"{iou['3']:.3f}",
        with_interval("iou_5", iou["5"], 3),
        f"{iou['10']:.3f}",
        f"{iou['20']:.3f}",
        with_interval("boundary_iou_5", summary["boundary_iou_5"], 3),
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
