"""All tasks there are: genline's own, those that a program registers, and those of installed packages.

A package's `pyproject.toml` names its tasks as entry points:

    [project.entry-points."genclient.tasks"]
    tint = "genline_tint:TINT"
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping

from genclient.errors import ClientError, UsageError
from genclient.model.binding import Binding
from genclient.model.roles import IMAGE
from genclient.model.signature import ModelInfo
from genclient.tasks.fake_detection import FAKE_DETECTION, FILES_DETECTION
from genclient.tasks.image_generation import IMAGE_GENERATION
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE
from genclient.tasks.inversion import INVERSION
from genclient.tasks.task import AUTO, Task
from genclient.tasks.text_to_image import TEXT_TO_IMAGE
from genclient.tasks.video_generation import ANIMATION, VIDEO_GENERATION

GROUP = "genclient.tasks"

_OWN = (
    IMAGE_GENERATION,
    INVERSION,  # before those whose outputs are known by their shape alone
    FAKE_DETECTION,
    FILES_DETECTION,
    IMAGE_TO_IMAGE,
    TEXT_TO_IMAGE,
    VIDEO_GENERATION,
    ANIMATION,
)
_registered: list[Task] = []


def register(task: Task) -> Task:
    """Have clients, the device runner and the command know a task; gives it back.

    Raises:
        UsageError: it is no task.
    """
    if not isinstance(task, Task):
        raise UsageError(f"task: found {task!r:.60}, expected a genclient.tasks.Task")
    if task not in _registered:
        _registered.append(task)
    return task


def tasks() -> Iterator[Task]:
    """Genline's own first; those of packages are loaded when it comes to them."""
    yield from _OWN
    yield from _registered
    yield from _installed()


def choose(
    info: ModelInfo,
    signature: str,
    names: Mapping[str, str],
    *,
    given: Collection[str] = (),
    result: str | None = None,
) -> tuple[Task, Binding]:
    """The task that a model is for, and the signature to call: of those that fit the first that takes all outputs.

    Args:
        info: what the model says of itself.
        signature: its name, or `auto`: the cheapest.
        names: the model's names of tensors, as a user says.
        given: inputs that it has to take, if any does.
        result: what its results have to have, such as images.

    Raises:
        ClientError: it is for none; the message is of the first task with such results.
    """
    some: tuple[Task, Binding] | None = None
    for needed in (given, ()) if given else ((),):
        for task, binding in _fitting(info, signature, names, needed, result):
            if len(binding.spec.outputs) == len(info.signature(binding.signature).outputs):
                return task, binding
            some = some or (task, binding)
        if some is not None:
            return some
    if result is None and signature == AUTO:
        known = ", ".join(dict.fromkeys(task.name for task in tasks()))
        found = "; ".join(f"{name}: {spec}" for name, spec in sorted(info.signatures.items())) or "no signatures"
        raise ClientError(f"model {info.name!r} fits no task: found {found}; known are {known}")
    first = next(task for task in tasks() if result is None or result in task.results())
    return first, first.bind(info, signature, names)


def _fitting(
    info: ModelInfo, signature: str, names: Mapping[str, str], given: Collection[str], result: str | None
) -> Iterator[tuple[Task, Binding]]:
    """Tasks that a model can be for, each with the cheapest signature that takes what is given."""
    for task in tasks():
        if result is not None and result not in task.results():
            continue
        for name in task.by_cost(info) if given and signature == AUTO else (signature,):
            binding = task.fitting(info, name, names)
            if binding is not None and set(given) <= {*binding.spec.inputs, *(("seeds",) if binding.spec.z else ())}:
                yield task, binding
                break


def known_roles() -> set[str]:
    """Names of the roles of genline's own and of registered tasks."""
    names = {IMAGE.name}
    for task in (*_OWN, *_registered):
        names |= {*task.inputs, *task.outputs}
    return names


@functools.cache
def _installed() -> tuple[Task, ...]:
    import importlib.metadata  # which takes as long to import as much of this package

    installed = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            task = entry.load()
        except Exception as error:  # a package's own code may raise anything
            raise ClientError(f"task {entry.name} of an installed package cannot be loaded: {error}") from error
        if not isinstance(task, Task):
            raise ClientError(f"task {entry.name}: {entry.value} is no genclient.tasks.Task")
        installed.append(task)
    return tuple(installed)
