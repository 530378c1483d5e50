"""The HTTP server of the REST API: uvicorn, in a thread with an event loop for all connections."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from genserve.flags import Flags
from genserve.model import Models
from genserve.port import ADDRESS, cannot_listen
from genserve.rest.api import Api
from genserve.rest.application import Application
from genserve.telemetry import Telemetry

STUCK_MILLISECONDS = 120_000  # for a client to take the next bytes of its answer
BACKLOG = 2048


class RestServer:
    """The REST API on `--rest_api_port`."""

    def __init__(self, models: Models[Any], flags: Flags, telemetry: Telemetry | None = None) -> None:
        """Open nothing yet.

        Args:
            models: what is served.
            flags: port, threads, timeout, CORS.
            telemetry: what is told of requests and has the metrics, or None.
        """
        api = Api(models, flags.enable_signature_method_name_check, telemetry.rest if telemetry else None)
        api.emptied = flags.enable_serialization_as_tensor_content and flags.imitate_tensor_content_fault
        self._port = flags.rest_api_port
        self._seconds = flags.rest_api_timeout_in_ms / 1000
        self._application = Application(
            api,
            flags.rest_api_num_threads,
            flags.max_queued_requests,
            self._seconds,
            flags.rest_api_enable_cors_support,
            telemetry.page if telemetry else lambda path: None,
        )
        settings: dict[str, Any] = {
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "lifespan": "off",
        }
        config = uvicorn.Config(self._application, backlog=BACKLOG, ws="none", timeout_keep_alive=120, **settings)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen on every IPv4 interface, and answer.

        Raises:
            ServeError: UNAVAILABLE, naming the address.
        """
        address = (ADDRESS, self._port)
        try:
            self._socket = socket.create_server(address, backlog=BACKLOG)
            # Connections inherit both. asyncio would set the first, but not where a socket was made like this one.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # ends connections whose clients read nothing any more
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MILLISECONDS)
        except OSError as error:
            raise cannot_listen(f"{ADDRESS}:{self._port}", error.strerror or str(error)) from error
        self._thread.start()
        self._server.ready.wait()

    def stop(self, seconds: float) -> None:
        """Take no new requests and finish those in flight, within so many seconds."""
        if not self._thread.is_alive():
            return
        self._server.config.timeout_graceful_shutdown = max(1, int(seconds))
        self._application.close()
        self._server.should_exit = True
        self._thread.join(seconds + 1)

    def _run(self) -> None:
        assert self._socket is not None
        self._server.run([self._socket])


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.ready.set()
