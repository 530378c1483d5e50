"""The connections of the REST API: how many there are, and how long each may wait for its client.

A connection is either working on a request or waiting for its client: to send headers or more of a body, or to read a
response. Each kind of waiting has a timeout, and if there are too many connections, the one that has waited longest is
closed. uvicorn, whose protocol this extends, has neither.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import grpc
import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from genserve.rest.limits import Limits, Refused

log = logging.getLogger(__name__)

PROGRESS_BYTES = 2**16  # of a body within the stall timeout; fewer do not count as progress
SMALL_CHUNKS, CHUNK_BYTES = 1000, 64  # so many chunks of a body may be smaller than this: each costs as much as 100 KB
REPEAT_SECONDS = 60.0  # before the same warning is logged again
RETRY_SECONDS = 0.1  # before the next accept() where as many connections are open as may be


class WaitsFor(enum.Enum):
    """What a connection waits for its client to send, or to read."""

    HEAD = "the request's header"  # the rest of it, or all of it on a new connection
    NEXT = "another request"
    BODY = "the request's body"
    READING = "reading the response"


class Connections:
    """The open connections; those that wait for their client in the order in which they began to."""

    def __init__(self, limits: Limits) -> None:
        """None yet."""
        self.limits = limits
        self.open = 0
        self.waiting: dict[Connection, None] = {}
        self._warned = -REPEAT_SECONDS

    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return self.open >= self.limits.connections

    def close_longest_idle(self, why: str) -> bool:
        """Close the connection that has waited longest for its client; False where none waits."""
        if time.monotonic() >= self._warned + REPEAT_SECONDS:
            self._warned = time.monotonic()
            log.warning("REST: %s, with %d connections: the longest idle ones are closed", why, self.open)
        longest = next(iter(self.waiting), None)
        if longest is None:
            return False
        del self.waiting[longest]
        longest.transport.abort()
        return True


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(self, connections: Connections, *arguments: Any, **keywords: Any) -> None:
        """Not connected yet."""
        super().__init__(*arguments, **keywords)
        self.conn = _Parser(h11.SERVER)
        self._connections = connections
        limits = connections.limits
        self._seconds = dict.fromkeys(WaitsFor, limits.stall_seconds)
        self._seconds |= {WaitsFor.HEAD: limits.header_seconds, WaitsFor.NEXT: limits.idle_seconds}
        self._waits_for: WaitsFor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = self._received_before = 0  # bytes
        self._head_begun = True  # a new connection is for a request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._update()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._connections.open -= 1
        self._wait_for(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        self._received += len(data)
        self._head_begun = self._idle
        super().data_received(data)
        self._update()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._head_begun = bool(self.conn.trailing_data[0])
        self._update()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._update()

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        self._update()

    def shutdown(self) -> None:
        """Finish what has come in full, and wait for nothing else."""
        if self._waits_for is WaitsFor.BODY:
            self._refuse(Refused(503, grpc.StatusCode.UNAVAILABLE, "the server is stopping"))
        elif self._waits_for is WaitsFor.READING:
            self.cycle.keep_alive = False
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Reject what is not HTTP; close if a response has already begun."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing: the limits here are other ones."""

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request is handled as if it had not asked for an upgrade."""

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _update(self) -> None:
        """See what the connection waits for now; where that has changed, its timeout begins."""
        if self.flow.write_paused or self.transport.is_closing():
            waits_for: WaitsFor | None = WaitsFor.READING
        elif self._idle:
            waits_for = WaitsFor.HEAD if self._head_begun else WaitsFor.NEXT
        else:
            waits_for = WaitsFor.BODY if self.cycle.more_body else None
        if waits_for is not self._waits_for:
            self._wait_for(waits_for)

    def _wait_for(self, waits_for: WaitsFor | None) -> None:
        self._waits_for = waits_for
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.waiting.pop(self, None)
        if waits_for is not None:
            self._received_before = self._received
            self._timer = self.loop.call_later(self._seconds[waits_for], self._timed_out, waits_for)
            self._connections.waiting[self] = None

    def _timed_out(self, waits_for: WaitsFor) -> None:
        if waits_for is WaitsFor.BODY and self._received - self._received_before >= PROGRESS_BYTES:
            self._wait_for(waits_for)
        elif waits_for is WaitsFor.BODY or (waits_for is WaitsFor.HEAD and self._received > self._received_before):
            why = f"{waits_for.value} did not arrive within {self._seconds[waits_for]:g} s"
            self._refuse(Refused(408, grpc.StatusCode.DEADLINE_EXCEEDED, why))
        else:
            self.transport.abort()

    def _refuse(self, refused: Refused) -> None:
        """Respond to an incomplete request, in place of the application, and close."""
        reply = refused.reply
        headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body)))]
        response = h11.Response(status_code=reply.status, headers=[*headers, ("connection", "close")])
        try:
            for event in (response, h11.Data(data=reply.body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:  # a response has begun
            self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._update()


class _Parser(h11.Connection):
    """h11's parser, which also rejects bodies of very many tiny chunks."""

    def next_event(self) -> Any:
        """The next event; RemoteProtocolError for what is not HTTP."""
        event = super().next_event()
        if type(event) is h11.Request:
            self._chunks = 0
        elif type(event) is h11.Data and event.chunk_start and len(event.data) < CHUNK_BYTES:
            self._chunks += 1
            if self._chunks > SMALL_CHUNKS:
                raise h11.RemoteProtocolError("the body comes in too many small chunks")
        return event


class Listener:
    """Accepts connections as long as there are not too many."""

    def __init__(self, listening: socket.socket, connections: Connections, make: Callable[[], Connection]) -> None:
        """Listen; `make` makes what a connection is handed to."""
        self._socket, self._connections, self._make = listening, connections, make
        self._loop = asyncio.get_running_loop()
        self._tasks = set[asyncio.Task[None]]()
        self._resume()

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)

    def _pause(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.call_later(RETRY_SECONDS, self._resume)

    def _accept(self) -> None:
        """Take one connection; asyncio's own server takes up to its backlog at once, and logs each that it cannot."""
        if self._connections.full() and not self._connections.close_longest_idle("no more connections may be open"):
            self._pause()
            return
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError as error:  # no file descriptor is left
            self._connections.close_longest_idle(error.strerror or str(error))
            self._pause()
            return
        self._connections.open += 1
        task = self._loop.create_task(self._connect(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # the client has gone
            self._connections.open -= 1
            accepted.close()
