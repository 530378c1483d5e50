"""A generator becomes a version: build everything in a hidden folder, run and compare all of it, then one rename.

The discriminator of its run becomes a version of NAME-critic in the same way, under the same number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from genexport import onnx
from genexport.errors import ExportError
from genexport.generator.load import Generator
from genexport.kinds import discriminator_model, discriminator_version
from genexport.kinds.generator_version import Tell, build
from genexport.options import Options
from genexport.repository import store
from genexport.savedmodel import batch_sizes


def publish(
    generator: Generator,
    root: Path,
    name: str,
    version: int | None = None,
    tell: Tell = lambda _: None,
    run: Path | None = None,
    options: Options | None = None,
) -> Path:
    """Publish a generator as a version of the model `name` in the repository `root`.

    Args:
        generator: from `genexport.generator.load`.
        root: the folder that holds all models.
        name: the model's; its versions lie in root/name.
        version: its number; the next one unless given.
        tell: called with what is being done.
        run: the run directory that it comes from, if any: its discriminator, its feature net, its numbers.
        options: the defaults unless given.

    Returns:
        The folder of the version.

    Raises:
        ExportError: it cannot be converted, a file does not give the generator's images, the number is taken, or the
            disk is full; nothing is published then.
    """
    options = options or Options()
    store.check_name(name)
    if options.insists_on("onnx"):
        onnx.require()
    discriminator = discriminator_model.load(generator, run) if run and options.discriminator else None
    base, discriminator_base = root / name, root / f"{name}{discriminator_model.SUFFIX}"
    bases = [base, discriminator_base] if discriminator else [base]
    if version is not None:
        for each in bases:
            store.check_free(each, version)
    with _building(base, generator) as folder:
        build(generator, name, run, options, folder, tell)
        if discriminator is None:
            published = [store.publish(folder, base, version)]
        else:
            with _building(discriminator_base, generator) as discriminator_folder:
                tell("discriminator: " + ", ".join(discriminator_version.signatures(discriminator)))
                discriminator_version.build(discriminator, name, options, discriminator_folder)
                published = store.publish_pair(folder, base, discriminator_folder, discriminator_base, version)
    tell("published " + ", ".join(map(str, published)))
    _follow_up(bases, published, options, tell)
    return published[0]


def _follow_up(bases: list[Path], published: list[Path], options: Options, tell: Tell) -> None:
    """What comes once the versions are out: batching parameters, and old versions that go."""
    if options.batching:
        tell(f"wrote {batch_sizes.write(bases[0])}")
    if options.keep is not None:
        for base, folder in zip(bases, published, strict=True):
            for removed in store.remove_old(base, options.keep, folder):
                tell(f"removed {removed}")


@contextmanager
def _building(base: Path, generator: Generator) -> Iterator[Path]:
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
            raise ExportError(f"{generator.path}: {' '.join(error.message.split())[:400]}") from error
