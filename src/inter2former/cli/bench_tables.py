"""What `inter2former bench` prints: times as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inter2former.benchmark.ablation import AblationRow
from inter2former.benchmark.session import SessionTimes, StageTimes
from inter2former.evaluation.peers import PeerLatency

__all__ = ["ablation_table", "peer_table", "session_table"]


def session_table(times: SessionTimes) -> str:
    """A session's stages: median, quartiles, the least they could take, and how much of that is reached."""
    rates = times.rates
    lines = [
        f"{times.preset} at {times.size} px, {times.threads} threads, {times.machine}; image encoder: {times.encoder}",
        f"This machine, now: {rates.operations / 1e9:.0f} G operations/s in matrix products, "
        f"{rates.bytes / 1e9:.1f} GB/s in copies.",
        f"{'milliseconds':<30}{'median':>10}{'quartiles':>20}{'floor':>9}{'reached':>9}",
        "encode",
        *_rows(times.encode),
        _row("first click", times.first_click, indent=""),
    ]
    for share, stages in times.clicks.items():
        boundary = times.boundary_shares[share]
        lines += [
            f"later click, box of {share} of the side, {boundary:.1%} of the tokens at the boundary",
            *_rows(stages),
            f"    the whole is {times.beyond_stages[share]:+.0%} of the stages' sum away from it",
        ]
    lines.append(f"peak memory {times.peak_memory_gib:.2f} GiB")
    lines.append("The floor counts the operations of the reference; a kernel that needs fewer reaches more than 100 %.")
    return "\n".join(lines)


def peer_table(peers: Mapping[str, PeerLatency], missing: Mapping[str, str]) -> str:
    """Other segmenters, and why some were not measured; nothing where there are neither."""
    lines = []
    if peers:
        lines.append(f"{'peers, milliseconds':<32}" + "".join(f"{stage:>10}" for stage in PeerLatency.STAGES))
    for name, peer in peers.items():
        cells = (getattr(peer, stage).median for stage in PeerLatency.STAGES)
        lines.append(f"{name:<32}" + "".join(f"{1000 * seconds:10.1f}" for seconds in cells))
    lines += [f"{name:<32}not measured: {reason}" for name, reason in missing.items()]
    return "".join(line + "\n" for line in lines)


def ablation_table(rows: Sequence[AblationRow], facts: Mapping[str, object]) -> str:
    """The rows of an ablation, one line each.

    Args:
        rows: at least one.
        facts: `preset`, `size`, `box`, `threads` and `machine` of all rows.
    """
    stages = list(rows[0].milliseconds)
    width = max(len(row.name) for row in rows)
    header = f"{'':<{width}}  parameters  boundary  " + "  ".join(f"{stage:>18}" for stage in (*stages, "one click"))
    lines = [
        f"{facts['preset']} at {facts['size']} px, object's box {facts['box']:.0%} of the side, "
        f"{facts['threads']} threads, {facts['machine']}",
        "Each stage: billions of operations in matrix products, convolutions and attention (counted; 2 for a product "
        "and its sum), median milliseconds.",
        header,
    ]
    for row in rows:
        cells = [(row.operations[stage], row.milliseconds[stage]) for stage in stages]
        cells.append((sum(row.operations.values()), sum(row.milliseconds.values())))
        figures = "  ".join(f"{count / 1e9:8.2f}  {time:8.1f}" for count, time in cells)
        lines.append(f"{row.name:<{width}}  {row.parameters:10d}  {row.boundary_share:8.1%}  {figures}")
    return "\n".join(lines)


def _rows(stages: Mapping[str, StageTimes]) -> list[str]:
    return [_row(name, stage, indent="    ") for name, stage in stages.items()]


def _row(name: str, stage: StageTimes, *, indent: str) -> str:
    time = stage.time
    line = f"{indent + name:<30}{time.median:10.4g}{f'{time.low:.4g} to {time.high:.4g}':>20}"
    if stage.floor is None or stage.share is None:
        return line
    return f"{line}{stage.floor.milliseconds:9.3g}{stage.share:9.0%}"
