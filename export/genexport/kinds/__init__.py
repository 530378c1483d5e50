"""The kinds of models that are published. `KINDS` is what the commands know; TensorFlow is imported where one is run.

kind.py             what every kind defines: load, signatures, examples, comparison, description
build.py            a version of any kind
generator/          images from latents, and from whatever else a generator takes
image_to_image.py   images from pictures
text_to_image.py    images from words
video_generation.py clips from latents or from a picture
discriminator/      the discriminator of a run: scores of images; it goes with its generator
detector/           detectors of generated pictures: scores and verdicts

A further kind is a class in a file of its own, with a line in `KINDS`; from outside, a module that `--import` names
can `register` one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genexport.errors import ExportError
from genexport.kinds.detector import Detector
from genexport.kinds.discriminator import Discriminator
from genexport.kinds.generator import Generator
from genexport.kinds.image_to_image import ImageToImage
from genexport.kinds.kind import Kind, Source
from genexport.kinds.text_to_image import TextToImage
from genexport.kinds.video_generation import VideoGeneration

__all__ = ["KINDS", "Kind", "Source", "load", "of", "of_task", "register"]

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (Generator(), ImageToImage(), TextToImage(), VideoGeneration(), Detector(), Discriminator())
}
"""Name → kind. The first is that of whatever no other one claims."""

OURS = tuple(KINDS.values())


def register(kind: Kind) -> Kind:
    """Make a kind known by its name, which manifests use, and by its tasks; it goes before ours.

    Raises:
        ValueError: there is another kind of that name from outside.
    """
    known = KINDS.get(kind.name)
    if known is None or known in OURS:
        KINDS[kind.name] = kind
    elif type(known) is not type(kind):
        raise ValueError(f"there is another kind called {kind.name}")
    return KINDS[kind.name]


def of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a version. Manifests of genline 0.1.0 name none; they are of generators.

    Raises:
        ExportError: a kind of a later genline.
    """
    name = manifest.get("kind", Generator.name)
    if name not in KINDS:
        raise ExportError(
            f"manifest.json: kind {name!r}, expected {' or '.join(KINDS)}: written by a newer genline; update this one"
        )
    return KINDS[name]


def of_task(task: str) -> Kind:
    """The kind that publishes models of a task, one from outside before ours; a generator where none says so."""
    claiming = [kind for kind in KINDS.values() if task in kind.tasks]
    return next((kind for kind in claiming if kind not in OURS), next(iter(claiming), KINDS[Generator.name]))


def load(source: Source) -> tuple[Kind, Any]:
    """Load what is to be published, and find its kind: by the task in interface.json, or by what the model takes.

    Raises:
        ExportError: nothing there, or no model of that kind; the message says what was found.

    Example:
    ```python
    kind, model = load(Source(Path("runs/digits")))
    kind.name  # "generator"
    ```
    """
    from genexport.generator import keras_file
    from genexport.generator.source import is_run
    from genexport.roles import tensor

    if not isinstance(source.imports, Mapping):  # its code is run once
        source = source._replace(imports=keras_file.import_classes(source.imports))
    described = tensor.read(source.path) if is_run(source.path) else None
    model = (of_task(described.task) if described else KINDS[Generator.name]).load(source)
    return of_task(model.task), model
