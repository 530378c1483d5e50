"""A model in words for people: one fact a line. Asking for it is the library's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from genclient.errors import one_line, printable

if TYPE_CHECKING:
    from genclient.model.signature import ModelInfo, SignatureSpec, TensorSpec
    from genclient.rpc.status import VersionStatus


def description(model: ModelInfo, versions: list[VersionStatus], generator: SignatureSpec | None = None) -> str:
    """What a model makes, from all its signatures unless one is the generator."""
    signatures = [generator] if generator else list(model.signatures.values())
    z = next((signature.z for signature in signatures if signature.z), "unknown")
    shape = next((signature.image_shape for signature in signatures if signature.image_shape), None)
    images = "unknown" if shape is None else _sizes(shape)
    clip = clip_shape(signatures)
    conditional = any(signature.conditional for signature in signatures)
    lines = [f"model      {model.name}"]
    lines += [f"version    {version_line(version)}" for version in versions]
    picture = picture_shape(signatures)
    if picture:
        lines.append(f"image      {_sizes(picture)}")
        lines += [f"hints      {'yes' if takes_hints(signatures) else 'no'}"] if clip is None else []
    if not picture or z != "unknown":
        lines.append(f"latents    {z}")
    if takes_texts(signatures):
        lines.append("texts      yes")
    lines += [f"images     {images}"] if clip is None else [f"clips      {clip[0]} frames of {_sizes(clip[1:])}"]
    if not picture or conditional:
        lines += [f"labels     {'yes' if conditional else 'no'}"]
    width = max((len(name) for name in model.signatures), default=0)
    lines += [f"signature  {name:<{width}}  {signature}" for name, signature in sorted(model.signatures.items())]
    return "".join(f"{printable(line)}\n" for line in lines)


def picture_shape(signatures: Iterable[SignatureSpec]) -> tuple[int | None, ...] | None:
    """(H, W, C) of the pictures that a model makes others of; None where no signature says so."""
    shapes = (signature.inputs["image"].shape for signature in signatures if signature.takes_picture)
    return next((shape[1:] for shape in shapes if shape and len(shape) == 4), None)


def clip_shape(signatures: Iterable[SignatureSpec]) -> tuple[int | None, ...] | None:
    """(T, H, W, C) of the clips that a model makes; None where no signature says so."""
    return next((signature.clip_shape for signature in signatures if signature.clip_shape), None)


def takes_hints(signatures: Iterable[SignatureSpec]) -> bool:
    """Whether colours may be given at some places of a picture."""
    return any({"hints", "hints_bytes"} & set(signature.inputs) for signature in signatures)


def takes_texts(signatures: Iterable[SignatureSpec]) -> bool:
    """Whether words say what is to be seen."""
    return any({"texts", "tokens"} & set(signature.inputs) for signature in signatures)


def _sizes(shape: tuple[int | None, ...]) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape)


def version_line(version: VersionStatus) -> str:
    """`3 AVAILABLE`, and what went wrong with it."""
    return one_line(f"{version.version} {version.state} {version.message}")


def facts(model: ModelInfo, versions: list[VersionStatus], generator: SignatureSpec | None = None) -> dict[str, Any]:
    """The same for programs, as JSON has it; sizes that are not known are null."""
    signatures = [generator] if generator else list(model.signatures.values())
    shapes = [signature.image_shape for signature in signatures if signature.image_shape]
    return {
        "model": model.name,
        "version": model.version,
        "versions": [version_facts(version) for version in versions],
        "latents": next((signature.z for signature in signatures if signature.z), None),
        "image": list(picture) if (picture := picture_shape(signatures)) else None,
        "hints": takes_hints(signatures),
        "texts": takes_texts(signatures),
        "images": list(shapes[0]) if shapes else None,
        "clips": list(clip) if (clip := clip_shape(signatures)) else None,
        "conditional": any(signature.conditional for signature in signatures),
        "signatures": {
            name: {"inputs": _tensors(signature.inputs), "outputs": _tensors(signature.outputs)}
            for name, signature in sorted(model.signatures.items())
        },
    }


def version_facts(version: VersionStatus) -> dict[str, Any]:
    """A version for programs."""
    return {"version": version.version, "state": version.state, "message": version.message}


def _tensors(specs: Mapping[str, TensorSpec]) -> dict[str, Any]:
    return {
        name: {"dtype": spec.dtype, "shape": None if spec.shape is None else list(spec.shape)}
        for name, spec in sorted(specs.items())
    }
