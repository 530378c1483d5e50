"""Images from a served generator, by seed: the library behind `genclient`. Prints nothing and writes no file.

with Client("localhost:8500", "digits") as client:
    images = client.sample(16, seed=0)      # uint8 (16, H, W, C)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from genclient import codec, pixels, wire
from genclient.channel import Channel, RpcError
from genclient.errors import ClientError, UsageError
from genclient.generator import ModelInfo, SignatureSpec, model_info
from genclient.seeds import latents, seed_array, seed_range

BATCH_ROWS = 64
"""Images asked for in one request: enough to fill a server's batch, little enough to see progress."""

POLL_SECONDS = 0.2
"""Time between two looks at a model that is not available yet."""

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_NOT_YET = StatusCode.UNAVAILABLE, StatusCode.NOT_FOUND, StatusCode.DEADLINE_EXCEEDED


@dataclass(frozen=True)
class Batch:
    """Images of one request: int64 seeds (N,), uint8 images (N, H, W, C), and the version that made them, if told."""

    seeds: NDArray[np.int64]
    images: NDArray[np.uint8]
    version: int | None


@dataclass(frozen=True)
class VersionStatus:
    """A version of a model on a server: its number, its state by name, and what went wrong with it, if anything."""

    version: int
    state: str
    message: str


class Client:
    """A generator behind a TensorFlow Serving address. One thread at a time; a context manager."""

    def __init__(self, target: str = "localhost:8500", model: str = "digits", *, timeout_seconds: float = 60.0) -> None:
        """Take the address; the connection is made when it is first needed.

        Args:
            target: HOST:PORT or unix:PATH of the server's gRPC API.
            model: the name it is served under.
            timeout_seconds: how long one request may take.

        Raises:
            UsageError: an argument cannot be meant as it is.
        """
        if not model or not model.isprintable():
            raise UsageError(f"model: found {model!r}, expected the name of a served model")
        self.target = target
        self.model = model
        self._channel = Channel(target, timeout_seconds)
        self._info: ModelInfo | None = None

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def info(self) -> ModelInfo:
        """The signatures of the model's newest version, asked for once.

        Raises:
            ClientError: the server refuses, cannot be reached, or describes no signatures.
        """
        if self._info is None:
            self._info = model_info(self._channel.metadata(self.model), self.model, self.target)
        return self._info

    def status(self) -> list[VersionStatus]:
        """Every version that the server knows of, the newest first.

        Raises:
            ClientError: the server refuses, cannot be reached, or does not know the model.
        """
        return self._status()

    def wait(self, timeout_seconds: float = 60.0) -> int:
        """Return the newest available version, as soon as there is one; the server need not run yet.

        Raises:
            ClientError: none became available in time, or the server refuses to tell.
        """
        end = time.monotonic() + timeout_seconds
        found = "nothing"
        absent = False
        while (left := end - time.monotonic()) > 0:
            try:
                # The first call tells why there is no server. The next has to wait for one: called again and again,
                # gRPC does not get on with a connection, which it may do only while a call waits for it.
                versions = self._status(left, wait_for_ready=absent)
                available = [version.version for version in versions if version.state == "AVAILABLE"]
                if available:
                    return available[0]
                found = "; ".join(f"version {v.version} {v.state} {v.message}".strip() for v in versions)
            except RpcError as error:
                if error.code not in _NOT_YET:
                    raise
                if not (absent and error.code is StatusCode.DEADLINE_EXCEEDED):
                    found = str(error)
                absent = error.code is StatusCode.UNAVAILABLE
            time.sleep(max(0.0, min(POLL_SECONDS, end - time.monotonic())))
        raise ClientError(f"model {self.model!r} not available after {timeout_seconds:g} s; last seen: {found}")

    def sample(
        self,
        n: int = 16,
        seed: int = 0,
        *,
        seeds: Sequence[int] | NDArray[np.int64] | None = None,
        truncation: float = 1.0,
        label: int | None = None,
        signature: str = "serving_default",
    ) -> NDArray[np.uint8]:
        """Images of `n` seeds from `seed` on, or of `seeds`: uint8 (N, H, W, C); for the rest see `stream`."""
        wanted = seed_range(seed, n) if seeds is None else seeds
        batches = self.stream(wanted, truncation=truncation, label=label, signature=signature)
        return np.concatenate([batch.images for batch in batches])

    def stream(
        self,
        seeds: Sequence[int] | NDArray[np.int64],
        *,
        truncation: float = 1.0,
        label: int | None = None,
        signature: str = "serving_default",
    ) -> Iterator[Batch]:
        """Images of `seeds`, in their order, a request at a time, all from one version of the model.

        Args:
            seeds: whole numbers within int64, one an image; equal seeds give equal images, in whatever batch.
            truncation: factor on the latents; below 1 nearer to the average image.
            label: class of every image, where the generator is conditional.
            signature: which of the model's functions to call.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the server refuses, cannot be reached, or answers something that is not images.
        """
        rows = seed_array(seeds)
        spec = self.info().generator(signature)
        check_condition(spec, label, truncation)
        return self._stream(rows, truncation, label, signature, spec)

    def _stream(
        self, seeds: NDArray[np.int64], truncation: float, label: int | None, signature: str, spec: SignatureSpec
    ) -> Iterator[Batch]:
        # The first reply says which version answers; the rest asks for that one, or a reload would mix two models.
        version: int | None = None
        shape: tuple[int, ...] | None = None
        for start in range(0, len(seeds), BATCH_ROWS):
            rows = seeds[start : start + BATCH_ROWS]
            request = self._request(signature, version)
            for name, array in generator_inputs(spec, rows, truncation, label).items():
                request.inputs[name].CopyFrom(codec.encode(array))
            reply = self._channel.predict(request)
            if reply.model_spec.HasField("version"):
                version = reply.model_spec.version.value
            images = _images(reply, len(rows))
            if shape is not None and images.shape[1:] != shape:
                raise ClientError(f"images: found {images.shape[1:]} after {shape} in the same call, expected one size")
            shape = images.shape[1:]
            yield Batch(rows, images, version)

    def _request(self, signature: str, version: int | None) -> Any:
        request = wire.PredictRequest(model_spec=wire.ModelSpec(name=self.model, signature_name=signature))
        if version is not None:
            request.model_spec.version.value = version
        return request

    def _status(self, timeout_seconds: float | None = None, *, wait_for_ready: bool = False) -> list[VersionStatus]:
        reply = self._channel.status(self.model, timeout_seconds, wait_for_ready=wait_for_ready)
        versions = [
            VersionStatus(item.version, _STATES.get(item.state, str(item.state)), item.status.error_message)
            for item in reply.model_version_status
        ]
        return sorted(versions, key=lambda version: version.version, reverse=True)


