"""HTML of a page that stands alone: every image inside it, no script, no request to anywhere, light or dark.

What is on the page is its caller's part. Every function here escapes the text that it is given; what is called `body`
or `html` is HTML already.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --faint: #62626a; --line: #d9d9de; --back: #ffffff; --well: #f4f4f6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e9; --faint: #a2a2ab; --line: #3a3a40; --back: #16161a; --well: #222227; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.2rem 1rem 4rem; background: var(--back); color: var(--ink);
       font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .6rem 0; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
p { max-width: 44rem; }
p, figcaption { color: var(--faint); }
p.lead { color: var(--ink); }
figcaption { font-size: .9rem; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; }
img.pixels, picture img { width: 100%; }
img.pixels { image-rendering: pixelated; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.6rem 2rem; }
.narrow { max-width: 30rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line);
         vertical-align: middle; }
td.number, th.number { text-align: right; white-space: nowrap; }
table.pictures { width: 100%; }
table.pictures th { min-width: 4rem; }
table.pictures td { width: 46%; padding: .2rem .6rem .2rem 0; }
@media (max-width: 40rem) {
  table.pictures tr { display: grid; border-bottom: 1px solid var(--line); padding-bottom: .4rem; }
  table.pictures td, table.pictures th { width: auto; border: 0; padding: .1rem 0; }
}
code { background: var(--well); padding: .1rem .3rem; border-radius: .25rem; }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(title: str, body: Iterable[str]) -> bytes:
    """A whole page in UTF-8; what UTF-8 cannot hold (parts of names that are no text) becomes a question mark."""
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(body)).encode("utf-8", "replace")


def heading(text: str) -> str:
    """The heading of the whole page."""
    return f"<h1>{escape(text)}</h1>"


def section(title: str, *body: str) -> str:
    """A heading and what follows; nothing where nothing follows."""
    inside = "\n".join(part for part in body if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inside}\n</section>" if inside else ""


def paragraph(text: str, kind: str = "") -> str:
    """One paragraph of plain text; `words in backquotes` are set as code."""
    parts = [f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(text.split("`"))]
    return f"<p{f' class={kind}' if kind else ''}>{''.join(parts)}</p>"


def image(data: bytes, media_type: str, alt: str, pixels: bool = False) -> str:
    """An image inside the page; `pixels` keeps its pixels square where it is enlarged, and fills the width."""
    return f'<img{" class=pixels" if pixels else ""} src="{_uri(data, media_type)}" alt="{escape(alt)}">'


def themed(light: str, dark: str, alt: str) -> str:
    """One chart as SVG in two sets of colours."""
    dark_uri, light_image = _uri(dark.encode(), "image/svg+xml"), image(light.encode(), "image/svg+xml", alt)
    return f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark_uri}">{light_image}</picture>'


def moving(data: bytes, media_type: str, still: bytes, alt: str) -> str:
    """An animation, and a PNG for those who want nothing to move."""
    source = f'<source media="(prefers-reduced-motion: reduce)" srcset="{_uri(still, "image/png")}">'
    return f"<picture>{source}{image(data, media_type, alt)}</picture>"


def figure(body: str, title: str = "", caption: str = "") -> str:
    """An image with a heading above and a line below."""
    head = f"<h3>{escape(title)}</h3>\n" if title else ""
    tail = f"\n<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>\n{head}{body}{tail}\n</figure>"


def grid(bodies: Sequence[str]) -> str:
    """Side by side where the screen is wide enough."""
    return '<div class="grid">\n' + "\n".join(bodies) + "\n</div>" if bodies else ""


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """A table of text: the first column names its row, and where there is a head the others are numbers."""
    kind = ' class="number"' if head else ""
    top = "".join(f'<th scope="col"{kind if i else ""}>{escape(cell)}</th>' for i, cell in enumerate(head))
    lines = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td{kind}>{escape(c)}</td>" for c in cells)}</tr>'
        for name, *cells in rows
    ]
    body = (f"<tr>{top}</tr>\n" if top else "") + "\n".join(lines)
    return f'<div class="wide"><table>\n{body}\n</table></div>' if rows else ""


def fold(title: str, body: str) -> str:
    """What is shown on a click; nothing where nothing is in it."""
    return f"<details><summary>{escape(title)}</summary>\n{body}\n</details>" if body else ""


def pictures(rows: Sequence[tuple[str, str, str]], head: tuple[str, str, str]) -> str:
    """A table with a name and two images a row."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = [f'<tr><th scope="row">{escape(n)}</th><td>{a}</td><td>{b}</td></tr>' for n, a, b in rows]
    return f'<table class="pictures">\n<tr>{top}</tr>\n' + "\n".join(lines) + "\n</table>"


def _uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
