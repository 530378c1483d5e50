"""Images of a source, and how far their decoding is."""

from __future__ import annotations

from functools import partial

from gentrain.commands.aside import aside
from gentrain.data.dataset import Dataset, Frame, Source
from gentrain.progress import Decoding


def read(source: str, frame: Frame) -> Dataset:
    """`gentrain.sources.read`, and its progress on stderr."""
    from gentrain import sources

    with Decoding() as decoding:
        return sources.read(source, frame, decoding.show)


def read_for_training(source: str, frame: Frame) -> Dataset:
    """The same; while many files are listed, TensorFlow is imported."""
    from gentrain import quiet, sources

    def find(source: str) -> Source:
        return aside(partial(sources.find, source), quiet.import_tensorflow)

    with Decoding() as decoding:
        return sources.read(source, frame, decoding.show, find)
