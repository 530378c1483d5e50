"""A kind of model, as publish, verify, list and show use it: one class each, in `kinds.KINDS`.

A kind names the tasks of interface.json that it publishes, and says how its models are loaded, which signatures they
have, on which examples they are checked, how their files are compared, and how they are described. Classes are small
and import TensorFlow inside the methods that need it, as listing a repository does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from genexport.compare.parity import Difference
    from genexport.generator.adapt import Choices
    from genexport.options import Options
    from genexport.savedmodel.signatures import Signature

Report = Callable[[str], None]


class Source(NamedTuple):
    """What is to be loaded, and what the options of `publish` say of it.

    Attributes:
        path: a run directory, a model's file, or the folder of a SavedModel.
        output_range: one of `generator.output_range.OUTPUT_RANGES`, or `auto`.
        snapshot: of a run, `best` or `last`.
        imports: modules with code of the user's own, or what `keras_file.import_classes` found in them.
        choices: how a model by other hands is to be understood.
        examples: a folder of pictures.
    """

    path: Path
    output_range: str = "auto"
    snapshot: str = "best"
    imports: Sequence[str] | Mapping[str, Any] = ()
    choices: Choices | None = None
    examples: Path | None = None


@dataclass
class Version:
    """A version in the making: where it is built, and of what.

    Attributes:
        folder: where its files go.
        name: the model's.
        run: the run directory that it comes from, if any.
        options: how it is published.
        report: called with a line for each step.
    """

    folder: Path
    name: str
    run: Path | None
    options: Options
    report: Report = field(default=lambda _: None)


class Companion(NamedTuple):
    """A model that is published with another one, as NAME + suffix under the same number."""

    suffix: str
    kind: Kind
    model: Any


class Kind(ABC):
    """A kind of model. A *model* is whatever `load` gives; only the kind itself looks into it.

    All that others need of a model is `path`, where it comes from, `task`, and `notes` for the user.
    """

    name: str
    """What manifests call it."""

    tasks: tuple[str, ...] = ()
    """The tasks of interface.json whose models are of this kind; none for one that only goes with another."""

    compared = "against Keras"
    """Heads the table of its files."""

    step = "SavedModel"
    """What a publish calls the step in which its signatures are written."""

    files: tuple[str, ...] = ("float32", "onnx", "float16", "dynamic", "int8", "micro")
    """Those of `options.FILES` that a version can hold."""

    warms_with_pictures = False
    """Whether warm-up requests hold the examples' pictures; else grey ones, which take no room."""

    def load(self, source: Source) -> Any:
        """The model of a run, or of a file.

        Raises:
            ExportError: there is none, or not of this kind.
        """
        raise NotImplementedError(f"{self.name} is published with another model")

    def about(self, model: Any) -> str:
        """What was loaded, for the user."""
        return self.name

    @abstractmethod
    def endpoints(self, model: Any) -> dict[str, Signature]:
        """The SavedModel's signatures: name → (function, specs). All inputs share dimension 0, any size from 0 on."""

    @abstractmethod
    def examples(self, model: Any, count: int) -> Mapping[str, Any]:
        """Values by name, always the same, of which `roles.requests.fit` makes every signature's inputs."""

    def warm(self, model: Any, count: int) -> Mapping[str, Any]:
        """The same for warm-up requests."""
        return self.examples(model, count)

    def interface(self, model: Any) -> Mapping[str, Any] | None:
        """The interface.json that describes the signatures' inputs, where there is one."""
        return None

    def warmed_shape(self, model: Any) -> tuple[int, ...]:
        """The shape of what an example becomes, where warm-up batches are bounded by its bytes; else nothing."""
        return ()

    @abstractmethod
    def compare(self, model: Any, version: Version) -> dict[str, Any]:
        """With the SavedModel in the folder: write and compare every other file, and give what the manifest says.

        At least `name`, `created`, `image_shape`, `signatures` and `parity`; `reference.npz` is for `verify`.

        Raises:
            ExportError: something differs from Keras by more than its limit.
        """

    @abstractmethod
    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], report: Report
    ) -> dict[str, Difference]:
        """Run everything in a version and hold it to the limits that it was published by.

        Args:
            folder: the version's.
            manifest: its manifest.
            reference: the arrays of its reference.npz.
            report: called with a line for each step.

        Raises:
            ExportError: a file is past its limit.
        """

    def companions(self, model: Any, run: Path | None, options: Options) -> list[Companion]:
        """What is published with a model, under names of its own."""
        return []

    @abstractmethod
    def takes(self, manifest: Mapping[str, Any]) -> str:
        """What it takes, after `28×28×1` in `genexport show`: `from 32 latents`."""

    @abstractmethod
    def quality(self, manifest: Mapping[str, Any]) -> str:
        """For the column of `genexport list`."""
