"""`AsyncClient`: what Client does, for programs on asyncio.

async with AsyncClient("localhost:8500", "digits") as client:
    images = await client.sample(16, seed=0)
    async for image in client.iter_sample(1000):
        ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from os import PathLike
from typing import Any, TypeVar

import grpc
import numpy as np
from grpc import aio
from numpy.typing import ArrayLike, NDArray

from genclient import channel, rows, wire
from genclient.calls import Batch, Call, Collection
from genclient.channel import Method, log_call
from genclient.errors import ClientError, RpcError, UsageError, VersionGoneError
from genclient.generator import ModelInfo
from genclient.rows import Label
from genclient.schedule import Part
from genclient.server_config import config_text, explained, server_config
from genclient.settings import CRITIC_SIGNATURE, START_OVER, Numbered, Seeds, Settings, Waiting
from genclient.status import VersionStatus, version_statuses

T = TypeVar("T")


class AsyncClient(Settings):
    """A generator behind a TensorFlow Serving address, for one event loop; an asynchronous context manager.

    Arguments, results and errors of each method are those of Client.
    """

    _channel: Any = None
    _closed = False

    def _connect(self) -> None:
        """Nothing yet: gRPC wants to be asked inside the event loop."""
        self._headers = self.connection.security.metadata()

    async def __aenter__(self) -> AsyncClient:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def info(self, model: str | None = None) -> ModelInfo:
        """As `Client.info`."""
        name = model or self.model
        if name in self._infos:
            return self._infos[name]
        return self._keep_info(name, await self._call(channel.METADATA, self._info_request(name)))

    async def status(self, model: str | None = None) -> list[VersionStatus]:
        """As `Client.status`."""
        return version_statuses(await self._call(channel.STATUS, self._status_request(model)))

    async def wait(self, timeout_seconds: float = 60.0) -> int:
        """As `Client.wait`."""
        waiting = Waiting(self.model, timeout_seconds)
        while waiting.left > 0:
            try:
                reply = await self._call(channel.STATUS, self._status_request(None), waiting.left, waiting.absent)
                version = waiting.seen(reply)
                if version is not None:
                    return version
            except RpcError as error:
                waiting.failed(error)
            await asyncio.sleep(waiting.pause)
        raise ClientError(waiting.over())

    async def reload(self, config: str) -> None:
        """As `Client.reload`."""
        request = wire.ReloadRequest(config=server_config(config))
        self._reloaded(await self._call(channel.RELOAD, request))

    async def config(self) -> str:
        """As `Client.config`."""
        return config_text(await self._config_call(channel.GET_CONFIG, wire.ReloadRequest()))

    async def merge(self, config: str) -> None:
        """As `Client.merge`."""
        for model in server_config(config).model_config_list.config:
            self._reloaded(await self._config_call(channel.SET_MODEL, model))

    async def remove(self, model: str) -> None:
        """As `Client.remove`."""
        self._reloaded(await self._config_call(channel.REMOVE_MODEL, wire.ModelSpec(name=model)))

    async def _config_call(self, method: Method, request: Any) -> Any:
        try:
            return await self._call(method, request)
        except RpcError as error:
            raise explained(error) from None

    async def sample(
        self,
        n: int = 16,
        seed: int = 0,
        *,
        seeds: Seeds | None = None,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "serving_default",
    ) -> NDArray[np.uint8]:
        """As `Client.sample`."""
        wanted = self._numbered(n, seed, seeds, latents)
        for _ in range(START_OVER):
            images = Collection(len(wanted))
            try:
                async for batch in self.stream(
                    wanted, latents=latents, truncation=truncation, label=label, signature=signature
                ):
                    images.add(batch)
                return images.whole()
            except VersionGoneError as error:
                gone = error
                self._infos.clear()
        raise gone

    async def iter_sample(
        self,
        n: int | None = 16,
        seed: int = 0,
        *,
        seeds: Seeds | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "serving_default",
    ) -> AsyncIterator[NDArray[np.uint8]]:
        """As `Client.iter_sample`."""
        numbered = rows.counted_seeds(seed, n) if seeds is None else rows.seed_numbers(seeds)
        async for batch in self._stream(numbered, truncation, label, signature, None):
            for image in batch.images:
                yield image

    async def stream(
        self,
        seeds: Seeds | None = None,
        *,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "serving_default",
        version: int | None = None,
    ) -> AsyncIterator[Batch]:
        """As `Client.stream`."""
        given = None if latents is None else rows.latents_array(latents)
        numbered = rows.seed_numbers(self._numbered(16, 0, seeds, given))
        async for batch in self._stream(numbered, truncation, label, signature, given, version):
            yield batch

    async def score(
        self,
        images: ArrayLike,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = CRITIC_SIGNATURE,
    ) -> NDArray[np.float32]:
        """As `Client.score`."""
        call = self._scores_call(await self.info(self._critic(model)), images, label, signature)
        return np.concatenate([scores async for scores in self._run(call)])

    async def score_files(
        self,
        files: Sequence[bytes | str | PathLike[str]],
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
    ) -> NDArray[np.float32]:
        """As `Client.score_files`."""
        info = await self.info(self._critic(model))
        call = await asyncio.to_thread(self._files_call, info, files, label, signature)
        return np.concatenate([scores async for scores in self._run(call)])

    async def _stream(
        self,
        numbered: Numbered,
        truncation: float,
        label: Label,
        signature: str,
        latents: NDArray[np.float32] | None,
        version: int | None = None,
    ) -> AsyncIterator[Batch]:
        call = self._images_call(await self.info(), numbered, truncation, label, signature, latents, version)
        async for batch in self._run(call):
            yield batch

    async def _run(self, call: Call[T]) -> AsyncIterator[T]:
        """Send the parts of a call as they are due, and hand on their results in order."""
        running: dict[asyncio.Task[tuple[bytes, int, float]], Part] = {}
        try:
            while not call.schedule.finished:
                while (part := call.schedule.start(time.monotonic())) is not None:
                    running[asyncio.create_task(self._ask(call, part))] = part
                pause = call.schedule.pause(time.monotonic())
                if not running:  # a part waits to be sent again
                    await asyncio.sleep(pause or 0)
                    continue
                done, _ = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await _take(call, running.pop(task), task)
                for result in call.schedule.ready():
                    yield result
        finally:  # an error, a cancellation, or nobody takes the rest
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, call: Call[T], part: Part) -> tuple[bytes, int, float]:
        request = await asyncio.to_thread(call.request, part)
        start = time.perf_counter()
        left = part.deadline - time.monotonic()
        content = await self._send(channel.PREDICT, request, left, part.failure is not None)
        return content, len(request), time.perf_counter() - start

    async def _call(
        self, method: Method, request: Any, timeout_seconds: float | None = None, wait_for_ready: bool = False
    ) -> Any:
        timeout = self.connection.timeout_seconds if timeout_seconds is None else timeout_seconds
        content = await self._send(method, request.SerializeToString(), timeout, wait_for_ready)
        return self.connection.parse(method, content)

    async def _send(self, method: Method, request: bytes, timeout: float, wait_for_ready: bool) -> bytes:
        if self._closed:
            raise UsageError("this client is closed, expected one whose `async with` block has not ended")
        if self._channel is None:
            self._channel = self.connection.open(aio)
        start = time.perf_counter()
        stub = self._channel.unary_unary(method.path)
        try:
            content: bytes = await stub(request, timeout=timeout, metadata=self._headers, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            failure = self.connection.error(error)
            log_call(method, len(request), failure.code.name, time.perf_counter() - start)
            raise failure from None
        log_call(method, len(request), f"received {len(content)} B", time.perf_counter() - start)
        return content


async def _take(call: Call[Any], part: Part, task: asyncio.Task[tuple[bytes, int, float]]) -> None:
    try:
        content, sent, seconds = task.result()
    except RpcError as error:
        call.failed(part, error, time.monotonic())
    else:  # reading pictures may take a while, in which other tasks can run
        await asyncio.to_thread(call.arrived, part, content, sent, seconds)
