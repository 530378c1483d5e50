"""HTML of a page that stands alone: every image inside it, no script, no request to anywhere, light or dark.

What is on the page is its caller's part, and the tags and the style are in templates/. Every function here escapes the
text that it is given; what is called `body` is HTML already.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("gentrain.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _macro(name: str, *arguments: Any) -> Markup:
    macros: Any = _templates().get_template("macros.html").module
    return Markup(str(getattr(macros, name)(*arguments)).strip())


def page(title: str, body: Iterable[Markup]) -> bytes:
    """A whole page in UTF-8; what UTF-8 cannot hold (parts of names that are no text) becomes a question mark."""
    html = _templates().get_template("page.html").render(title=title, body=body)
    return (html + "\n").encode("utf-8", "replace")


def heading(text: str) -> Markup:
    """The heading of the whole page."""
    return _macro("heading", text)


def section(title: str, *body: Markup) -> Markup:
    """A heading and what follows; nothing where nothing follows."""
    inside = Markup("\n").join(part for part in body if part)
    return _macro("section", title, inside) if inside else Markup()


def paragraph(text: str, kind: str = "") -> Markup:
    """One paragraph of plain text; `words in backquotes` are set as code."""
    return _macro("paragraph", text, kind)


def image(data: bytes, media_type: str, alt: str, pixels: bool = False) -> Markup:
    """An image inside the page; `pixels` keeps its pixels square where it is enlarged, and fills the width."""
    return _macro("image", _uri(data, media_type), alt, pixels)


def themed(light: str, dark: str, alt: str) -> Markup:
    """One chart as SVG in two sets of colours."""
    dark_uri, light_image = _uri(dark.encode(), "image/svg+xml"), image(light.encode(), "image/svg+xml", alt)
    return _macro("either", "prefers-color-scheme: dark", dark_uri, light_image)


def moving(data: bytes, media_type: str, still: bytes, alt: str) -> Markup:
    """An animation, and a PNG for readers who prefer reduced motion."""
    return _macro("either", "prefers-reduced-motion: reduce", _uri(still, "image/png"), image(data, media_type, alt))


def figure(body: Markup, title: str = "", caption: str = "", narrow: bool = False) -> Markup:
    """An image with a heading above and a line below."""
    made = _macro("figure", body, title, caption)
    return Markup('<div class="narrow">{}</div>').format(made) if narrow else made


def grid(bodies: Sequence[Markup]) -> Markup:
    """Side by side where the screen is wide enough."""
    return _macro("grid", bodies) if bodies else Markup()


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> Markup:
    """A table of text: the first column names its row, and where there is a head the others are numbers."""
    return _macro("table", rows, head) if rows else Markup()


def fold(title: str, body: Markup) -> Markup:
    """What is shown on a click; nothing where nothing is in it."""
    return _macro("fold", title, body) if body else Markup()


def pictures(rows: Sequence[tuple[str, str, str]], head: tuple[str, str, str]) -> Markup:
    """A table with a name and two images a row."""
    return _macro("pictures", rows, head)


def _uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
