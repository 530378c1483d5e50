"""Where decoded images and feature nets are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The cache folder: $GENLINE_CACHE, else $XDG_CACHE_HOME/genline, else ~/.cache/genline; it may not exist yet."""
    if chosen := os.environ.get("GENLINE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genline"
