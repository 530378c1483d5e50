"""A model becomes a version: build everything in a hidden folder, run and compare all of it, then one rename.

What goes with it, as a run's discriminator does, becomes a version of a name of its own in the same way, under the same
number. Which files there are, and how they are compared, is for the model's kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from genexport import kinds, onnx
from genexport.errors import ExportError
from genexport.kinds.build import build
from genexport.kinds.kind import Companion, Report, Version
from genexport.options import Options
from genexport.repository import store
from genexport.savedmodel import batch_sizes


def publish(
    model: Any,
    root: Path,
    name: str,
    version: int | None = None,
    report: Report = lambda _: None,
    run: Path | None = None,
    options: Options | None = None,
) -> Path:
    """Publish a model as a version of `name` in the repository `root`: all of it in one rename, or nothing.

    Args:
        model: from `genexport.kinds.load`, such as a `generator.load.Generator`.
        root: the folder that holds all models.
        name: the model's; its versions lie in root/name.
        version: its number; the next one unless given.
        report: called with a line for each step.
        run: the run directory that it comes from, if any: its discriminator, its feature net, its numbers.
        options: the defaults unless given.

    Returns:
        The folder of the version.

    Raises:
        ExportError: it cannot be converted, a file does not give the model's own results, the number is taken, or the
            disk is full; nothing is published then.

    Example:
    ```python
    kind, model = kinds.load(Source(Path("runs/digits")))
    folder = publish(model, Path("models"), "digits", run=Path("runs/digits"), report=print)
    folder  # models/digits/1
    ```
    """
    options = options or Options()
    store.check_name(name)
    if options.insists_on("onnx"):
        onnx.require()
    kind = kinds.of_task(model.task)
    if wrong := [file for file in options.files if file not in kind.files]:
        raise ExportError(f"--files {','.join(wrong)}: of a {kind.name} there are {', '.join(kind.files)}")
    parts = [Companion("", kind, model), *kind.companions(model, run, options)]
    bases = [root / f"{name}{part.suffix}" for part in parts]
    if version is not None:
        for base in bases:
            store.check_free(base, version)
    with ExitStack() as stack:
        folders = []
        for part, base in zip(parts, bases, strict=True):
            folders.append(stack.enter_context(_building(base, model.path)))
            build(part.kind, part.model, Version(folders[-1], base.name, run, options, report))
        published = store.publish_together(folders, bases, version)
    report("published " + ", ".join(map(str, published)))
    _follow_up(bases, published, options, report)
    return published[0]


def _follow_up(bases: list[Path], published: list[Path], options: Options, report: Report) -> None:
    """What comes once the versions are out: batching parameters, and old versions that go."""
    if options.batching:
        report(f"wrote {batch_sizes.write(bases[0])}")
    if options.keep is not None:
        for base, folder in zip(bases, published, strict=True):
            for removed in store.remove_old(base, options.keep, folder):
                report(f"removed {removed}")


@contextmanager
def _building(base: Path, source: Path) -> Iterator[Path]:
    """A hidden folder to build in; what goes wrong there becomes one line for the user."""
    with store.staging(base) as folder:
        try:
            yield folder
        except OSError as error:
            raise ExportError(f"{base}: cannot be written: {error.strerror or error}") from error
        except tf.errors.OpError as error:
            if str(folder) in error.message:  # TensorFlow could not write there
                reason = re.sub(r"\{\{.*?\}\}|\[Op:\w*\]", "", error.message.splitlines()[0]).split(";")[-1].strip()
                raise ExportError(f"{base}: cannot be written: {reason}") from error
            raise ExportError(f"{source}: {' '.join(error.message.split())[:400]}") from error
