"""What a call of the library sends and what it makes of the responses: arrays by name, whatever the model does.

The part of both clients that knows the request; which part is due is schedule.py's, and the network theirs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.client.schedule import Part, Schedule
from genclient.errors import ClientError, RpcError, VersionGoneError
from genclient.images import pixels
from genclient.model.binding import Binding
from genclient.model.inputs import Examples
from genclient.rpc import channel, codec, wire
from genclient.rpc.channel import Connection


@dataclass(frozen=True)
class Exchange:
    """What a request cost: bytes each way, seconds until the response was there and to read it, and attempts."""

    sent_bytes: int
    received_bytes: int
    wait_seconds: float
    read_seconds: float
    attempts: int


@dataclass(frozen=True)
class Batch:
    """Results of one request.

    Attributes:
        seeds: int64 (N,); where there are none, which examples they are.
        outputs: arrays (N, …) by name: `images` uint8 (N, H, W, C), `scores` float32 (N,), …
        version: that made them, if reported.
        labels: int64 (N,), where the model is conditional.
        exchange: what the request cost; None of what no server made.
    """

    seeds: NDArray[np.int64]
    outputs: Mapping[str, NDArray[Any]]
    version: int | None
    labels: NDArray[np.int64] | None = None
    exchange: Exchange | None = None

    def __len__(self) -> int:
        """How many examples."""
        return len(self.seeds)

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 (N, H, W, C); clips (N, T, H, W, C)."""
        return self.outputs["images"]


class Collection:
    """Gathers the results of a call in one array for each output, which are made with the first of them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = self._at = 0
        self._outputs: dict[str, NDArray[Any]] = {}

    def expect(self, count: int) -> None:
        """Take how many examples there will be, and forget what came before."""
        self._count, self._at, self._outputs = count, 0, {}

    def add(self, batch: Batch) -> None:
        """Take the next results."""
        for name, array in batch.outputs.items():
            # The only batch is given as it is.
            if len(array) == self._count and array.flags.writeable:
                self._outputs[name] = array
                continue
            if name not in self._outputs:
                self._outputs[name] = np.empty((self._count, *array.shape[1:]), array.dtype)
            self._outputs[name][self._at : self._at + len(array)] = array
        self._at += len(batch)

    def whole(self) -> dict[str, NDArray[Any]]:
        """All of them by name, (N, …)."""
        return self._outputs


class Call:
    """One call: its requests and its results, all from one version of the model."""

    def __init__(
        self,
        connection: Connection,
        model: str,
        binding: Binding,
        examples: Examples,
        schedule: Schedule[Batch],
        read: Results,
        version: int | None = None,
        version_label: str | None = None,
    ) -> None:
        """Take the request, the model and version it goes to, and what reads the responses."""
        self.schedule = schedule
        self._connection = connection
        self._model = model
        self._binding = binding
        self.examples = examples
        self._read = read
        # The first response says which version responds; the rest names that one, or a reload would mix two models.
        self._version = version
        self._label = version_label
        self._responded = False

    @property
    def signature(self) -> str:
        """The function of the model that is called."""
        return self._binding.signature

    @property
    def version(self) -> int | None:
        """That responds, or that has to."""
        return self._version

    def model_may_have_changed(self, error: RpcError) -> bool:
        """Whether the model may have been replaced since its signatures were read: nothing of it came yet."""
        return not self._responded and error.code.name in ("INVALID_ARGUMENT", "FAILED_PRECONDITION")

    def request(self, part: Part) -> bytes:
        """The request message of a part."""
        spec = wire.ModelSpec(name=self._model, signature_name=self._binding.signature)
        if self._version is not None:
            spec.version.value = self._version
        elif self._label is not None:
            spec.version_label = self._label
        request = wire.PredictRequest(model_spec=spec)
        self._binding.fill(request, self.examples.inputs(part.start, part.stop))
        content: bytes = request.SerializeToString()
        return content

    def arrived(self, part: Part, content: bytes, sent_bytes: int, wait_seconds: float) -> None:
        """Take the response to a part.

        Raises:
            ClientError: it does not fit the request.
        """
        since = time.perf_counter()
        result, version = self.read(part, content)
        if self._version is None:
            self._version = version
        self._responded = True
        took = time.perf_counter() - since
        result = replace(result, exchange=Exchange(sent_bytes, len(content), wait_seconds, took, part.attempts))
        self.schedule.arrived(part, result, max(sent_bytes, len(content)))

    def read(self, part: Part, content: bytes) -> tuple[Batch, int | None]:
        """What the response to a part says, and which version made it, if reported.

        Raises:
            ClientError: it does not fit the request.
        """
        response = self._connection.parse(channel.PREDICT, content)
        version = response.model_spec.version.value if response.model_spec.HasField("version") else None
        if None not in (version, self._version) and version != self._version:
            target = self._connection.target.text
            raise ClientError(f"{target} responded with version {version}, expected {self._version}, as requested")
        version = version if self._version is None else self._version
        return self._read(response.outputs, part, version), version

    def failed(self, part: Part, error: RpcError, now: float) -> None:
        """Take the failure of a part; raises it, unless there is something to be done about it."""
        if self._responded and self._version is not None and error.code.name == "NOT_FOUND":
            raise VersionGoneError(
                error.target,
                error.code,
                error.details,
                proxy=error.proxy,
                note=f"; version {self._version}, which made the images so far, is gone: begin again, for all from one",
            )
        self.schedule.failed(part, error, now)


class Results:
    """Reads the responses of one call, by the roles of what the model gives."""

    def __init__(self, binding: Binding, examples: Examples, value_range: pixels.Range | None) -> None:
        """Take the range of pixels where it is known; else inferred from the first response."""
        self._binding, self._examples = binding, examples
        self._reads = {name: role.reader(value_range) for name, role in binding.outputs.items()}

    def __call__(self, outputs: Mapping[str, Any], part: Part, version: int | None) -> Batch:
        """The results of a part.

        Raises:
            ClientError: an output is missing, or is not what it should be.
        """
        results: dict[str, NDArray[Any]] = {}
        for role in self._binding.outputs.values():
            name = self._binding.names.get(role.name, role.name)
            if name in outputs and role.result not in results:
                results[role.result] = self._reads[role.name](decoded(outputs, name, len(part)), name)
        for role_name in self._binding.spec.outputs:
            if self._binding.outputs[role_name].result not in results:
                raise ClientError(f"the response has outputs {sorted(outputs)}, expected {self._expected(role_name)}")
        numbers, labels = (made(part.start, part.stop) for made in (self._examples.numbers, self._examples.labels))
        return Batch(numbers, results, version, labels)  # type: ignore[arg-type]

    def _expected(self, role_name: str) -> str:
        """The model's names for an output, and for those that would do instead."""
        others = [name for name in self._binding.outputs[role_name].instead if name in self._binding.outputs]
        known = [name for name in self._binding.outputs if name in (role_name, *others)]
        return " or ".join(self._binding.names.get(name, name) for name in known)


def decoded(outputs: Mapping[str, Any], name: str, count: int) -> NDArray[Any]:
    """An output, with an entry for each example that was requested.

    Raises:
        ClientError: it cannot be read, or has another number of examples.
    """
    array = codec.decode(outputs[name], name)
    if array.shape[:1] != (count,):
        raise ClientError(f"{name}: found shape {codec.shape_text(array.shape)}, expected {count} rows, as requested")
    return array
