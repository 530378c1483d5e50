"""A load test of a server: a fixed number of requests in flight, each followed by the next, and what was measured.

A closed loop, as `Client.stream` runs it: one thread makes and sends requests, another reads the responses. Here no
request is retried, so that every failure counts; images are not kept, and their order does not matter.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genclient.client.base import Request
from genclient.client.call import Batch, Call
from genclient.client.client import Client
from genclient.client.requests import Requests
from genclient.client.schedule import Part
from genclient.client.translation import picture_shape, task_of
from genclient.errors import ClientError, RpcError
from genclient.latents.array import counted_seeds
from genclient.model.role import Repeated
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE, MULTIMODAL
from genclient.tasks.registry import choose
from genclient.tasks.task import Task

PERCENTILES = (50, 90, 95, 99)

INVALID = "INVALID_REPLY"
"""What counts beside gRPC's codes: a response that does not fit the request."""

_PAUSE_SECONDS = 0.1
"""Before a request takes the place of one that failed: a closed port refuses thousands a second."""

_WAKE_SECONDS = 0.2


@dataclass(frozen=True)
class LoadRequest:
    """What every request contains; see `Client.stream`. `inputs` are images (H, W, C), the same for all."""

    signature: str = "auto"
    truncation: float = 1.0
    label: int | None = None
    text: str | None = None
    seed: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Level:
    """What was measured with one number of requests at a time.

    Attributes:
        concurrency: requests at a time.
        batch_size: images of a request.
        seconds: for how long, the warm-up not included.
        latencies: seconds of each request that succeeded, from its sending to the end of the response.
        errors: how many failed, by the name of the gRPC status.
        waiting: seconds in which no response was there to be read.
        decoding: seconds in which responses were made into pixels.
        sent_bytes, received_bytes: of the requests that succeeded.
    """

    concurrency: int
    batch_size: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list, repr=False)
    errors: Counter[str] = field(default_factory=Counter)
    waiting: float = 0.0
    decoding: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def images_per_second(self) -> float:
        """Images that arrived and could be read."""
        return len(self.latencies) * self.batch_size / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, Any]:
        """The figures by name, for JSON; latencies in milliseconds, null where no request succeeded."""
        requests, seconds = len(self.latencies), self.seconds
        times = np.array(self.latencies) * 1000
        names = ["min", "mean", *(f"p{percentile}" for percentile in PERCENTILES), "max"]
        values = [times.min(), times.mean(), *np.percentile(times, PERCENTILES), times.max()] if requests else []
        latency = {name: round(float(value), 3) for name, value in zip(names, values, strict=False)}
        return {
            "concurrency": self.concurrency,
            "batch_size": self.batch_size,
            "seconds": round(seconds, 3),
            "requests": requests,
            "images": requests * self.batch_size,
            "images_per_second": round(self.images_per_second, 2),
            "requests_per_second": round(requests / seconds, 3) if seconds else 0.0,
            "latency_ms": latency or dict.fromkeys(names),
            "errors": dict(sorted(self.errors.items())),
            "waiting_share": round(self.waiting / seconds, 4) if seconds else None,
            "decoding_share": round(self.decoding / seconds, 4) if seconds else None,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
        }


