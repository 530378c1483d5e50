"""Images of a source, and how far their decoding is."""

from __future__ import annotations

from gentrain.data.dataset import Dataset, Frame
from gentrain.progress import Decoding


def read(source: str, frame: Frame) -> Dataset:
    """`gentrain.sources.read`, and its progress on stderr."""
    from gentrain import sources

    with Decoding() as decoding:
        return sources.read(source, frame, decoding.show)
