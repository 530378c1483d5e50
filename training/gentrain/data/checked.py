"""What holds of every source once it is decoded: no empty class, and the requested split is there."""

from __future__ import annotations

import dataclasses

import numpy as np

from gentrain.data.dataset import Contents, Frame
from gentrain.errors import TrainError


def contents(decoded: Contents, frame: Frame, source: str) -> Contents:
    """What a source decoded, with only the classes that have images, and notes for the user.

    Args:
        decoded: what the source gave.
        frame: what was requested.
        source: named in errors.

    Raises:
        TrainError: a split, a kind of labels, or a column of captions is requested that is not there.
    """
    if not decoded.split and frame.split not in ("train", "all"):
        raise TrainError(f"{source}: has no splits, and --split {frame.split} asks for one")
    _refuse_labels_of_another_kind(decoded, frame.labels, source)
    if frame.captions not in ("", "auto", "classes") and "captions" not in decoded.columns:
        raise TrainError(f"{source}: has no table with a column {frame.captions}, which --captions asks for")
    if frame.value_range and not decoded.value_ranges:
        unused = "--value-range changes nothing: all images have 8 bits a channel"
        decoded = dataclasses.replace(decoded, notes=(*decoded.notes, unused))
    if frame.labels == "none":
        decoded = dataclasses.replace(decoded, labels=None, class_names=(), classes_from="")
    return _without_empty_classes(decoded)


def _refuse_labels_of_another_kind(decoded: Contents, labels: str, source: str) -> None:
    """Raise TrainError where the classes do not come from where they were requested."""
    how = labels.partition(":")[0]
    if how in ("auto", "none", "folders") or (how == "from-name" and decoded.classes_from == "file names"):
        return
    if how == "from-name":
        raise TrainError(f"{source}: has no names of files, from which --labels {how} takes classes")
    if not decoded.classes_from.endswith((f", {labels}", f"column {labels}")):
        raise TrainError(f"{source}: has no table with a column {labels}, which --labels asks for")


def _without_empty_classes(decoded: Contents) -> Contents:
    if decoded.labels is None:
        return decoded
    counts = np.bincount(decoded.labels, minlength=len(decoded.class_names))
    if counts.all():
        return decoded
    empty = [name for name, count in zip(decoded.class_names, counts, strict=True) if not count]
    names = tuple(name for name in decoded.class_names if name not in set(empty))
    labels = (np.cumsum(counts > 0) - 1)[decoded.labels].astype(np.int32)
    few = ", ".join(empty[:8]) + (f" and {len(empty) - 8} more" if len(empty) > 8 else "")
    notes = (*decoded.notes, f"no images of {few}: no {'class' if len(empty) == 1 else 'classes'} of what has none")
    return dataclasses.replace(decoded, labels=labels, class_names=names, notes=notes)