class Load:
    """Puts loads on the model of a client, which should have been made with `retry_seconds=0`."""

    def __init__(self, client: Client, request: LoadRequest) -> None:
        """Take the request.

        Raises:
            UsageError: it does not fit the model.
            ClientError: the server refuses to describe the model, or it is no generator.
        """
        self._client, self._request = client, request
        self._task = task_of(client.info(), client.names)
        self._pictures = _pictures(client, request, self._task)
        self._call = self._new_call()
        self._next = 0
        self.signature = self._call.signature

    def probe(self) -> Batch:
        """Images of one request, of the size that the others will have: a server's limits are learned from them.

        Raises:
            ClientError: the server refuses, cannot be reached, or returns something that is not images.
        """
        while True:
            size = self._size()
            first, *_ = self._client._batches(self._client.model, None, self._request_of(size))
            if self._size() >= size or self._size() == 1:
                return first

    def level(self, concurrency: int, seconds: float, warm_up_seconds: float) -> Level:
        """Keep `concurrency` requests under way for so long, and measure once the warm-up is over."""
        level = Level(concurrency, self._size())
        counted = _Counted(self._call, level)
        requests = Requests(self._client._channel, counted)  # type: ignore[arg-type]
        start = time.monotonic() + warm_up_seconds
        counted.since = start
        try:
            while time.monotonic() < start + seconds or not (level.latencies or level.errors):
                while counted.running < concurrency and time.monotonic() >= counted.not_before:
                    counted.running += 1
                    requests.begin(self._part(level.batch_size))
                before, decoding = time.monotonic(), counted.decoding
                requests.take(_WAKE_SECONDS if counted.running == concurrency else _PAUSE_SECONDS)
                if before >= start:
                    level.waiting += time.monotonic() - before - (counted.decoding - decoding)
        finally:
            requests.stop()
        level.seconds = time.monotonic() - start
        return level

    def _new_call(self) -> Call:
        """What `stream` does, but without an end and part by part."""
        return self._client._new_call(self._client.info(), self._request_of(None))

    def _request_of(self, count: int | None) -> Request:
        """The request for that many images; None: without an end."""
        request = self._request
        given: dict[str, Any] = {"truncation": request.truncation, "labels": request.label, **request.inputs}
        given["texts"] = request.text
        given["seeds"] = seeds = counted_seeds(request.seed, count)
        if self._pictures is not None:
            given |= {name: Repeated(one, seeds.count) for name, one in self._pictures.items()}
        return Request(given, request.signature, self._task, result="images")

    def _size(self) -> int:
        """Images of a request, by what is known of the server now."""
        part = self._new_call().schedule.start(time.monotonic())
        assert part is not None
        return len(part)

    def _part(self, size: int) -> Part:
        start, now = self._next, time.monotonic()
        self._next += size
        return Part(start, start + size, now, now + self._client.connection.timeout_seconds, attempts=1)


def _pictures(client: Client, request: LoadRequest, task: Task | None) -> dict[str, Any] | None:
    """What an image-to-image model makes pictures of: what is given, else noise without hard edges."""
    if task is None:
        task, binding = choose(client.info(), request.signature, client.names, result="images")
    else:
        binding = task.bind(client.info(), request.signature, client.names)
    if task not in (IMAGE_TO_IMAGE, MULTIMODAL):
        return None
    height, width, channels = (size or 64 for size in picture_shape(client.info()) or (64, 64, 3))
    image = request.inputs.get("image")
    if image is None:
        rows = np.linspace(0, 255, height)[:, None, None] + np.linspace(0, 255, width)[:, None]
        image = np.repeat(rows / 2, channels, axis=2).astype(np.uint8)
    if "image_bytes" in binding.spec.inputs:
        from genclient.images.grid import png

        return {"image_bytes": png(image, {})}
    return {"image": image}


class _Counted:
    """Takes what `Requests` receives, as a Call does, and counts it."""

    def __init__(self, call: Call, level: Level) -> None:
        self._call, self._level = call, level
        self.running = 0
        self.since = 0.0
        self.not_before = 0.0
        self.decoding = 0.0

    def request(self, part: Part) -> bytes:
        return self._call.request(part)

    def arrived(self, part: Part, content: bytes, sent_bytes: int, wait_seconds: float) -> None:
        self.running -= 1
        begun = time.monotonic()
        try:
            self._call.read(part, content)
        except ClientError:
            self._error(INVALID)
            return
        finally:
            took = time.monotonic() - begun
            self.decoding += took
        if begun >= self.since:
            self._level.latencies.append(wait_seconds)
            self._level.decoding += took
            self._level.sent_bytes += sent_bytes
            self._level.received_bytes += len(content)

    def failed(self, part: Part, error: RpcError, now: float) -> None:
        self.running -= 1
        self._error(error.code.name)

    def _error(self, name: str) -> None:
        now = time.monotonic()
        if now >= self.since:
            self._level.errors[name] += 1
        self.not_before = now + _PAUSE_SECONDS
