"""How a generator is published: what the options of `genexport publish` say, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from genexport.compare.parity import Limits

FILES = ("float32", "onnx", "float16", "dynamic", "int8", "micro")
"""What a version can hold beside its SavedModel, in the order in which it is made and compared: cheapest first."""

TARGETS = ("cpu", "npu")


@dataclass(frozen=True)
class Options:
    """How to publish.

    Attributes:
        keep: of the model's versions so many remain, the newest and the published one always; all unless given.
        limits: what the files may differ from Keras by.
        discriminator: whether the run's discriminator is published too, where it has one.
        files: those of `FILES` that must come out, and no others; without any, all that can be made of the generator.
        onnx: True: an ONNX file must come out; False: there is none.
        target: cpu: TFLite files are rewritten so that processors are fast; npu: they keep the generator's own layers.
        batching: whether batching_parameters.txt is written beside the versions.
        licence: of the data, for the model card.
    """

    keep: int | None = None
    limits: Limits = field(default_factory=Limits)
    discriminator: bool = True
    files: tuple[str, ...] = ()
    onnx: bool | None = None
    target: str = "cpu"
    batching: bool = False
    licence: str = ""

    def selected(self) -> list[str]:
        """Those of `FILES` that are tried, in their order."""
        chosen = {*(self.files or FILES), *(["onnx"] if self.onnx else [])}
        return [file for file in FILES if file in chosen and (file != "onnx" or self.onnx is not False)]

    def insists_on(self, file: str) -> bool:
        """Whether there is to be no version without this file."""
        return file in self.files or (file == "onnx" and bool(self.onnx))
