"""What a call of the library sends and what it makes of the replies: images of a generator, scores of a critic.

The part of both clients that knows what is asked for; which part is due is schedule.py's, and the network theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from genclient.client.schedule import Part, Schedule
from genclient.errors import ClientError, RpcError, VersionGoneError
from genclient.images import pixels
from genclient.model.binding import Reading
from genclient.model.inputs import Rows
from genclient.rpc import channel, codec, wire
from genclient.rpc.channel import Connection

T = TypeVar("T")


@dataclass(frozen=True)
class Exchange:
    """What a request cost: bytes each way, seconds until the reply was there and to read it, and attempts."""

    sent_bytes: int
    received_bytes: int
    wait_seconds: float
    read_seconds: float
    attempts: int


@dataclass(frozen=True)
class Batch:
    """Images of one request.

    Attributes:
        seeds: int64 (N,); of given latents, which rows they are.
        images: uint8 (N, H, W, C).
        version: that made them, if told.
        labels: int64 (N,), where the generator is conditional.
        exchange: what the request cost; None of what no server made.
    """

    seeds: NDArray[np.int64]
    images: NDArray[np.uint8]
    version: int | None
    labels: NDArray[np.int64] | None = None
    exchange: Exchange | None = None


class Collection:
    """Gathers the images of a call in one array, which is made with the first of them."""

    def __init__(self, count: int) -> None:
        """Take how many images there will be."""
        self._count, self._at = count, 0
        self._images: NDArray[np.uint8] | None = None

    def add(self, batch: Batch) -> None:
        """Take the next images."""
        if self._images is None:
            # The only batch is given as it is.
            if len(batch.images) == self._count and batch.images.flags.writeable:
                self._images = batch.images
                return
            self._images = np.empty((self._count, *batch.images.shape[1:]), np.uint8)
        self._images[self._at : self._at + len(batch.images)] = batch.images
        self._at += len(batch.images)

    def whole(self) -> NDArray[np.uint8]:
        """All of them: uint8 (N, H, W, C)."""
        assert self._images is not None
        return self._images


class Call(Generic[T]):
    """One call: its requests and its results, all from one version of the model."""

    def __init__(
        self,
        connection: Connection,
        model: str,
        reading: Reading,
        rows: Rows,
        schedule: Schedule[T],
        read: Callable[[Mapping[str, Any], Part, int | None], T],
        version: int | None = None,
        version_label: str | None = None,
    ) -> None:
        """Take what is asked for, of which model and version of it, and what becomes of replies."""
        self.schedule = schedule
        self._connection = connection
        self._model = model
        self._reading = reading
        self._rows = rows
        self._read = read
        # The first reply says which version answers; the rest asks for that one, or a reload would mix two models.
        self._version = version
        self._label = version_label
        self._answered = False

    @property
    def signature(self) -> str:
        """The function of the model that is called."""
        return self._reading.signature

    @property
    def version(self) -> int | None:
        """That answers, or that has to."""
        return self._version

    def misunderstood(self, error: RpcError) -> bool:
        """Whether the model may have been replaced since it was asked what it takes: nothing of it came yet."""
        return not self._answered and error.code.name in ("INVALID_ARGUMENT", "FAILED_PRECONDITION")

    def request(self, part: Part) -> bytes:
        """The message that asks for a part."""
        spec = wire.ModelSpec(name=self._model, signature_name=self._reading.signature)
        if self._version is not None:
            spec.version.value = self._version
        elif self._label is not None:
            spec.version_label = self._label
        request = wire.PredictRequest(model_spec=spec)
        self._reading.fill(request, self._rows.inputs(part.start, part.stop))
        content: bytes = request.SerializeToString()
        return content

    def arrived(self, part: Part, content: bytes, sent_bytes: int, wait_seconds: float) -> None:
        """Take the reply to a part.

        Raises:
            ClientError: it is not what was asked for.
        """
        since = time.perf_counter()
        result, version = self.read(part, content)
        if self._version is None:
            self._version = version
        self._answered = True
        if isinstance(result, Batch):
            took = time.perf_counter() - since
            result = replace(result, exchange=Exchange(sent_bytes, len(content), wait_seconds, took, part.attempts))
        self.schedule.arrived(part, result, max(sent_bytes, len(content)))

    def read(self, part: Part, content: bytes) -> tuple[T, int | None]:
        """What the reply to a part says, and which version made it, if told.

        Raises:
            ClientError: it is not what was asked for.
        """
        reply = self._connection.parse(channel.PREDICT, content)
        version = reply.model_spec.version.value if reply.model_spec.HasField("version") else None
        if None not in (version, self._version) and version != self._version:
            target = self._connection.target.text
            raise ClientError(f"{target} answered with version {version}, expected {self._version}, as asked for")
        version = version if self._version is None else self._version
        return self._read(reply.outputs, part, version), version

    def failed(self, part: Part, error: RpcError, now: float) -> None:
        """Take the failure of a part; raises it, unless there is something to be done about it."""
        if self._answered and self._version is not None and error.code.name == "NOT_FOUND":
            raise VersionGoneError(
                error.target,
                error.code,
                error.details,
                proxy=error.proxy,
                note=f"; version {self._version}, which made the images so far, is gone: begin again, for all from one",
            )
        self.schedule.failed(part, error, now)


class Images:
    """Reads a generator's replies; for one call, in which sizes and the range of pixels stay as in the first reply."""

    def __init__(self, reading: Reading, rows: Rows, value_range: pixels.Range | None) -> None:
        """Take the range of pixels where it is known; else the first reply tells."""
        self._reading = reading
        self._rows = rows
        self._range = value_range
        self._told = value_range is not None
        self._shape: tuple[int, ...] | None = None

    def __call__(self, outputs: Mapping[str, Any], part: Part, version: int | None) -> Batch:
        """The images of a part."""
        images = self._images(outputs, len(part))
        shape = images.shape[1:]
        if self._shape is not None and shape != self._shape:
            raise ClientError(f"images: found {shape} after {self._shape} in the same call, expected one size")
        self._shape = shape
        return Batch(
            self._rows.numbers(part.start, part.stop), images, version, self._rows.labels(part.start, part.stop)
        )

    def _images(self, outputs: Mapping[str, Any], rows: int) -> NDArray[np.uint8]:
        for role in ("images", "png_bytes"):
            name = self._reading.names.get(role, role)
            if name in outputs:
                array = decoded(outputs, name, rows)
                return pixels.decode_pngs(array, name) if role == "png_bytes" else self._pixels(array, name)
        raise ClientError(f"the reply has outputs {sorted(outputs)}, expected images or png_bytes")

    def _pixels(self, images: NDArray[Any], name: str) -> NDArray[np.uint8]:
        images = pixels.channels_last(images, name)
        if images.dtype.kind != "f":
            return pixels.to_pixels(images, name)
        found = pixels.range_of(*pixels.limits(images, name))
        if self._range is None:
            self._range = found
        elif not self._told and (self._range, found) == (pixels.UNIT, pixels.SIGNED):
            raise ClientError(
                f"{name}: found values below 0 after images in [0, 1], expected one range in a call: output_range "
                "says which"
            )
        return pixels.to_pixels(images, name, self._range)


class Scores:
    """Reads a critic's replies: float32 (N,)."""

    def __init__(self, reading: Reading) -> None:
        """Take what the scores are called."""
        self._name = reading.names["scores"]

    def __call__(self, outputs: Mapping[str, Any], part: Part, version: int | None) -> NDArray[np.float32]:
        """The scores of a part."""
        if self._name not in outputs:
            raise ClientError(f"the reply has outputs {sorted(outputs)}, expected {self._name}")
        scores = decoded(outputs, self._name, len(part))
        if scores.size != len(part) or scores.dtype.kind != "f" or not np.isfinite(scores).all():
            found = f"{scores.dtype} {codec.shape_text(scores.shape)}"
            raise ClientError(f"{self._name}: found {found}, expected a finite number for each image")
        return scores.reshape(-1).astype(np.float32)


def decoded(outputs: Mapping[str, Any], name: str, rows: int) -> NDArray[Any]:
    """An output, with a row for each that was asked for.

    Raises:
        ClientError: it cannot be read, or has other rows.
    """
    array = codec.decode(outputs[name], name)
    if array.shape[:1] != (rows,):
        raise ClientError(f"{name}: found shape {codec.shape_text(array.shape)}, expected {rows} rows, as asked for")
    return array
