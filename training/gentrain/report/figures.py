"""Charts, all in one style, as SVG or PNG: the curves of a run, and the accuracies of an augmentation study.

They draw the numbers that they are given; reading those from files is their callers' part. The colours are Okabe and
Ito's, distinct to the colour-blind too; matplotlib's objects are used directly, so no global figure is left behind.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

Curve = tuple[Sequence[float], Sequence[float]]
"""x and y of one line, of the same length."""

DECADES_FOR_LOG = 1.3  # values that span more are drawn on a log scale
FEW_POINTS = 40  # up to so many points each has a dot
LABEL_HEIGHT = 0.085  # of a line's name, as part of the axes' height
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Theme:
    """Colours for a page's background, light or dark."""

    ink: str
    grid: str
    lines: tuple[str, ...]


LIGHT = Theme("#333333", "#dddddd", ("#0072B2", "#D55E00", "#008060", "#AA4488", "#555555", "#9A7500"))
DARK = Theme("#d0d0d0", "#444444", ("#56B4E9", "#F09030", "#30C090", "#E090C0", "#bbbbbb", "#E8D050"))


def curves(
    lines: Mapping[str, Curve],
    x_label: str,
    y_label: str,
    theme: Theme = LIGHT,
    references: Mapping[str, float] | None = None,
    may_be_log: bool = True,
) -> str:
    """Lines over the same x axis, which begins at 0, as SVG; where there are several, each is named at its end.

    Args:
        lines: name → its points, all finite; at least one line, each with at least one point.
        x_label: what the x axis shows, with its unit.
        y_label: the same for the y axis.
        theme: colours.
        references: name of a line → the level that real images reach, drawn dashed in that line's
            colour; none that a log axis cannot show.
        may_be_log: whether the y axis is to be logarithmic where positive values span more than `DECADES_FOR_LOG`.
    """
    figure = Figure(figsize=(4.6, 2.9), layout="constrained")
    axes = figure.add_subplot()
    is_log = may_be_log and _is_wide([value for _, y in lines.values() for value in y])
    references = {name: reference for name, reference in (references or {}).items() if reference > 0 or not is_log}
    names = {}
    for (name, (x, y)), color in zip(lines.items(), itertools.cycle(theme.lines), strict=False):
        axes.plot(x, y, color=color, linewidth=1.6, marker="o" if len(x) <= FEW_POINTS else "", markersize=3)
        if name in references:
            axes.axhline(references[name], color=color, linewidth=1.2, linestyle=(0, (4, 3)))
        names[name] = (y[-1], color)
    if references and len(lines) == 1:
        names["reference"] = (next(iter(references.values())), theme.ink)
    if is_log:
        _log_axis(axes.yaxis, axes.set_yscale)
    axes.set_xlim(0, 1.03 * max(max(x) for x, _ in lines.values()) or 1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _dress(axes, x_label, y_label, theme)
    if len(names) > 1:
        _name_at_the_end(axes, names)
    return _svg(figure)


def accuracies(
    arms: Mapping[str, Mapping[int, Sequence[float]]], x_names: Mapping[int, str], title: str, theme: Theme = LIGHT
) -> bytes:
    """Mean accuracy over real images a class (log axis), an error bar of one standard deviation each; PNG.

    Args:
        arms: what was trained on → images a class → accuracies in [0, 1], one a seed.
        x_names: images a class → how its tick is called.
        title: one line above.
        theme: colours.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    names = {}
    for i, (arm, results) in enumerate(arms.items()):
        color = theme.lines[i % len(theme.lines)]
        # Bars of different arms stand side by side.
        x = [n * 1.035 ** (i - (len(arms) - 1) / 2) for n in sorted(results)]
        means = [100 * mean(results[n]) for n in sorted(results)]
        spreads = [100 * deviation(results[n]) for n in sorted(results)]
        marker = MARKERS[i % len(MARKERS)]
        axes.errorbar(x, means, spreads, color=color, marker=marker, markersize=5, linewidth=1.6, capsize=3)
        names[arm] = (means[-1], color)
    axes.set_xscale("log")
    axes.set_xlim(min(x_names) / 1.3, max(x_names) * 1.3)
    axes.set_xticks(sorted(x_names), [x_names[n] for n in sorted(x_names)])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set_title(title, fontsize=11, color=theme.ink, loc="left")
    _dress(axes, "real images a class", "accuracy on held-out real images, %", theme)
    _name_at_the_end(axes, names)
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=160)
        return file.getvalue()


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n − 1); 0 for one value."""
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / max(len(values) - 1, 1))


def _is_wide(values: Sequence[float]) -> bool:
    """Whether all values are positive and span more than `DECADES_FOR_LOG` decades."""
    low, high = min(values), max(values)
    return low > 0 and math.log10(high / low) > DECADES_FOR_LOG


def _log_axis(axis: Any, set_scale: Any) -> None:
    set_scale("log")
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.6 else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())


def _dress(axes: Any, x_label: str, y_label: str, theme: Theme) -> None:
    """No frame, a faint grid, labels in the theme's ink."""
    axes.set_xlabel(x_label, color=theme.ink)
    axes.set_ylabel(y_label, color=theme.ink)
    axes.set_facecolor("none")
    axes.grid(True, axis="y", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", which="both", colors=theme.ink, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.ink)


def _name_at_the_end(axes: Any, names: Mapping[str, tuple[float, str]]) -> None:
    """Write each line's name right of its last point, moved apart where they would overlap."""
    axes.autoscale_view()  # matplotlib settles the limits late
    at = {
        name: float(axes.transLimits.transform(axes.transScale.transform((1.0, y)))[1])
        for name, (y, _) in names.items()
    }
    # From the bottom up, each at least a line's height above the one below; then back down from the top.
    order = sorted(at, key=lambda name: at[name])
    for below, above in itertools.pairwise(order):
        at[above] = max(at[above], at[below] + LABEL_HEIGHT)
    ceiling = 1.0
    for name in reversed(order):
        at[name], ceiling = min(at[name], ceiling), min(at[name], ceiling) - LABEL_HEIGHT
    for name, (_, color) in names.items():
        axes.annotate(
            name,
            (1.02, at[name]),
            xycoords="axes fraction",
            color=color,
            va="center",
            fontsize=9,
            annotation_clip=False,
        )


def _svg(figure: Figure) -> str:
    """The figure as an SVG element: text as outlines, so that it looks alike everywhere; the same bytes each time."""
    with io.StringIO() as file, matplotlib.rc_context({"svg.hashsalt": "gentrain"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = file.getvalue()
    return text[text.index("<svg") :]
