"""The HTTP server of the REST API: uvicorn, in a thread with an event loop for all connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from genserve.models.model import Models
from genserve.network.port import bound
from genserve.options.flags import Flags
from genserve.rest.api import Api
from genserve.rest.application import Application
from genserve.rest.connections import Connection, Connections, Listener
from genserve.rest.limits import Limits
from genserve.telemetry.telemetry import Telemetry

STUCK_MILLISECONDS = 120_000  # for a client that has vanished to be noticed
UNSENT_BYTES = 2**18  # of a response that the kernel buffers beyond what is in flight
BACKLOG = 2048


class RestServer:
    """The REST API on `--rest_api_port`."""

    def __init__(
        self,
        models: Models,
        flags: Flags,
        telemetry: Telemetry | None = None,
        rpcs: Callable[[], int] = lambda: 0,
    ) -> None:
        """Prepare; opens nothing yet.

        Args:
            models: what is served.
            flags: address, threads, limits, CORS.
            telemetry: reports requests and has the metrics, or None.
            rpcs: how many RPCs have begun so far.
        """
        api = Api(models, flags.enable_signature_method_name_check, telemetry.rest if telemetry else None)
        api.emptied = flags.enable_serialization_as_tensor_content and flags.imitate_tensor_content_fault
        limits = Limits.of(flags)
        self._address = (flags.host, flags.rest_api_port)
        self._application = Application(
            api,
            flags.rest_api_num_threads,
            flags.max_queued_requests,
            flags.rest_api_timeout_in_ms / 1000,
            limits,
            flags.rest_api_enable_cors_support,
            telemetry.page if telemetry else lambda path: None,
            rpcs,
        )
        settings: dict[str, Any] = {
            "log_config": None,
            "log_level": "error",  # what clients do wrong is theirs to know
            "access_log": False,
            "server_header": False,
            "lifespan": "off",
        }
        self._server = _Server(uvicorn.Config(self._application, ws="none", **settings), Connections(limits))
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        """Start listening and serving.

        Raises:
            ServeError: UNAVAILABLE, naming the address.
        """
        self._sockets = bound(*self._address)
        for listening in self._sockets:
            listening.listen(BACKLOG)
            listening.setblocking(False)
            # Connections inherit both. asyncio would set the first, but not where a socket was made like this one.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MILLISECONDS)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # else the kernel buffers megabytes of each response, uncounted
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._thread.start()
        self._server.ready.wait()

    def stop(self, seconds: float) -> None:
        """Take no new requests and finish those in flight, within so many seconds."""
        if not self._thread.is_alive():
            return
        self._server.config.timeout_graceful_shutdown = max(1, int(seconds))
        self._server.should_exit = True
        self._thread.join(seconds + 1)

    def _run(self) -> None:
        self._server.run(self._sockets)


class _Server(uvicorn.Server):
    """uvicorn's server, with limits on its connections and an event for when it serves."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._connections = connections
        self._listeners: list[Listener] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await self.lifespan.startup()
        self.servers = []
        self._listeners = [Listener(each, self._connections, self._connection) for each in sockets or []]
        self.started = True
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and finish what has come in."""
        for listener in self._listeners:
            listener.close()
        await super().shutdown()

    def _connection(self) -> Connection:
        return Connection(self._connections, self.config, self.server_state, {})
