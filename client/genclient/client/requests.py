"""The requests of a call of `Client` that are under way: sent from a thread of their own, their replies in a queue."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from genclient.client.call import Call
from genclient.client.schedule import Part
from genclient.errors import RpcError
from genclient.rpc import channel
from genclient.rpc.channel import Channel, PendingReply

_WAKE_SECONDS = 0.2
"""A signal that arrives just before a thread begins to wait does not end the waiting; so nothing waits for long."""


class Requests:
    """The requests of a call that are under way; replies are read by who takes them.

    One thread makes and sends them, in order: Ctrl-C, which arrives in the main thread, never meets gRPC half way.
    """

    def __init__(self, connected: Channel, call: Call) -> None:
        """Take what to send them over."""
        self._channel, self._call = connected, call
        self._sender = ThreadPoolExecutor(1, "genclient")
        self._ended: SimpleQueue[tuple[Part, Future[PendingReply]]] = SimpleQueue()
        self._running: dict[int, PendingReply] = {}
        self._stopped = False

    def begin(self, part: Part) -> None:
        """Send a part."""
        self._sender.submit(self._send, part).add_done_callback(lambda sent: self._sent(part, sent))

    def take(self, seconds: float | None) -> None:
        """Wait for one to end, but no longer than that, and give the reply or the failure to the call."""
        try:
            part, sent = self._ended.get(timeout=_WAKE_SECONDS if seconds is None else min(seconds, _WAKE_SECONDS))
        except Empty:
            return
        self._running.pop(part.start, None)
        reply = sent.result()
        try:
            content = reply()
        except RpcError as error:
            self._call.failed(part, error, time.monotonic())
        else:
            self._call.arrived(part, content, reply.sent, reply.seconds)

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopped = True
        self._sender.shutdown(wait=False, cancel_futures=True)
        for reply in list(self._running.values()):
            reply.cancel()

    def _send(self, part: Part) -> PendingReply:
        content = self._call.request(part)
        left = part.deadline - time.monotonic()
        return self._channel.send(channel.PREDICT, content, left, wait_for_ready=part.failure is not None)

    def _sent(self, part: Part, sent: Future[PendingReply]) -> None:
        if sent.cancelled():
            return
        if sent.exception() is not None:
            self._ended.put((part, sent))
            return
        reply = sent.result()
        self._running[part.start] = reply
        if self._stopped:
            reply.cancel()
        reply.then(lambda: self._ended.put((part, sent)))
