"""What a call of `Client` has in flight: requests, sent from a thread of their own, and a queue of their responses."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from genclient.client.call import Call
from genclient.client.schedule import Part
from genclient.errors import RpcError
from genclient.rpc import channel
from genclient.rpc.channel import Channel, PendingResponse

_WAKE_SECONDS = 0.2
"""A signal that arrives just before a thread begins to wait does not end the waiting; so nothing waits for long."""


class Requests:
    """The requests of a call that are in flight; responses are read by who takes them.

    One thread makes and sends them, in order: Ctrl-C, which arrives in the main thread, never meets gRPC half way.
    """

    def __init__(self, connected: Channel, call: Call) -> None:
        """Take what to send them over."""
        self._channel, self._call = connected, call
        self._sender = ThreadPoolExecutor(1, "genclient")
        self._ended: SimpleQueue[tuple[Part, Future[PendingResponse]]] = SimpleQueue()
        self._running: dict[int, PendingResponse] = {}
        self._stopped = False

    def begin(self, part: Part) -> None:
        """Send a part."""
        self._sender.submit(self._send, part).add_done_callback(lambda sent: self._sent(part, sent))

    def take(self, seconds: float | None) -> None:
        """Wait for one to end, but no longer than that, and give the response or the failure to the call."""
        try:
            part, sent = self._ended.get(timeout=_WAKE_SECONDS if seconds is None else min(seconds, _WAKE_SECONDS))
        except Empty:
            return
        self._running.pop(part.start, None)
        response = sent.result()
        try:
            content = response()
        except RpcError as error:
            self._call.failed(part, error, time.monotonic())
        else:
            self._call.arrived(part, content, response.sent, response.seconds)

    def stop(self) -> None:
        """Cancel what is in flight."""
        self._stopped = True
        self._sender.shutdown(wait=False, cancel_futures=True)
        for response in list(self._running.values()):
            response.cancel()

    def _send(self, part: Part) -> PendingResponse:
        content = self._call.request(part)
        left = part.deadline - time.monotonic()
        return self._channel.send(channel.PREDICT, content, left, wait_for_ready=part.failure is not None)

    def _sent(self, part: Part, sent: Future[PendingResponse]) -> None:
        if sent.cancelled():
            return
        if sent.exception() is not None:
            self._ended.put((part, sent))
            return
        response = sent.result()
        self._running[part.start] = response
        if self._stopped:
            response.cancel()
        response.then(lambda: self._ended.put((part, sent)))