def check_condition(spec: SignatureSpec, label: int | None, truncation: float) -> None:
    """See that a label and a truncation fit a generator.

    Raises:
        UsageError: a label is missing, superfluous or no int32, or a truncation is out of range or cannot be applied.
    """
    if spec.conditional and label is None:
        raise UsageError("label: found none, expected the index of a class, since this generator is conditional")
    if not spec.conditional and label is not None:
        raise UsageError(f"label: found {label}, expected none, since this generator is not conditional")
    if label is not None and not 0 <= label < 2**31:
        raise UsageError(f"label: found {label}, expected the index of a class, from 0")
    if not -100 <= truncation <= 100:  # so that not-a-number and what float32 cannot hold stay out
        raise UsageError(f"truncation: found {truncation}, expected a number from -100 to 100")
    if "seeds" in spec.inputs and truncation != 1:
        raise UsageError(
            f"truncation: found {truncation:g}, expected 1 with a signature that takes seeds: "
            "the server draws the latents, choose one that takes latents"
        )


def generator_inputs(
    spec: SignatureSpec, seeds: NDArray[np.int64], truncation: float, label: int | None
) -> dict[str, NDArray[Any]]:
    """The arrays to feed a generator for `seeds` (N,): latents float32 (N, Z) or the seeds, and labels int32 (N,)."""
    inputs: dict[str, NDArray[Any]]
    inputs = {"seeds": seeds} if spec.z is None else {"latents": latents(seeds, spec.z) * np.float32(truncation)}
    if label is not None:
        inputs["labels"] = np.full(len(seeds), label, np.int32)
    return inputs


def _images(reply: Any, rows: int) -> NDArray[np.uint8]:
    for name, read in (("images", pixels.to_pixels), ("png_bytes", pixels.decode_pngs)):
        if name in reply.outputs:
            array = codec.decode(reply.outputs[name], name)
            if array.shape[:1] != (rows,):
                expected = f"{rows} rows, as asked for"
                raise ClientError(f"{name}: found shape {codec.shape_text(array.shape)}, expected {expected}")
            return read(array, name)
    raise ClientError(f"the reply has outputs {sorted(reply.outputs)}, expected images or png_bytes")
