"""The ASGI application of the REST API: reads bodies, runs requests in a thread pool, sends replies.

Requests beyond the queue limit are rejected, a timeout is a 504, and memory held for a client is counted until it has
been sent. connections.py and http.py deal with sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from genserve.errors import ServeError
from genserve.rest.api import Api, failed, timed_out
from genserve.rest.body import SMALL, Body, Message, Receive, large
from genserve.rest.limits import Budget, Limits, Refused
from genserve.rest.reply import JSON, TEXT, Reply
from genserve.rest.turns import Turns
from genserve.rpcs.rpc import Call
from genserve.runtime.memory import give_back_memory

# Threads for requests with short bodies for each with a long one. Parsing JSON holds the
# interpreter, and a run on very many examples occupies TensorFlow's threads: more at a time would be no faster.
SHORT_TO_LONG = 8
SENT_BYTES = (
    2**18
)  # of a response that are passed to the connection at a time; the next follow once most have been read

Send = Callable[[Message], Awaitable[None]]

APIS = ("/v1/", "/v2")
CORS_HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
]


class Application:
    """The ASGI application of the REST API."""

    def __init__(
        self,
        api: Api,
        threads: int,
        waiting: int,
        timeout_seconds: float,
        limits: Limits,
        cors: bool = False,
        page: Callable[[str], bytes | None] = lambda path: None,
        rpcs: Callable[[], int] = lambda: 0,
    ) -> None:
        """Keep the limits.

        Args:
            api: handles requests.
            threads: concurrent requests.
            waiting: requests that may wait for a thread.
            timeout_seconds: for a request.
            limits: of requests and responses.
            cors: whether pages of other origins may call.
            page: a page of text under a path outside `/v1/`, or None.
            rpcs: the number of RPCs begun so far; long requests take turns with them.
        """
        self._api = api
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        self._long = ThreadPoolExecutor(max(1, threads // SHORT_TO_LONG), thread_name_prefix="rest-long")
        self._limit = threads + waiting
        self._timeout = timeout_seconds
        self._cors = CORS_HEADERS if cors else []
        self._page = page
        self._working = self._short = 0
        self._turns = Turns(lambda: self._short + rpcs())
        self._limits = limits
        self._budget = Budget(limits)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request (https://asgi.readthedocs.io/en/latest/specs/www.html)."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        body = Body(self._budget, self._limits)
        try:
            reply = await self._read_and_handle(scope, receive, body)
            reserved = large(len(reply.body))
            try:
                self._budget.take(reserved)
            except Refused as refused:
                reply, reserved = refused.reply, 0
            try:
                await self._send(scope, reply, body.unread, send)
            finally:
                self._budget.give_back(reserved)
        except ConnectionError:  # the client has gone
            pass
        finally:
            if not body.used:
                body.release()

    async def _read_and_handle(self, scope: Message, receive: Receive, body: Body) -> Reply:
        headers = dict(scope["headers"])
        try:
            await body.read(receive, headers)
            return await self._dispatch(scope["method"], path_and_query(scope), body, headers)
        except Refused as refused:
            return refused.reply

    async def _send(self, scope: Message, reply: Reply, unread: bool, send: Send) -> None:
        """Send a reply; waits for slow readers without occupying a thread."""
        headers = [(b"content-type", reply.content_type.encode()), (b"content-length", str(len(reply.body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in reply.headers] + self._cors
        if unread:  # what is still to come would be taken for the next request
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        content = memoryview(b"" if scope["method"] == "HEAD" else reply.body)
        while len(content) > SMALL:
            await send({"type": "http.response.body", "body": content[:SENT_BYTES], "more_body": True})
            content = content[SENT_BYTES:]
            await asyncio.sleep(0)  # others get their turn, and a connection that has broken is known as such
        await send({"type": "http.response.body", "body": content})

    async def _dispatch(self, method: str, path: str, body: Body, headers: dict[bytes, bytes]) -> Reply:
        if not path.lower().startswith(APIS):
            page = self._page(path.partition("?")[0]) if method in ("GET", "HEAD") else None
            if page is not None:
                return Reply(200, page, TEXT)
            return failed(ServeError(grpc.StatusCode.NOT_FOUND, f"Not found: {path}"))
        if method == "OPTIONS" and self._cors:
            return Reply(200, b"", JSON)
        if self._working >= self._limit:
            raise Refused(429, grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent REST limit exceeded!")
        call = Call(time.monotonic() + self._timeout, lambda: True, lambda: _metadata(headers))
        return await self._run_in_thread(method, path, body, call)

    async def _run_in_thread(self, method: str, path: str, body: Body, call: Call) -> Reply:
        """The reply, or a 504; a run that has started completes and keeps its thread until then."""
        self._working += 1
        self._short += not body.long
        body.used = True
        job = (
            self._long.submit(self._handle_long, method, path, body, call)
            if body.long
            else self._pool.submit(self._handle, method, path, body, call)
        )
        future = asyncio.wrap_future(job)
        future.add_done_callback(lambda _: self._done(body))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._timeout)
        except asyncio.TimeoutError:  # the builtin one only since Python 3.11
            job.cancel()  # what has not begun never will
            return failed(timed_out())

    def _handle(self, method: str, path: str, body: Body, call: Call) -> Reply:
        """Handle a request in a thread."""
        try:
            return self._api.respond(method, path, body.take(), call)
        except Refused as refused:
            return refused.reply

    def _handle_long(self, method: str, path: str, body: Body, call: Call) -> Reply:
        """As `_answer`, in turn with short ones; then return the freed memory to the system."""
        with self._turns.long():
            try:
                return self._handle(method, path, body, call)
            finally:
                give_back_memory()

    def _done(self, body: Body) -> None:
        self._working -= 1
        body.used = False
        body.release()


def path_and_query(scope: Message) -> str:
    """Path and query of the request line, without scheme and host if it is an absolute URI (evhttp_request.cc)."""
    path: str = scope["raw_path"].decode("latin-1")
    if path.lower().startswith(("http://", "https://")):
        path = "/" + path.partition("://")[2].partition("/")[2]
    query: str = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _metadata(headers: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """HTTP headers as gRPC metadata."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.items())
