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
REPEAT_SECONDS = 60.0  # how often a standing complaint is logged again
RETRY_SECONDS = 0.1  # before the next try to take a connection where there was no place


class Owes(enum.Enum):
    """What a client has to do before its connection goes on."""

    HEAD = "the request's header"  # the rest of it, or all of it on a new connection
    NEXT = "another request"
    BODY = "the request's body"
    READING = "reading the response"


class Room:
    """The connections that are open, those of clients that owe something in the order in which they began to."""

    def __init__(self, limits: Limits) -> None:
        """None yet."""
        self.limits = limits
        self.open = 0
        self.owing: dict[Connection, None] = {}
        self._complained = -REPEAT_SECONDS

    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return self.open >= self.limits.connections

    def make(self, why: str) -> bool:
        """Close the connection whose client has owed for longest; False where none does."""
        if time.monotonic() >= self._complained + REPEAT_SECONDS:
            self._complained = time.monotonic()
            log.warning("REST: %s, with %d connections: the longest idle ones are closed", why, self.open)
        longest = next(iter(self.owing), None)
        if longest is None:
            return False
        del self.owing[longest]
        longest.transport.abort()
        return True


class Connection(H11Protocol):
    """One client's connection."""

    def __init__(self, room: Room, *arguments: Any, **keywords: Any) -> None:
        """Not connected yet."""
        super().__init__(*arguments, **keywords)
        self.conn = _Parser(h11.SERVER)
        self._room = room
        limits = room.limits
        self._seconds = dict.fromkeys(Owes, limits.stall_seconds)
        self._seconds |= {Owes.HEAD: limits.header_seconds, Owes.NEXT: limits.idle_seconds}
        self._owes: Owes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._heard_before = 0  # bytes
        self._head_begun = True  # a new connection is for a request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._room.open -= 1
        self._owe(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        self._heard += len(data)
        self._head_begun = self._idle
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._head_begun = bool(self.conn.trailing_data[0])
        self._look()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """The client reads."""
        super().resume_writing()
        self._look()

    def shutdown(self) -> None:
        """Finish what has come in full, and wait for nothing else."""
        if self._owes is Owes.BODY:
            self._refuse(Refused(503, grpc.StatusCode.UNAVAILABLE, "the server is stopping"))
        elif self._owes is Owes.READING:
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

    def _look(self) -> None:
        """See what the client owes now; its time begins where that has changed."""
        if self.flow.write_paused or self.transport.is_closing():
            owes: Owes | None = Owes.READING
        elif self._idle:
            owes = Owes.HEAD if self._head_begun else Owes.NEXT
        else:
            owes = Owes.BODY if self.cycle.more_body else None
        if owes is not self._owes:
            self._owe(owes)

    def _owe(self, owes: Owes | None) -> None:
        self._owes = owes
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._room.owing.pop(self, None)
        if owes is not None:
            self._heard_before = self._heard
            self._timer = self.loop.call_later(self._seconds[owes], self._out_of_time, owes)
            self._room.owing[self] = None

    def _out_of_time(self, owes: Owes) -> None:
        if owes is Owes.BODY and self._heard - self._heard_before >= PROGRESS_BYTES:
            self._owe(owes)
        elif owes is Owes.BODY or (owes is Owes.HEAD and self._heard > self._heard_before):
            why = f"{owes.value} did not arrive within {self._seconds[owes]:g} s"
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
        self._look()


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
    """Accepts connections while there is room."""

    def __init__(self, listening: socket.socket, room: Room, make: Callable[[], Connection]) -> None:
        """Listen; `make` makes what a connection is handed to."""
        self._socket, self._room, self._make = listening, room, make
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
        if self._room.full() and not self._room.make("no more connections may be open"):
            self._pause()
            return
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError as error:  # no file descriptor is left
            self._room.make(error.strerror or str(error))
            self._pause()
            return
        self._room.open += 1
        task = self._loop.create_task(self._connect(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            accepted.setblocking(False)
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # the client has gone
            self._room.open -= 1
            accepted.close()
