"""`AsyncClient`: what Client does, for programs on asyncio.

async with AsyncClient("localhost:8500", "digits") as client:
    images = await client.sample(16, seed=0)
    async for image in client.iter_sample(1000):
        ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import grpc
import numpy as np
from grpc import aio
from numpy.typing import ArrayLike, NDArray

from genclient.client import translation
from genclient.client.arguments import COUNT, FIRST, named_inputs, of_images, shown_numbers
from genclient.client.base import DISCRIMINATOR_SIGNATURE, START_OVER, Question, Seeds, Settings, Waiting
from genclient.client.call import Batch, Call, Collection
from genclient.client.schedule import Part
from genclient.client.server_config import config_text, explained, server_config
from genclient.client.translation import Answers, Pictures, are_files, binding_for, picture_shape, question
from genclient.errors import ClientError, RpcError, UsageError, VersionGoneError
from genclient.images.sheet import Sheet
from genclient.images.sheet import captions as captions_of
from genclient.model.roles import Label
from genclient.model.signature import ModelInfo
from genclient.rpc import channel, wire
from genclient.rpc.channel import Method, Renewal, log_call
from genclient.rpc.status import VersionStatus, version_statuses
from genclient.tasks.fake_detection import FAKE_DETECTION, FILES_DETECTION


class AsyncClient(Settings):
    """A generator behind a TensorFlow Serving address, for one event loop; an asynchronous context manager.

    Arguments, results and errors of each method are those of Client.
    """

    _channel: Any = None
    _closed = False

    _loop: asyncio.AbstractEventLoop | None = None

    def _connect(self) -> None:
        """Nothing yet: gRPC wants to be asked inside the event loop."""
        self._headers = self.connection.security.metadata()
        self._renewal = Renewal()
        self._closing: set[asyncio.Task[None]] = set()

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
            self._see_loop()
            await self._channel.close()
        if self._closing:
            for task in self._closing:
                task.cancel()
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def info(self, model: str | None = None, version: int | None = None) -> ModelInfo:
        """As `Client.info`."""
        name = model or self.model
        if (name, version) in self._infos:
            return self._infos[name, version]
        request = self._info_request(name, version)
        return self._keep_info(name, version, await self._question(channel.METADATA, request))

    async def status(self, model: str | None = None) -> list[VersionStatus]:
        """As `Client.status`."""
        return version_statuses(await self._question(channel.STATUS, self._status_request(model)))

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
            if self.on_wait is not None:
                self.on_wait(waiting.found, waiting.left)
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
        n: int = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "auto",
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> NDArray[np.uint8]:
        """As `Client.sample`."""
        given = of_images(n, seed, seeds, latents, truncation, label, inputs)
        return (await self._whole(self.model, None, Question(given, signature, result="images")))["images"]

    async def run(
        self,
        inputs: Mapping[str, ArrayLike] | None = None,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        **named: Any,
    ) -> dict[str, NDArray[Any]]:
        """As `Client.run`."""
        given = named_inputs({**(inputs or {}), **named})
        return await self._whole(self._other(model), version, Question(given, signature))

    async def _whole(self, model: str, version: int | None, question: Question) -> dict[str, NDArray[Any]]:
        """As `Client._whole`."""
        for _ in range(START_OVER):
            results = Collection()
            try:
                async for batch in self._batches(model, version, replace(question, begun=results.expect)):
                    results.add(batch)
                return results.whole()
            except VersionGoneError as error:
                gone = error
                self._infos.clear()
        raise gone

    async def sheet(
        self,
        n: int = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "auto",
        columns: int | None = None,
        scale: int | None = None,
        captions: bool = False,
    ) -> Sheet:
        """As `Client.sheet`."""
        arguments = {
            "seeds": seeds,
            "latents": latents,
            "truncation": truncation,
            "label": label,
            "signature": signature,
        }
        images = await self.sample(n, seed, **arguments)  # type: ignore[arg-type]
        said = captions_of(shown_numbers(n, seed, seeds, latents), label) if captions else ()
        return Sheet(images, columns, scale, said)

    async def iter_sample(
        self,
        n: int | None = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "auto",
    ) -> AsyncIterator[NDArray[np.uint8]]:
        """As `Client.iter_sample`."""
        given = of_images(n, seed, seeds, None, truncation, label, bounded=False)
        async for batch in self._batches(self.model, None, Question(given, signature, result="images")):
            for image in batch.images:
                yield image

    async def stream(
        self,
        seeds: Seeds | None = None,
        *,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        signature: str = "auto",
        version: int | None = None,
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> AsyncIterator[Batch]:
        """As `Client.stream`."""
        given = of_images(COUNT, FIRST, seeds, latents, truncation, label, inputs)
        async for batch in self._batches(self.model, version, Question(given, signature, result="images")):
            yield batch

    async def score(
        self,
        images: ArrayLike,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = DISCRIMINATOR_SIGNATURE,
    ) -> NDArray[np.float32]:
        """As `Client.score`."""
        question = Question({"images": images, "labels": label}, signature, FAKE_DETECTION)
        return (await self._whole(self._discriminator(model), None, question))["scores"]

    async def score_files(
        self,
        files: Sequence[bytes | str | PathLike[str]],
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.float32]:
        """As `Client.score_files`."""
        from genclient.images import pictures, value_ranges

        read = await asyncio.to_thread(pictures.read_all, files, value_ranges.of_pair(value_range))
        given = {"image_bytes": read, "labels": label}
        question = Question(given, signature, FILES_DETECTION)
        return (await self._whole(self._discriminator(model), None, question))["scores"]

    async def translate(
        self,
        images: Pictures,
        *,
        hints: Any = None,
        n: int = 1,
        seed: int = 0,
        latents: ArrayLike | None = None,
        tile: bool = False,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.uint8]:
        """As `Client.translate`."""
        from genclient.images.value_ranges import of_pair

        name, ranges, answers = self._other(model), of_pair(value_range), Answers.of(n, seed, latents)
        info = await self.info(name, version)
        cut = await asyncio.to_thread(translation.cut, images, picture_shape(info), ranges, hints) if tile else []
        if tile:
            images = translation.pixels(cut)
        binding = binding_for(info, signature, self.names, are_files(images))
        request = await asyncio.to_thread(question, binding, images, hints, ranges, answers)
        made = (await self._whole(name, version, request))["images"]
        return await asyncio.to_thread(translation.joined, cut, made, answers.n) if tile else made

    async def _batches(self, model: str, version: int | None, question: Question) -> AsyncIterator[Batch]:
        """As `BlockingCalls._batches`."""
        known = await self.info(model, version)
        try:
            call = self._new_call(known, question, version)
        except ClientError:
            if not self._is_old(known):
                raise
            self._forget(version, known)
            known = await self.info(model, version)
            call = self._new_call(known, question, version)
        try:
            async for result in self._run(call):
                yield result
        except RpcError as error:
            if not call.misunderstood(error):
                raise
            self._forget(version, known)
            if (fresh := await self.info(model, version)) == known:
                raise
            call = self._new_call(fresh, question, version)
            async for result in self._run(call):
                yield result
        finally:
            self._see_version(known, version, call.version)

    async def _question(self, method: Method, request: Any) -> Any:
        """As `Client._question`."""
        attempts = self._attempts()
        while True:
            try:
                reply = await self._call(method, request, attempts.left)
            except RpcError as error:
                pause = attempts.failed(error)
                self._notify((error, attempts.trying_until() - time.monotonic()))
                await asyncio.sleep(pause)
            else:
                attempts.succeeded()
                self._notify(None)
                return reply

    async def _run(self, call: Call) -> AsyncIterator[Batch]:
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
                self._notify(call.schedule.trouble(time.monotonic()))
                for result in call.schedule.ready():
                    yield result
        finally:  # an error, a cancellation, or nobody takes the rest
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, call: Call, part: Part) -> tuple[bytes, int, float]:
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
        self._see_loop()
        if self._channel is None:
            self._channel = self.connection.open(aio)
        start, since, used = time.perf_counter(), time.monotonic(), self._channel
        stub = used.unary_unary(method.path)
        try:
            content: bytes = await stub(request, timeout=timeout, metadata=self._headers, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            failure = self.connection.error(error, timeout)
            log_call(method, len(request), failure.code.name, time.perf_counter() - start)
            if used is self._channel and not self._closed and self._renewal.due(failure, since):
                self._renew(timeout)
            raise failure from None
        log_call(method, len(request), f"received {len(content)} B", time.perf_counter() - start)
        self._renewal.heard()
        return content

    def _renew(self, timeout: float) -> None:
        """Take another connection; the old one is closed once the calls over it have ended."""
        task = asyncio.create_task(self._channel.close(timeout))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._channel = None

    def _see_loop(self) -> None:
        """See that this is the event loop of the connection: gRPC would fail inside, with `Event loop is closed`."""
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise UsageError(
                "this client belongs to another event loop, expected one AsyncClient for each: make it inside the "
                "coroutine that asyncio.run runs"
            )
        self._loop = loop


async def _take(call: Call, part: Part, task: asyncio.Task[tuple[bytes, int, float]]) -> None:
    try:
        content, sent, seconds = task.result()
    except RpcError as error:
        call.failed(part, error, time.monotonic())
    else:  # reading pictures may take a while, in which other tasks can run
        await asyncio.to_thread(call.arrived, part, content, sent, seconds)
