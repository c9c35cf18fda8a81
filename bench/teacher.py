"""Measure the teacher, the MobileSAM-architecture weights, and compare with the figures stated for it.

    python bench/teacher.py grabcut/ --weights mobile_sam.safetensors [--every 1] [--workers 1]

Protocol `strict`, 20 clicks, working size 1024. A figure agrees when the stated one lies inside the 95 % interval of
the measured one; with --every N that interval is the wider one of fewer objects. Exit code 1: some figure does not.
"""

from __future__ import annotations

import argparse
import sys

from inter2former.data.layouts import open_dataset
from inter2former.evaluation.job import Job
from inter2former.evaluation.runner import evaluate_here, evaluate_in_processes, tasks_of
from inter2former.evaluation.segmenters.choice import MobileSamFactory
from inter2former.evaluation.summary import Summary, summarise

COLUMNS = ("noc85", "noc90", "noc95", "nof90", "nof95", "iou_1", "iou_3", "iou_5", "iou_20", "boundary_iou_5")

# Measured once with other code, on all objects; by the name of the data set's folder.
STATED = {
    "grabcut": dict(zip(COLUMNS, (2.08, 2.38, 4.34, 0, 3, 0.679, 0.906, 0.957, 0.980, 0.882), strict=True)),
    "davis345": dict(zip(COLUMNS, (5.90, 9.48, 16.61, 117, 257, 0.627, 0.805, 0.853, 0.892, 0.750), strict=True)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a folder named grabcut or davis345 for the comparison, or any other")
    parser.add_argument("--weights", required=True, help="a .safetensors file in the MobileSAM layout")
    parser.add_argument("--every", type=int, default=1, help="only every Nth image")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of each process (1)")
    options = parser.parse_args()
    summary = measured(options)
    stated = STATED.get(summary.dataset, {})
    print(f"{summary.dataset}: {summary.objects} objects, {summary.problems} problems")
    wrong = 0
    for name, value in values(summary).items():
        interval = summary.intervals.get(name)  # counts of failures have none
        verdict = ""
        if interval is not None and name in stated:
            agrees = interval[0] <= stated[name] <= interval[1]
            verdict = "agrees" if agrees else "DIFFERS"
            wrong += not agrees
        bracket = "[{:.3f}, {:.3f}]".format(*interval) if interval else "" if options.every == 1 else "of fewer objects"
        print(f"{name:<16}{value:8.3f}  {bracket:<18}stated {stated.get(name, '-'):<8}{verdict}")
    print(f"encode {summary.encode_p50_ms:.0f} ms, click {summary.spc_decode_p50_ms:.0f} ms (medians)")
    return int(wrong > 0)


def measured(options: argparse.Namespace) -> Summary:
    dataset = open_dataset(options.dataset)
    dataset = dataset.subset(range(len(dataset))[:: options.every])
    job = Job(dataset, MobileSamFactory(options.weights))
    engine = evaluate_here if options.workers == 1 else evaluate_in_processes
    records = []
    for record in engine(job, tasks_of(len(dataset)), options.workers, options.threads):
        records.append(record)
        print(f"{len(records)} of about {len(dataset)}: {record.id}", file=sys.stderr, flush=True)
    return summarise(dataset.name, records, job.clicks)


def values(summary: Summary) -> dict[str, float]:
    """The columns' figures by name."""
    ious = {f"iou_{clicks}": value for clicks, value in summary.iou.items()}
    return {name: float(ious[name] if name in ious else getattr(summary, name)) for name in COLUMNS}


if __name__ == "__main__":
    sys.exit(main())
