"""What a model says about itself: signatures, their tensors, Z, the shape of images and clips.

Both a server's metadata and a TFLite file are put in these words, so that one wording serves both. It fetches nothing
and opens no file; which tensor of a signature is which is for reading.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from genclient.errors import ClientError
from genclient.rpc import guard, wire
from genclient.rpc.codec import dtype_name, shape_text

MAX_Z = 65536
"""Latents per image: far above any generator's, and low enough that a server's word costs no memory."""


@dataclass(frozen=True)
class TensorSpec:
    """A tensor as declared: dtype by name, and the shape with None for unknown sizes; None for an unknown rank."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """`float32 (N, 64)`; the unknown first dimension is the batch."""
        if self.shape is None:
            return f"{self.dtype} of any shape"
        batched = len(self.shape) > 0 and self.shape[0] is None
        sizes = shape_text(self.shape)
        return f"{self.dtype} {sizes.replace('?', 'N', 1) if batched else sizes}"


@dataclass(frozen=True)
class SignatureSpec:
    """A named function of a model: its inputs and outputs by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    def __str__(self) -> str:
        """`latents float32 (N, 64) → images float32 (N, 28, 28, 1)`."""
        return f"{_named(self.inputs)} → {_named(self.outputs)}"

    @property
    def z(self) -> int | None:
        """Latents per image, or None where the signature takes none or does not say."""
        shape = self.inputs["latents"].shape if "latents" in self.inputs else None
        return shape[1] if shape and len(shape) == 2 else None

    @property
    def image_shape(self) -> tuple[int | None, ...] | None:
        """(H, W, C), or None where the signature gives no images or does not say."""
        shape = self.outputs["images"].shape if "images" in self.outputs else None
        return shape[1:] if shape and len(shape) == 4 else None

    @property
    def clip_shape(self) -> tuple[int | None, ...] | None:
        """(T, H, W, C), or None where the signature gives no clips or does not say."""
        shape = self.outputs["clips"].shape if "clips" in self.outputs else None
        return shape[1:] if shape and len(shape) == 5 else None

    @property
    def takes_picture(self) -> bool:
        """Whether it makes something else of a picture, `image`: not where that is looked up, as by `invert`."""
        return "image" in self.inputs and "latents" not in self.outputs

    @property
    def conditional(self) -> bool:
        """Whether it takes a label for each image."""
        return "labels" in self.inputs


def _named(tensors: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in sorted(tensors.items())) or "nothing"


@dataclass(frozen=True)
class ModelInfo:
    """A model: its name, its version (None where it has no number) and its signatures by name."""

    name: str
    version: int | None
    signatures: Mapping[str, SignatureSpec]

    def signature(self, name: str) -> SignatureSpec:
        """The signature of that name.

        Raises:
            ClientError: there is none; the message says which there are.
        """
        if name not in self.signatures:
            found = ", ".join(sorted(self.signatures)) or "none"
            raise ClientError(f"model {self.name!r} has no signature {name!r}; it has: {found}")
        return self.signatures[name]


def model_info(response: Any, model: str, target: str) -> ModelInfo:
    """What a wire.MetadataResponse says of `model`; the server, named by `target` in errors, need not repeat the name.

    Raises:
        ClientError: the response holds no signatures, or none that parse.
    """
    if "signature_def" not in response.metadata:
        raise ClientError(f"{target} describes no signatures of model {model!r}")
    try:
        content = response.metadata["signature_def"].value
        guard.check(content, wire.Signatures.DESCRIPTOR, guard.OTHER_FIELDS)
        table = wire.Signatures.FromString(content)
    except (DecodeError, ValueError) as error:
        raise ClientError(f"{target} sent a table of signatures that does not parse: {error}") from None
    version = response.model_spec.version.value if response.model_spec.HasField("version") else None
    signatures = {
        name: SignatureSpec(_tensors(signature.inputs), _tensors(signature.outputs))
        for name, signature in table.signature_def.items()
        if not name.startswith("__")  # TensorFlow's own, such as __saved_model_init_op
    }
    return ModelInfo(model, version, signatures)


def _tensors(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(dtype_name(info.dtype), _declared(info.shape)) for name, info in infos.items()}


def _declared(shape: Any) -> tuple[int | None, ...] | None:
    return None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
