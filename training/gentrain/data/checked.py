"""What holds of every source once it is decoded: an empty class is no class, and a split that is asked for is there."""

from __future__ import annotations

import dataclasses

import numpy as np

from gentrain.data.dataset import Contents, Frame
from gentrain.errors import TrainError


def contents(told: Contents, frame: Frame, source: str) -> Contents:
    """What a source told, with only the classes that have images, and notes for the user.

    Args:
        told: by the source.
        frame: what was wanted.
        source: named in errors.

    Raises:
        TrainError: a split, or a kind of labels, is asked for that is not there.
    """
    if not told.split and frame.split not in ("train", "all"):
        raise TrainError(f"{source}: has no splits, and --split {frame.split} asks for one")
    _refuse_labels_of_another_kind(told, frame.labels, source)
    if frame.value_range and not told.value_ranges:
        unused = "--value-range changes nothing: all images have 8 bits a channel"
        told = dataclasses.replace(told, notes=(*told.notes, unused))
    if frame.labels == "none":
        told = dataclasses.replace(told, labels=None, class_names=(), classes_from="")
    return _without_empty_classes(told)


def _refuse_labels_of_another_kind(told: Contents, labels: str, source: str) -> None:
    """Raise TrainError where the classes do not come from where they were asked for."""
    how = labels.partition(":")[0]
    if how in ("auto", "none", "folders") or (how == "from-name" and told.classes_from == "file names"):
        return
    if how == "from-name":
        raise TrainError(f"{source}: has no names of files, from which --labels {how} takes classes")
    if not told.classes_from.endswith((f", {labels}", f"column {labels}")):
        raise TrainError(f"{source}: has no table with a column {labels}, which --labels asks for")


def _without_empty_classes(told: Contents) -> Contents:
    if told.labels is None:
        return told
    counts = np.bincount(told.labels, minlength=len(told.class_names))
    if counts.all():
        return told
    empty = [name for name, count in zip(told.class_names, counts, strict=True) if not count]
    names = tuple(name for name in told.class_names if name not in set(empty))
    labels = (np.cumsum(counts > 0) - 1)[told.labels].astype(np.int32)
    few = ", ".join(empty[:8]) + (f" and {len(empty) - 8} more" if len(empty) > 8 else "")
    notes = (*told.notes, f"no images of {few}: no {'class' if len(empty) == 1 else 'classes'} of what has none")
    return dataclasses.replace(told, labels=labels, class_names=names, notes=notes)
