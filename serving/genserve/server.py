"""The server: watches the repository, opens the port once the first models are available, serves, and shuts down.

Connects the other modules: the services, the addresses to listen on, REST and telemetry.
Source: TF Serving's model_servers/server.cc.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import tensorflow as tf

from genserve.errors import ServeError
from genserve.loading.loader import Loader
from genserve.models import config
from genserve.models.manager import Manager
from genserve.models.reload import FilePoller
from genserve.models.states import Retries
from genserve.network import tls
from genserve.network.port import address, cannot_listen, most_connections
from genserve.options.flags import INT32_MAX, Flags
from genserve.rpcs.admission import MAX_SENDERS, Admission, InFlight, Senders
from genserve.rpcs.health import HEALTH_SERVICE, add_health, add_reflection
from genserve.rpcs.rpc import handler
from genserve.rpcs.services import Services, services
from genserve.rpcs.threads import RpcThreads
from genserve.runtime.memory import Keeper
from genserve.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005  # for which Python may keep others waiting: at the usual 5 ms few long requests hold up all
GRACE_SECONDS = 30.0  # for requests in flight after SIGTERM
SIGNAL_CHECK_SECONDS = 1.0  # between two checks whether a signal has come
HEALTH_NOTICE_SECONDS = 0.1  # for the message NOT_SERVING to those who watch the health service

HANDSHAKE_MILLISECONDS = 10_000  # for a client to speak HTTP/2
MIN_STREAMS = 100  # per connection; RFC 9113 recommends no fewer
IDLE_MILLISECONDS = 600_000  # without a request; clients connect again by themselves


def serve(flags: Flags, stop: threading.Event) -> None:
    """Serve until `stop` is set; then wait up to 30 seconds for requests in flight.

    Raises:
        FlagError: a file that a flag names cannot be used.
        ServeError: an address is in use, there is nothing to serve and no further poll, or the models of the config
            cannot be served.
        ModuleNotFoundError: a flag asks for a package that is not installed.

    Example:
    ```python
    stop = threading.Event()
    flags = Flags(model_name="digits", model_base_path="models/digits", port=8500)
    threading.Thread(target=serve, args=(flags, stop)).start()
    ...
    stop.set()
    ```
    """
    tf.get_logger().setLevel(logging.ERROR)
    sys.setswitchinterval(SWITCH_SECONDS)
    if flags.v:
        logging.getLogger("genserve").setLevel(logging.DEBUG)
    server = Server(flags)
    try:
        _serve(server, flags, stop)
    finally:
        server.close()


def _serve(server: Server, flags: Flags, stop: threading.Event) -> None:
    first = config.from_flags(flags)
    server.models.reload(first, lambda: not stop.is_set() and not nothing_to_serve(server.models, flags))
    if stop.is_set():
        return
    if missing := nothing_to_serve(server.models, flags):
        raise missing
    server.start()
    announce(server)
    if flags.model_config_file and flags.model_config_file_poll_wait_seconds:
        poller = FilePoller(server.models, flags.model_config_file)
        arguments = (flags.model_config_file_poll_wait_seconds, stop)
        threading.Thread(target=poller.run, args=arguments, name="config-poller", daemon=True).start()
    # Python runs a signal's handler once the main thread goes on, and that sleeps through one that another thread got.
    memory = Keeper()
    while not stop.wait(SIGNAL_CHECK_SECONDS):
        memory.look()
    server.drain()


def announce(server: Server) -> None:
    """Log what is served where."""
    if not server.models:
        log.info("serving no model yet on %s", server.addresses)
    for model in server.models.values():
        versions = ", ".join(map(str, model.available()))
        log.info("serving %s version %s on %s", model.name, versions, server.addresses)


def nothing_to_serve(models: Manager, flags: Flags) -> ServeError | None:
    """The error if the disk is polled only once and a model has no version."""
    if flags.file_system_poll_wait_seconds:
        return None
    for model in models.values():
        if model.looked and not model.aspired:
            return ServeError(
                grpc.StatusCode.NOT_FOUND,
                f"nothing to serve under {model.base_path}, and --file_system_poll_wait_seconds=0 looks only once",
            )
    return None


class Server:
    """The gRPC and REST servers and what they serve."""

    def __init__(self, flags: Flags) -> None:
        """Prepare; opens nothing yet.

        Raises:
            FlagError: a file that a flag names cannot be used.
            ModuleNotFoundError: a flag asks for a package that is not installed.
        """
        retries = Retries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6)
        loader = self._loader = Loader(flags)
        self.models: Manager = Manager(
            loader,
            flags.file_system_poll_wait_seconds,
            retries,
            flags.allow_version_labels_for_unavailable_models,
        )
        self._flags = flags
        self._telemetry = Telemetry.of(flags, self.models, loader.thread_pool_name)
        loader.monitoring = self._telemetry.monitoring if self._telemetry else None
        self._admission = Admission(flags.grpc_max_threads, flags.max_queued_requests)
        self._rest = rest_server(self.models, flags, self._telemetry, self._admission.in_flight)
        self._credentials = tls.credentials(flags.ssl_config_file) if flags.ssl_config_file else None
        self._grpc = grpc_server(flags, self._admission.senders)
        self._set_not_serving = self._add_services(services(self.models, flags))

    @property
    def addresses(self) -> str:
        """The addresses, for the log."""
        rest = [f"{address(self._flags.host, self._flags.rest_api_port)} (REST)"] if self._rest else []
        return " and ".join(addresses(self._flags) + rest)

    def start(self) -> None:
        """Start listening and serving.

        Raises:
            ServeError: UNAVAILABLE, naming the address.
        """
        for where in addresses(self._flags):
            try:
                if self._credentials is None:
                    self._grpc.add_insecure_port(where)
                else:
                    self._grpc.add_secure_port(where, self._credentials)
            except RuntimeError as error:
                raise cannot_listen(where, "it is in use") from error
        self._grpc.start()
        if self._rest is not None:
            self._rest.start()

    def drain(self) -> None:
        """Reject new requests and wait up to 30 seconds for those in flight."""
        log.info("stopping: no new requests, up to %.0f s for those in flight", GRACE_SECONDS)
        self._set_not_serving()
        stopped = self._grpc.stop(GRACE_SECONDS)
        started = time.monotonic()
        if self._rest is not None:
            self._rest.stop(GRACE_SECONDS)
        stopped.wait(HEALTH_NOTICE_SECONDS)
        # Not for `stopped`: streams of the health service and of reflection stay open for as long as they may.
        self._admission.in_flight.wait(GRACE_SECONDS - (time.monotonic() - started))
        if self._telemetry is not None:
            self._telemetry.close()
        log.info("stopped")

    def close(self) -> None:
        """Delete temporary files."""
        self._loader.close()

    def _add_services(self, services: Services) -> Callable[[], None]:
        for service, methods in services.items():
            observe = self._telemetry.rpc if self._telemetry is not None else None
            handlers = {name: handler(name, respond, self._admission, observe) for name, respond in methods.items()}
            self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        health = self._flags.enable_grpc_healthcheck_service
        add_reflection(self._grpc, [*services, HEALTH_SERVICE] if health else services, self._admission.senders)
        return add_health(self._grpc, services, self._admission.senders) if health else lambda: None


def rest_server(models: Manager, flags: Flags, telemetry: Telemetry | None, rpcs: InFlight) -> Any:
    """The REST server, or None without `--rest_api_port`.

    Raises:
        ModuleNotFoundError: uvicorn or orjson is not installed.
    """
    if not flags.rest_api_port:
        return None
    from genserve.rest import RestServer

    return RestServer(models, flags, telemetry, lambda: rpcs.begun)


def grpc_server(flags: Flags, senders: Senders) -> grpc.Server:
    """A gRPC server with the thread and queue limits of the flags; more requests are RESOURCE_EXHAUSTED."""
    options: dict[str, int | str] = {
        "grpc.max_send_message_length": INT32_MAX,
        "grpc.max_receive_message_length": INT32_MAX,
        "grpc.so_reuseport": 0,  # else a second server would silently take half of the requests
        "grpc.server_handshake_timeout_ms": HANDSHAKE_MILLISECONDS,
        "grpc.max_connection_idle_ms": IDLE_MILLISECONDS,
        "grpc.max_concurrent_streams": max(MIN_STREAMS, flags.grpc_max_threads),  # gRPC clients queue the others
        "grpc.max_allowed_incoming_connections": most_connections(),
        **flags.channel_arguments(),
    }
    threads = flags.grpc_max_threads + MAX_SENDERS
    return grpc.server(
        RpcThreads(threads, senders),
        options=list(options.items()),
        maximum_concurrent_rpcs=threads + flags.max_queued_requests,
    )


def addresses(flags: Flags) -> list[str]:
    """The addresses to listen on, in gRPC's notation."""
    port = [address(flags.host, flags.port)] if flags.port else []
    return port + ([f"unix:{flags.grpc_socket_path}"] if flags.grpc_socket_path else [])
