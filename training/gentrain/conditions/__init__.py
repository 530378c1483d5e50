"""What a GAN takes beside latents. A condition is one class, in a file here or registered from outside.

base.py        the class that each of them derives from, and what its methods do
labels.py      classes of images
image.py       a picture to be translated
unpaired.py    the same without a right answer, to look like pictures of a style
still.py       a picture that is to move
hints.py       dots of colour that say how
tokens.py      words that say what is to be seen; vocabulary.py cuts texts into them
interface.py   what interface.json says of a run and its conditions
here           which of them a run has, what data and networks see of them, and `register`

Everything passes as dictionaries of named tensors, from the columns of a data set to the inputs of a Keras model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.conditions.base import Array, Condition, Tensors
from gentrain.conditions.hints import Hints
from gentrain.conditions.image import Image
from gentrain.conditions.labels import Labels
from gentrain.conditions.still import Still
from gentrain.conditions.tokens import Tokens
from gentrain.conditions.unpaired import Unpaired
from gentrain.errors import TrainError, UsageError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.settings import Settings

__all__ = [
    "Condition",
    "Conditions",
    "Hints",
    "Image",
    "Labels",
    "Still",
    "Tokens",
    "Unpaired",
    "columns",
    "drawn",
    "examples",
    "inputs",
    "named",
    "of_generator",
    "of_run",
    "prepared",
    "register",
    "task",
    "tensors",
]

Conditions = Sequence[Condition]

ENTRY_POINTS = "gentrain.conditions"
"""Where a package says which conditions it brings: `depth = my_package:Depth`."""

REGISTERED: dict[str, type[Condition]] = {one.name: one for one in (Labels, Image, Hints, Unpaired, Still, Tokens)}


def register(condition: type[Condition]) -> type[Condition]:
    """Make a condition known by its name, for `--set conditions=NAME`; also a decorator.

    Args:
        condition: a class that derives from `Condition`, with a `name` of its own.

    Raises:
        ValueError: another class has that name.

    Example:
    ```python
    @register
    class Depth(Condition):
        name = "depth"  # gentrain fit --set conditions=depth
        ...
    ```
    """
    if REGISTERED.setdefault(condition.name, condition) is not condition:
        raise ValueError(f"there is another condition called {condition.name}")
    return condition


def named(settings: Settings) -> list[str]:
    """The names of a run's conditions: `labels` where it is conditional, then those of the setting `conditions`."""
    names = [name.strip() for name in settings.conditions.split(",") if name.strip()]
    return list(dict.fromkeys([*([Labels.name] if settings.conditional else []), *names]))


def of_run(settings: Settings, dataset: Dataset) -> tuple[Condition, ...]:
    """The conditions of a run on these images.

    Raises:
        UsageError: a name that nobody has registered, or a style that none of them takes on.
        TrainError: the data lack what one of them needs.
    """
    names = named(settings)
    if dataset.inputs is not None and Unpaired.name not in names:
        raise UsageError(
            f"--style {settings.style}: conditions {', '.join(names) or 'none'} do not take one on; --preset style"
        )
    found = tuple(_known(name).of(dataset) for name in names)
    for condition in found:
        condition.configure(settings)
    return found


def of_generator(generator: Any, dataset: Dataset) -> tuple[Condition, ...]:
    """The conditions that a Keras generator takes, by the names of its inputs beside latents.

    Raises:
        TrainError: an input that no registered condition has, or data that lack what one needs.
    """
    names = [tensor.name for tensor in generator.inputs if tensor.name != "latents"]
    if len(generator.inputs) == 1 and len(generator.inputs[0].shape) == 2:
        return ()  # whatever it is called, it is the latents
    try:
        found = [_known(name) for name in names]
    except UsageError:
        found = []
    if len(found) < len(names) or not found:
        shapes = ", ".join(f"{tensor.name} {tuple(tensor.shape)}" for tensor in generator.inputs)
        raise TrainError(
            f"generator has the inputs {shapes}; expected latents (N, Z), and beside them {', '.join(REGISTERED)}"
        )
    return tuple(condition.of(dataset) for condition in found)


def _known(name: str) -> type[Condition]:
    """The condition of this name: registered, or an installed package's entry point.

    Raises:
        UsageError: it is neither.
        TrainError: the package's cannot be loaded.
    """
    for entry in () if name in REGISTERED else entry_points(group=ENTRY_POINTS, name=name):
        try:
            condition = entry.load()
        except Exception as error:  # a package's own code may raise anything
            raise TrainError(f"condition {name} of an installed package cannot be loaded: {error}") from error
        if not (isinstance(condition, type) and issubclass(condition, Condition) and condition.name == name):
            raise TrainError(f"condition {name}: {entry.value} is no gentrain.conditions.Condition of that name")
        register(condition)
    if name not in REGISTERED:
        raise UsageError(f"conditions: {name} is not registered; there are {', '.join(REGISTERED)}")
    return REGISTERED[name]


def columns(conditions: Conditions, dataset: Dataset) -> dict[str, Array]:
    """What a batch is drawn from: the images, and the columns of each condition; (N, …) each."""
    found: dict[str, Array] = {"images": dataset.images}
    for condition in conditions:
        found |= condition.columns(dataset)
    return found


def inputs(conditions: Conditions) -> dict[str, Any]:
    """New Keras inputs of all conditions, in their order."""
    return {name: tensor for condition in conditions for name, tensor in condition.inputs().items()}


def prepared(conditions: Conditions, batch: Mapping[str, Any]) -> Tensors:
    """The tensors of all inputs, in their order, for a batch of columns."""
    return {name: tensor for condition in conditions for name, tensor in condition.prepare(batch).items()}


def tensors(conditions: Conditions, dataset: Dataset, chosen: np.ndarray[Any, Any]) -> Tensors:
    """The tensors of all inputs for these examples of a data set."""
    found = columns(conditions, dataset)
    batch = prepared(conditions, {name: column[chosen] for name, column in found.items() if name != "images"})
    if all(type(condition).draw is Condition.draw for condition in conditions):
        return batch
    images = dataset.images[chosen].astype(np.float32) / 127.5 - 1.0
    random = np.random.default_rng(0)
    return drawn(conditions, batch, images, lambda values: random.random((len(images), values), np.float32))


def drawn(conditions: Conditions, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
    """The tensors of all inputs with what is drawn anew at each step, see `Condition.draw`."""
    for condition in conditions:
        tensors = condition.draw(tensors, images, uniform)
    return tensors


def examples(conditions: Conditions, most: int) -> Tensors:
    """Tensors of all inputs that show what the conditions can be, at most so many examples; none without conditions."""
    shown = [condition.prepare(condition.examples(most)) for condition in conditions]
    fewest = min((len(tensor) for tensors in shown for tensor in tensors.values()), default=0)
    return {name: tensor[:fewest] for tensors in shown for name, tensor in tensors.items()}


def task(conditions: Iterable[Condition]) -> str:
    """What a generator with these conditions does: `image-generation` unless one of them says otherwise."""
    return next((condition.task for condition in conditions if condition.task), "image-generation")
