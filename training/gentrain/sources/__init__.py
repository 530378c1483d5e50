"""Where images come from. A source is one module with `read`, and one line in `SOURCES`; anything else is a folder."""

from __future__ import annotations

from collections.abc import Callable

from gentrain.dataset import Dataset, Frame
from gentrain.sources import digits, folder

SOURCES: dict[str, Callable[[Frame], Dataset]] = {
    "digits": digits.read,
}


def read(source: str, frame: Frame) -> Dataset:
    """Read all images of a source, decoded, into memory.

    Args:
        source: a name of `SOURCES`, or the path of a folder of images (`./digits` for a folder with such a name).
        frame: how large and with how many channels they are wanted.

    Raises:
        TrainError: no such source, nothing in it, or more than half of it broken.
    """
    if source in SOURCES:
        return SOURCES[source](frame)
    return folder.read(source, frame)
