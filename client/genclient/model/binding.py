"""Which tensor of a signature is which: latents, seeds, labels and images under whatever names a model gives them.

Models that genexport made have these very names. Of others a user says them (`names={"latents": "z"}`), or one tensor
alone can be meant. A signature is then put in genline's words, with the model's own names beside them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError
from genclient.model.signature import MAX_Z, ModelInfo, SignatureSpec, TensorSpec
from genclient.rpc import codec

FLOATS = ("float32", "float16", "float64")
INTEGERS = ("int32", "int64", "uint8", "int8", "int16", "uint16")

AUTO = "auto"
_CHEAPEST = ("uint8", "serving_default", "seeds", "png")


@dataclass(frozen=True)
class Reading:
    """A signature as a generator's or a critic's.

    Attributes:
        signature: its name.
        spec: the signature with genline's names for its tensors.
        names: the model's name of each.
    """

    signature: str
    spec: SignatureSpec
    names: Mapping[str, str]

    def fill(self, request: Any, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Put arrays, by genline's names, into a wire.PredictRequest, as the model wants to have them.

        Raises:
            UsageError: a label is beyond what the model's labels can hold.
        """
        for role, array in inputs.items():
            spec = self.spec.inputs[role]
            if role == "image_bytes":
                request.inputs[self.names[role]].CopyFrom(codec.encode(array))
                continue
            if spec.dtype in INTEGERS and array.size and array.max() > np.iinfo(spec.dtype).max:
                raise UsageError(f"label: found {array.max()}, expected a class that {spec.dtype} can hold")
            if role == "labels" and spec.shape is not None and len(spec.shape) == 2:
                array = array[:, None]
            request.inputs[self.names[role]].CopyFrom(codec.encode(array.astype(spec.dtype, copy=False)))

    @property
    def fixed_rows(self) -> int | None:
        """The rows of a request, where the model takes no other number."""
        sizes = [spec.shape[0] for spec in self.spec.inputs.values() if spec.shape]
        return next((size for size in sizes if size), None)


@dataclass(frozen=True)
class _Role:
    """A tensor that is looked for: what it has to be, in words too, and whether one that is alone can be meant."""

    fits: Callable[[TensorSpec], bool]
    expected: str
    guessed: bool = True


def _rank(spec: TensorSpec, *ranks: int) -> bool:
    return spec.shape is None or len(spec.shape) in ranks


def _fits_latents(spec: TensorSpec) -> bool:
    return spec.dtype in FLOATS and spec.shape is not None and len(spec.shape) == 2


def _fits_labels(spec: TensorSpec) -> bool:
    column = spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] == 1
    return spec.dtype in INTEGERS and (_rank(spec, 1) or column)


def _fits_images(spec: TensorSpec) -> bool:
    return spec.dtype in (*FLOATS, "bfloat16", "uint8") and _rank(spec, 3, 4)


_LATENTS = _Role(_fits_latents, "latents to be float32 (N, Z), float16 or float64")
_SEEDS = _Role(lambda spec: spec.dtype == "int64" and _rank(spec, 1), "seeds to be int64 (N)", guessed=False)
_LABELS = _Role(_fits_labels, "labels to be integers (N) or (N, 1)")
_IMAGES = _Role(_fits_images, "images to be floats or uint8 (N, H, W, C)")
_PNG = _Role(lambda spec: spec.dtype == "string" and _rank(spec, 1), "png_bytes to be string (N)", guessed=False)
_CRITIC_IMAGES = _Role(_fits_images, "images to be floats or uint8 (N, H, W, C)")
_SCORES = _Role(lambda spec: spec.dtype in (*FLOATS, "bfloat16") and _rank(spec, 1, 2), "scores to be floats (N)")

_GENERATOR = {"latents": _LATENTS, "seeds": _SEEDS, "labels": _LABELS}, {"images": _IMAGES, "png_bytes": _PNG}
_FILES = _Role(lambda spec: spec.dtype == "string" and _rank(spec, 1), "image_bytes to be string (N)", guessed=False)
_CRITIC = {"images": _CRITIC_IMAGES, "labels": _LABELS}, {"scores": _SCORES}
_FILES_CRITIC = {"image_bytes": _FILES, "labels": _LABELS}, {"scores": _SCORES}
_HINT = "names (--map) says which tensor is which"
ROLES = sorted({role for sides in (*_GENERATOR, *_CRITIC, *_FILES_CRITIC) for role in sides})


def check_names(names: Mapping[str, str]) -> None:
    """See that names are given to tensors that there are.

    Raises:
        UsageError: they are not.
    """
    for role, name in names.items():
        if role not in ROLES or not isinstance(name, str):
            raise UsageError(f"names: found {role!r}: {name!r}, expected the model's name for {', '.join(ROLES)}")


def read_generator(info: ModelInfo, signature: str, names: Mapping[str, str]) -> Reading:
    """A signature as a generator's; `auto` is the cheapest that is one.

    Raises:
        ClientError: there is none of that name, or its tensors are not a generator's; the message says what is.
    """
    if signature == AUTO:
        return _cheapest(info, names)
    spec = info.signature(signature)
    found = _assign(spec, names, _GENERATOR)
    fault = _generator_fault(found) or _fault(found, _GENERATOR)
    if fault:
        raise ClientError(f"model {info.name!r} is not a generator: signature {signature!r} is {spec}; {fault}")
    return _reading(signature, found)


