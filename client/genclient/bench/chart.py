"""A load test as a picture: images a second and latencies over the number of requests at a time; SVG or PNG.

Two panels of lines, drawn from a few primitives either as SVG or by Pillow, so that no plotting package is needed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 420
PANEL_WIDTH, PANEL_HEIGHT, TOP = 380, 260, 84
LEFTS = (70, 540)
INK, FAINT = "#24292f", "#d8dee4"
COLOURS = ("#0969da", "#1a7f37", "#9a6700", "#cf222e")
SHOWN = ("p50", "p90", "p95", "p99")
SCALE = 2  # of the PNG, for sharp letters

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: tuple[Point, ...]
    colour: str
    width: float = 1.0


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    at: Point
    colour: str


@dataclass(frozen=True)
class Text:
    """A line of text: `anchor` is start, middle or end; `at` is on its base line."""

    at: Point
    text: str
    anchor: str = "start"
    colour: str = INK
    size: int = 13


Shape = Line | Dot | Text


@dataclass(frozen=True)
class Series:
    """Values over the levels, None where there is none."""

    name: str
    values: Sequence[float | None]


def draw(levels: Sequence[dict[str, Any]], title: str) -> list[Shape]:
    """The shapes for levels as `Level.summary` gives them."""
    names = [str(level["concurrency"]) for level in levels]
    rates = [Series("images/s", [level["images_per_second"] for level in levels])]
    latencies = [Series(name, [level["latency_ms"][name] for level in levels]) for name in SHOWN]
    shapes: list[Shape] = [Text((LEFTS[0] - 40, 32), title, size=16)]
    shapes += _panel(LEFTS[0], "images a second", names, rates)
    return shapes + _panel(LEFTS[1], "latency, ms", names, latencies)


def svg(shapes: Sequence[Shape]) -> bytes:
    """An SVG document."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    lines = [f'{head} font-family="sans-serif">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    return "\n".join([*lines, *map(_element, shapes), "</svg>\n"]).encode()


def png(shapes: Sequence[Shape]) -> bytes:
    """A PNG file, twice as large as the SVG says."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "white")
    pen = ImageDraw.Draw(picture)
    for shape in shapes:
        if isinstance(shape, Line):
            points = [(x * SCALE, y * SCALE) for x, y in shape.points]
            pen.line(points, fill=shape.colour, width=round(shape.width * SCALE), joint="curve")
        elif isinstance(shape, Dot):
            x, y = shape.at
            pen.ellipse([(x - 3) * SCALE, (y - 3) * SCALE, (x + 3) * SCALE, (y + 3) * SCALE], fill=shape.colour)
        else:
            font = ImageFont.load_default(shape.size * SCALE)
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            # Pillow's own font has no more letters than this.
            text = shape.text.encode("latin-1", "replace").decode("latin-1")
            pen.text((shape.at[0] * SCALE, shape.at[1] * SCALE), text, shape.colour, font, anchor)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _panel(left: float, title: str, names: Sequence[str], series: Sequence[Series]) -> list[Shape]:
    """A panel with its axes, lines and legend."""
    bottom = TOP + PANEL_HEIGHT
    top_value = _round_up(max((value for one in series for value in one.values if value is not None), default=1.0))
    shapes: list[Shape] = [Text((left, TOP - 18), title, size=14)]
    for step in range(5):
        y = bottom - PANEL_HEIGHT * step / 4
        shapes.append(Line(((left, y), (left + PANEL_WIDTH, y)), INK if step == 0 else FAINT))
        shapes.append(Text((left - 8, y + 4), f"{top_value * step / 4:g}", "end"))
    places = [left + PANEL_WIDTH * (index + 0.5) / len(names) for index in range(len(names))]
    every = math.ceil(len(names) / 16)
    shapes += [Text((x, bottom + 20), name, "middle") for x, name in list(zip(places, names, strict=True))[::every]]
    shapes.append(Text((left + PANEL_WIDTH / 2, bottom + 44), "requests at a time", "middle"))
    for index, (one, colour) in enumerate(zip(series, COLOURS, strict=False)):
        shapes += _curve(one, colour, places, bottom, top_value)
        if len(series) > 1:
            x = left + 150 + 62 * index
            shapes += [Dot((x, TOP - 22), colour), Text((x + 8, TOP - 18), one.name)]
    return shapes


def _curve(series: Series, colour: str, places: Sequence[float], bottom: float, top_value: float) -> list[Shape]:
    points = [
        (x, bottom - PANEL_HEIGHT * value / top_value)
        for x, value in zip(places, series.values, strict=True)
        if value is not None
    ]
    line: list[Shape] = [Line(tuple(points), colour, 2.0)] if len(points) > 1 else []
    return [*line, *(Dot(point, colour) for point in points)]


def _round_up(value: float) -> float:
    """The next of 1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8 times a power of ten, whose quarters read well."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value * 0.999)


def _element(shape: Shape) -> str:
    if isinstance(shape, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        return f'<polyline points="{points}" fill="none" stroke="{shape.colour}" stroke-width="{shape.width:g}"/>'
    if isinstance(shape, Dot):
        return f'<circle cx="{shape.at[0]:.1f}" cy="{shape.at[1]:.1f}" r="3" fill="{shape.colour}"/>'
    x, y = shape.at
    style = f'font-size="{shape.size}" text-anchor="{shape.anchor}" fill="{shape.colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(shape.text)}</text>'
