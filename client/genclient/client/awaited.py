"""Calls that are awaited: what `AsyncClient` stands on. `blocking.py` has the same for threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
from grpc import aio
from numpy.typing import NDArray

from genclient.client.base import START_OVER, Request, Settings, Waiting
from genclient.client.call import Batch, Call, Collection
from genclient.client.schedule import Part
from genclient.errors import ClientError, RpcError, UsageError, VersionGoneError
from genclient.model.signature import ModelInfo
from genclient.rpc import channel
from genclient.rpc.channel import Method, Renewal, log_call
from genclient.rpc.status import VersionStatus, version_statuses


class AwaitedCalls(Settings):
    """A connection to a server for one event loop, what is known of its models, and the way of a call."""

    _channel: Any = None
    _closed = False
    _loop: asyncio.AbstractEventLoop | None = None

    def _connect(self) -> None:
        """Nothing yet: gRPC has to be called inside the event loop."""
        self._headers = self.connection.security.metadata()
        self._renewal = Renewal()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *exc: object) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        if self._channel is not None:
            self._check_loop()
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
        return self._keep_info(name, version, await self._call_with_retries(channel.METADATA, request))

    async def status(self, model: str | None = None) -> list[VersionStatus]:
        """As `Client.status`."""
        return version_statuses(await self._call_with_retries(channel.STATUS, self._status_request(model)))

    async def wait(self, timeout_seconds: float = 60.0) -> int:
        """As `Client.wait`."""
        waiting = Waiting(self.model, timeout_seconds)
        while waiting.seconds_left > 0:
            try:
                response = await self._call(
                    channel.STATUS, self._status_request(None), waiting.seconds_left, waiting.no_server
                )
                version = waiting.seen(response)
                if version is not None:
                    return version
            except RpcError as error:
                waiting.failed(error)
            if self.on_wait is not None:
                self.on_wait(waiting.last_seen, waiting.seconds_left)
            await asyncio.sleep(waiting.pause)
        raise ClientError(waiting.timeout_message())

    async def _collect(self, model: str, version: int | None, request: Request) -> dict[str, NDArray[Any]]:
        """As `BlockingCalls._collect`."""
        for _ in range(START_OVER):
            results = Collection()
            try:
                async for batch in self._batches(model, version, replace(request, begun=results.expect)):
                    results.add(batch)
                return results.whole()
            except VersionGoneError as error:
                gone = error
                self._infos.clear()
        raise gone

    async def _batches(self, model: str, version: int | None, request: Request) -> AsyncIterator[Batch]:
        """As `BlockingCalls._batches`."""
        known = await self.info(model, version)
        try:
            call = self._new_call(known, request, version)
        except ClientError:
            if not self._is_stale(known):
                raise
            self._forget_info(version, known)
            known = await self.info(model, version)
            call = self._new_call(known, request, version)
        try:
            async for result in self._run(call):
                yield result
        except RpcError as error:
            if not call.model_may_have_changed(error):
                raise
            self._forget_info(version, known)
            if (fresh := await self.info(model, version)) == known:
                raise
            call = self._new_call(fresh, request, version)
            async for result in self._run(call):
                yield result
        finally:
            self._check_version(known, version, call.version)

    async def _call_with_retries(self, method: Method, request: Any) -> Any:
        """As `BlockingCalls._call_with_retries`."""
        attempts = self._attempts()
        while True:
            try:
                response = await self._call(method, request, attempts.left)
            except RpcError as error:
                pause = attempts.failed(error)
                self._notify((error, attempts.trying_until() - time.monotonic()))
                await asyncio.sleep(pause)
            else:
                attempts.succeeded()
                self._notify(None)
                return response

    async def _run(self, call: Call) -> AsyncIterator[Batch]:
        """Send the parts of a call as they are due, and hand on their results in order."""
        running: dict[asyncio.Task[tuple[bytes, int, float]], Part] = {}
        try:
            while not call.schedule.finished:
                while (part := call.schedule.start(time.monotonic())) is not None:
                    running[asyncio.create_task(self._send_part(call, part))] = part
                pause = call.schedule.pause(time.monotonic())
                if not running:  # a part waits to be sent again
                    await asyncio.sleep(pause or 0)
                    continue
                done, _ = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await _take(call, running.pop(task), task)
                self._notify(call.schedule.retrying(time.monotonic()))
                for result in call.schedule.ready():
                    yield result
        finally:  # an error, a cancellation, or nobody takes the rest
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _send_part(self, call: Call, part: Part) -> tuple[bytes, int, float]:
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
        self._check_loop()
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
        self._renewal.responded()
        return content

    def _renew(self, timeout: float) -> None:
        """Take another connection; the old one is closed once the calls over it have ended."""
        task = asyncio.create_task(self._channel.close(timeout))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._channel = None

    def _check_loop(self) -> None:
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