def read_critic(info: ModelInfo, signature: str, names: Mapping[str, str], takes: str = "images") -> Reading:
    """A signature as a critic's: what it takes, `images` or files as `image_bytes`, [and labels] → scores.

    Raises:
        ClientError: there is none of that name, or its tensors are not a critic's; the message says what is.
    """
    spec = info.signature(signature)
    # Names of the generator's tensors may be among them.
    sides = _CRITIC if takes == "images" else _FILES_CRITIC
    found = _assign(spec, {role: name for role, name in names.items() if name in {*spec.inputs, *spec.outputs}}, sides)
    if takes not in found.inputs or "scores" not in found.outputs:
        fault: str | None = f"expected an input {takes}, labels where conditional, and an output scores; {_HINT}"
    else:
        fault = _fault(found, sides)
    if fault:
        raise ClientError(f"model {info.name!r} is not a critic: signature {signature!r} is {spec}; {fault}")
    return _reading(signature, found)


def read_files_critic(info: ModelInfo, signature: str, names: Mapping[str, str]) -> Reading:
    """A signature as that of a critic that takes picture files; `auto` is the first that is one.

    Raises:
        ClientError: there is none of that name, or it takes no files; the message says what the model has.
    """
    if signature != AUTO:
        return read_critic(info, signature, names, "image_bytes")
    for name in sorted(info.signatures, key=lambda name: (name != "encoded", name != "serving_default", name)):
        with contextlib.suppress(ClientError):
            return read_critic(info, name, names, "image_bytes")
    found = "; ".join(f"{name}: {spec}" for name, spec in sorted(info.signatures.items())) or "no signatures"
    raise ClientError(
        f"model {info.name!r} takes no picture files: found {found}; expected image_bytes string (N) → scores, as "
        "genexport publishes it (encoded); Client.score takes arrays"
    )


@dataclass
class _Found:
    """Tensors by role, as (the model's name, spec), and the inputs that have none."""

    inputs: dict[str, tuple[str, TensorSpec]]
    outputs: dict[str, tuple[str, TensorSpec]]
    other: list[str]


Sides = tuple[dict[str, _Role], dict[str, _Role]]


def _assign(spec: SignatureSpec, names: Mapping[str, str], sides: Sides) -> _Found:
    inputs, other = _assign_side(spec.inputs, names, sides[0])
    outputs, _ = _assign_side(spec.outputs, names, sides[1])
    return _Found(inputs, outputs, other)


def _assign_side(
    tensors: Mapping[str, TensorSpec], names: Mapping[str, str], roles: Mapping[str, _Role]
) -> tuple[dict[str, tuple[str, TensorSpec]], list[str]]:
    """Tensors by role: as named, else of the role's own name, else the only one left that fits it."""
    found = {}
    for role in roles:
        name = names.get(role, role)
        if role in names and name not in tensors:
            raise UsageError(f"names: found {name!r} for {role}, expected one of {', '.join(sorted(tensors))}")
        if name in tensors:
            found[role] = name, tensors[name]
    for role, expected in roles.items():
        left = [name for name in tensors if name not in {name for name, _ in found.values()}]
        fitting = [name for name in left if expected.fits(tensors[name])]
        if role not in found and expected.guessed and len(fitting) == 1 and _wanted(role, found):
            found[role] = fitting[0], tensors[fitting[0]]
    taken = {name for name, _ in found.values()}
    return found, [name for name in sorted(tensors) if name not in taken]


def _wanted(role: str, found: Mapping[str, object]) -> bool:
    """Whether a role is open: of latents and seeds, and of images and PNG files, a signature has one."""
    return not {"latents": {"seeds"}, "images": {"png_bytes"}}.get(role, set()) & set(found)


def _fault(found: _Found, sides: Sides) -> str | None:
    for tensors, roles in zip((found.inputs, found.outputs), sides, strict=True):
        for role, (_, spec) in tensors.items():
            if not roles[role].fits(spec):
                return f"expected {roles[role].expected}"
    return f"expected no input {found.other[0]!r}; {_HINT}" if found.other else None


def _generator_fault(found: _Found) -> str | None:
    """What keeps tensors from being a generator's, or None."""
    if ("latents" in found.inputs) == ("seeds" in found.inputs):
        return f"expected inputs latents or seeds, and labels where conditional; {_HINT}"
    if not found.outputs:
        return f"expected an output images or png_bytes; {_HINT}"
    if "latents" in found.inputs and _LATENTS.fits(found.inputs["latents"][1]):
        shape = found.inputs["latents"][1].shape or (0, 0)
        if not 1 <= (shape[1] or 0) <= MAX_Z:
            return f"expected latents of shape (N, Z) with Z from 1 to {MAX_Z}"
    return None


def _reading(signature: str, found: _Found) -> Reading:
    inputs = {role: spec for role, (_, spec) in found.inputs.items()}
    outputs = {role: spec for role, (_, spec) in found.outputs.items()}
    names = {role: name for side in (found.inputs, found.outputs) for role, (name, _) in side.items()}
    return Reading(signature, SignatureSpec(inputs, outputs), names)


def _cheapest(info: ModelInfo, names: Mapping[str, str]) -> Reading:
    """By bytes on the wire and time to read them; PNG pictures are small, but slow to make."""
    order = [name for name in _CHEAPEST if name in info.signatures]
    order += sorted(set(info.signatures) - set(order))
    faults = []
    for name in order:
        try:
            return read_generator(info, name, names)
        except ClientError as error:
            faults.append(error)
    raise faults[0] if faults else ClientError(f"model {info.name!r} has no signatures")
