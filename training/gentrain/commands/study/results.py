"""The table and the figure of a study, from its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gentrain.commands.study.journal import Journal
from gentrain.commands.study.options import ARMS, Size
from gentrain.files import replacing
from gentrain.report import figures

Accuracies = dict[str, dict[Size, list[float]]]
"""Arm → n → accuracies in [0, 1], one a seed, in the order of the seeds."""


def collect(journal: Journal, sizes: Sequence[Size], seeds: int) -> Accuracies:
    """The results there are of these sizes and seeds; arms and sizes without any are left out."""
    found: Accuracies = {}
    for arm in ARMS:
        by_size = {
            size: [a for seed in range(seeds) if (a := journal.accuracy(size, seed, arm.name)) is not None]
            for size in sizes
        }
        if any(by_size.values()):
            found[arm.name] = {size: values for size, values in by_size.items() if values}
    return found


def table(found: Accuracies, sizes: Sequence[Size], counts: Mapping[Size, int]) -> str:
    """Markdown: one row an n, one column an arm, percent as mean ± standard deviation over the seeds."""
    head = ["real images a class", *found]
    rows = [[name(size, counts), *(_percent(found[arm].get(size, [])) for arm in found)] for size in sizes]
    return _markdown(head, rows)


def gains(found: Accuracies, sizes: Sequence[Size], counts: Mapping[Size, int]) -> str:
    """Markdown: what synthetic images add, in points: differences of the same seed, so the same real images."""
    pairs = [("real", "real + synthetic"), ("real + classical", "real + classical + synthetic")]
    pairs = [(without, with_) for without, with_ in pairs if {without, with_} <= found.keys()]
    head = ["real images a class", *(f"synthetic, added to {without}" for without, _ in pairs)]
    rows = []
    for size in sizes:
        differences = [
            [b - a for a, b in zip(found[x].get(size, []), found[y].get(size, []), strict=False)] for x, y in pairs
        ]
        rows.append([name(size, counts), *(_percent(values, sign="+") for values in differences)])
    return _markdown(head, rows) if pairs else ""


def write(out: Path, text: str, found: Accuracies, counts: Mapping[Size, int], title: str) -> None:
    """Write study.md and, once there is a result, study.png."""
    with replacing(out / "study.md") as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
    if not found:
        return
    by_count = {arm: {counts[size]: values for size, values in by_size.items()} for arm, by_size in found.items()}
    picture = figures.accuracies(by_count, {count: name(size, counts) for size, count in counts.items()}, title)
    with replacing(out / "study.png") as temporary:
        temporary.write_bytes(picture)


def name(size: Size, counts: Mapping[Size, int]) -> str:
    """`20`, or `all (400)`."""
    return str(size) if isinstance(size, int) else f"{size} ({counts[size]})"


def _percent(values: Sequence[float], sign: str = "") -> str:
    if not values:
        return "–"
    middle = f"{100 * figures.mean(values):{sign}.1f}"
    return f"{middle} ± {100 * figures.deviation(values):.1f}" if len(values) > 1 else middle


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * (width - 1) + ":" for width in widths], *rows]
    return "\n".join("| " + " | ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in lines) + "\n"
