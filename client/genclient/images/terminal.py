"""Pictures in the terminal: half blocks in 24-bit colour anywhere, and the picture itself where the terminal takes it.

Only terminals that say themselves who they are get a picture: their variables also reach tmux and screen, which pass
pictures on to nobody. Sources: kitty's graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol), iTerm2's inline
images (iterm2.com/documentation-images.html).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genclient.images.grid import picture, png

MOST_COLUMNS = 160

_LARGEST_ZOOM = 4
_FEWEST_COLUMNS = 8  # in which what moves can be made out
_CHUNK = 4096  # base64 characters in one of kitty's escape codes, at most


def render(image: NDArray[np.uint8], columns: int, environment: Mapping[str, str] | None = None) -> str:
    """What draws pixels (H, W, C), at most `columns` wide.

    Args:
        image: uint8, C 1, 3 or 4.
        columns: of the terminal.
        environment: its variables; None where no terminal is there to be requested more than colours.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    kind = protocol(environment or {})
    if kind == "kitty":
        return _kitty(png(image, {}))
    if kind == "iterm":
        return _iterm(png(image, {}))
    return half_blocks(_fitted(image, min(columns, MOST_COLUMNS)))


def played(frames: NDArray[np.uint8], columns: int, lines: int) -> list[str]:
    """What draws frames (T, H, W, C), uint8, in half blocks: the first, then each in the place of the one before.

    The last is the first again. Nothing where the terminal has too few lines.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    height, width = frames.shape[1:3]
    fitting = min(columns, MOST_COLUMNS, 2 * (lines - 2) * width // height)
    if fitting < _FEWEST_COLUMNS:
        return []
    drawn = [half_blocks(_fitted(frame, fitting)) for frame in frames]
    up = f"\x1b[{drawn[0].count(chr(10))}A"
    return [drawn[0], *(up + text for text in (*drawn[1:], drawn[0]))]


def protocol(environment: Mapping[str, str]) -> str:
    """How a terminal takes pictures: `kitty`, `iterm` or `blocks`."""
    term = environment.get("TERM", "")
    if term in ("xterm-kitty", "xterm-ghostty"):
        return "kitty"
    inside = term.startswith(("screen", "tmux")) or "TMUX" in environment
    return "iterm" if environment.get("TERM_PROGRAM") == "iTerm.app" and not inside else "blocks"


def half_blocks(pixels: NDArray[np.uint8]) -> str:
    """Lines of ▀ for pixels (H, W, 3): the upper one is the character's colour, the lower one that of its ground."""
    if len(pixels) % 2:
        pixels = np.concatenate([pixels, np.zeros_like(pixels[:1])])
    lines = []
    for upper, lower in zip(pixels[0::2].tolist(), pixels[1::2].tolist(), strict=True):
        line, before = [], None
        for colours in zip(upper, lower, strict=True):
            if colours != before:
                (r, g, b), (x, y, z) = colours
                line.append(f"\x1b[38;2;{r};{g};{b};48;2;{x};{y};{z}m")
            line.append("▀")
            before = colours
        lines.append("".join(line) + "\x1b[0m\n")
    return "".join(lines)


def _fitted(image: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """RGB pixels: smaller where there is no room, larger where there is much; transparency lies on black."""
    found = picture(image)
    if found.mode == "RGBA":
        found = Image.alpha_composite(Image.new("RGBA", found.size, (0, 0, 0, 255)), found)
    found = found.convert("RGB")
    if found.width > columns:
        height = max(1, round(found.height * columns / found.width))
        return np.asarray(found.resize((columns, height), Image.Resampling.LANCZOS))
    zoom = min(_LARGEST_ZOOM, columns // found.width)
    return np.asarray(found.resize((found.width * zoom, found.height * zoom), Image.Resampling.NEAREST))


def _kitty(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    parts = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    heads = ["a=T,f=100,"] + [""] * (len(parts) - 1)
    last = len(parts) - 1
    codes = (
        f"\x1b_G{head}m={int(i < last)};{part}\x1b\\" for i, (head, part) in enumerate(zip(heads, parts, strict=True))
    )
    return "".join(codes) + "\n"


def _iterm(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return f"\x1b]1337;File=inline=1;size={len(content)}:{text}\a\n"
