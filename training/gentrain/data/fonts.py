"""A font that can show a name: Pillow's own, one of the system's, or the name in Latin letters; never boxes."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Scripts whose letters change shape with their neighbours, or run from right to left: that takes Pillow's Raqm.
COMPLEX = (
    "ARABIC",
    "HEBREW",
    "SYRIAC",
    "THAANA",
    "NKO",
    "DEVANAGARI",
    "BENGALI",
    "TAMIL",
    "TELUGU",
    "KANNADA",
    "KHMER",
)
FOLDERS: tuple[str, ...] = ("/usr/share/fonts", "/Library/Fonts", "/System/Library/Fonts")
SUFFIXES = (".ttf", ".otf", ".ttc")


def fitting(text: str, size: int) -> tuple[Font, str]:
    """A font of so many pixels, and the text as that font can show it.

    Where no font has all its characters they are written in Latin letters: `東京` → `DongJing`, as anyascii does it.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if _can_be_laid_out(text):
        for path in ("", *_files_with(text)):
            font = _load(path, size)
            if font is not None and all(_has(path, letter) for letter in text):
                return font, text
    return ImageFont.load_default(size), _in_ascii(text)


@lru_cache(maxsize=64)
def _load(path: str, size: int) -> Font | None:
    """The font of a file, Pillow's own for no path; None for one that cannot be read."""
    try:
        return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _has(path: str, letter: str) -> bool:
    """Whether the font draws something else for `letter` than for a character that no font has."""
    font = _load(path, 24)
    if font is None or letter.isspace() or unicodedata.category(letter) in ("Mn", "Cf"):
        return font is not None
    shown, missing = (font.getmask(character) for character in (letter, "\uffff"))
    return (shown.size, bytes(shown)) != (missing.size, bytes(missing))


def _can_be_laid_out(text: str) -> bool:
    is_complex = any(unicodedata.name(letter, "").startswith(COMPLEX) for letter in text)
    return not is_complex or bool(features.check("raqm"))


@lru_cache(maxsize=256)
def _files_with(text: str) -> tuple[str, ...]:
    """Font files to try, Noto's and sans-serif ones first: those that fontconfig says have the characters, or all."""
    found = _fontconfig(text)
    if found is None:
        paths = [path for folder in FOLDERS for path in Path(folder).rglob("*")]
        found = [str(path) for path in paths if path.suffix.lower() in SUFFIXES]
    return (*sorted(found, key=_taste), _dejavu())


def _fontconfig(text: str) -> list[str] | None:
    """Files with all characters of `text`; None where there is no fontconfig."""
    if shutil.which("fc-list") is None:
        return None
    letters = " ".join(sorted({f"{ord(letter):x}" for letter in text if not letter.isspace()}))
    try:
        listed = subprocess.run(["fc-list", f":charset={letters}", "file"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    paths = [line.strip().rstrip(":").strip() for line in listed.stdout.splitlines()]
    return [path for path in paths if path.lower().endswith(SUFFIXES)]


def _taste(path: str) -> tuple[bool, ...]:
    name = Path(path).name.lower()
    odd = any(word in name for word in ("bold", "italic", "oblique", "light", "thin", "black", "mono", "condensed"))
    return ("noto" not in name, "serif" in name, odd, "regular" not in name)


def _dejavu() -> str:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def _in_ascii(text: str) -> str:
    from anyascii import anyascii

    return anyascii(text) or "?"
