"""How a generator is published: what the options of `genexport publish` say, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from genexport.parity import Limits


@dataclass(frozen=True)
class Options:
    """How to publish.

    Attributes:
        keep: of the model's versions so many remain, the newest and the published one always; all unless given.
        limits: what the files may differ from Keras by.
        critic: whether the run's critic is published too, where it has one.
        onnx: whether there is an ONNX file; where the packages for it are installed unless given.
        batching: whether batching_parameters.txt is written beside the versions.
        licence: of the data, for the model card.
    """

    keep: int | None = None
    limits: Limits = field(default_factory=Limits)
    critic: bool = True
    onnx: bool | None = None
    batching: bool = False
    licence: str = ""
