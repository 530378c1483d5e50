"""One connection to a server and the calls made over it, each under a deadline, each error an RpcError.

It knows gRPC and TensorFlow Serving's method names; not what tensors mean (codec.py) or a generator is (client.py).
Messages cross gRPC as bytes and are parsed here: gRPC would report a response that does not parse on stderr by itself.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from genclient.errors import ClientError, RpcError, UsageError
from genclient.errors.reasons import timed_out
from genclient.rpc import guard, wire
from genclient.rpc.proxy import Proxy, proxy_for
from genclient.rpc.security import Security
from genclient.rpc.target import Target

log = logging.getLogger("genclient")

_PREDICTION = "tensorflow.serving.PredictionService"
_MODEL = "tensorflow.serving.ModelService"
_CONFIG = "genserve.ConfigService"  # genserve's own

MAX_METADATA = 2**22
"""Bytes of what comes with a response beside its message; gRPC's limit turns a long error text into another error."""


@dataclass(frozen=True)
class Method:
    """An RPC: its path, the type of its response, and how many fields that may have."""

    path: str
    response: Any
    max_fields: int = guard.OTHER_FIELDS

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


PREDICT = Method(f"/{_PREDICTION}/Predict", wire.PredictResponse, guard.PREDICT_FIELDS)
METADATA = Method(f"/{_PREDICTION}/GetModelMetadata", wire.MetadataResponse)
STATUS = Method(f"/{_MODEL}/GetModelStatus", wire.StatusResponse)
RELOAD = Method(f"/{_MODEL}/HandleReloadConfigRequest", wire.ReloadResponse)
GET_CONFIG = Method(f"/{_CONFIG}/GetConfig", wire.ServerConfig)
SET_MODEL = Method(f"/{_CONFIG}/SetModel", wire.ReloadResponse)
REMOVE_MODEL = Method(f"/{_CONFIG}/RemoveModel", wire.ReloadResponse)


@dataclass(frozen=True)
class Connection:
    """How a server is reached; the options of Client say the same at length."""

    target: Target
    timeout_seconds: float
    security: Security = field(default_factory=Security)
    compression: str | None = None
    max_message_bytes: int = 2**28
    authority: str | None = None

    def __post_init__(self) -> None:
        """See that the options can be meant.

        Raises:
            UsageError: one cannot.
        """
        if not 0 < self.timeout_seconds < 1e9:
            raise UsageError(f"timeout: found {self.timeout_seconds}, expected seconds above 0")
        if self.compression not in (None, "gzip", "deflate"):
            raise UsageError(f"compression: found {self.compression!r}, expected None, 'gzip' or 'deflate'")
        if not isinstance(self.max_message_bytes, int) or not 1024 <= self.max_message_bytes < 2**31:
            raise UsageError(f"max_message_bytes: found {self.max_message_bytes!r:.60}, expected 1024 to {2**31 - 1}")
        if self.authority is not None and not re.fullmatch(r"[!-~]+", str(self.authority)):
            raise UsageError(f"authority: found {self.authority!r}, expected a host's name, perhaps with a port")
        self.security.check(self.target)
        if len(self.target.hosts) > 1 and self.proxy is not None:
            raise UsageError(
                f"target: found several hosts, which {self.proxy} cannot reach together, expected one, "
                "or all of them in no_proxy"
            )

    @property
    def proxy(self) -> Proxy | None:
        """What is between here and the server; nothing where that is on this machine."""
        return None if self.target.local else proxy_for(self.target.hosts)

    def options(self) -> list[tuple[str, Any]]:
        """Settings of a channel for gRPC (grpc/impl/channel_arg_names.h)."""
        options: list[tuple[str, Any]] = [
            # A batch of images exceeds gRPC's default of 4 MiB. A response larger than this is requested in parts.
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # gRPC gives a connection attempt 20 s and waits up to 2 min between attempts; its least wait is also an
            # attempt's time limit. A host that does not respond is reported within seconds, and `wait` sees a port soon
            # after it opens.
            ("grpc.min_reconnect_backoff_ms", 2000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2000),
            # Servers hang up on clients that ping more than once in 5 min (too_many_pings); load balancers forget
            # connections that are silent for 350 s. Pings only while a call waits. With them, data that nobody
            # acknowledges for 20 s ends a connection (TCP_USER_TIMEOUT), so a machine that vanished is noticed.
            ("grpc.keepalive_time_ms", 310_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 0),
            # What is sent again is retry.py's: two layers would multiply.
            ("grpc.enable_retries", 0),
            # A new channel gets a connection of its own, and not the one that an old channel has lost; see Channel.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_metadata_size", MAX_METADATA),
            ("grpc.absolute_max_metadata_size", MAX_METADATA),
            # gRPC would use a proxy for this machine too, and for a whole list of hosts as if it were one.
            ("grpc.enable_http_proxy", int(self.proxy is not None)),
        ]
        if self.target.balanced:
            options.append(("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})))
        if self.authority is not None:
            options.append(("grpc.default_authority", self.authority))
        if self.security.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.security.server_name))
        return options

    def open(self, module: Any) -> Any:
        """A channel of `grpc` or `grpc.aio`, whichever module is given; it connects with the first call.

        Raises:
            ClientError: a certificate cannot be read, or a name in a list of targets is not known.
        """
        algorithms = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
        compression = algorithms.get(self.compression or "", grpc.Compression.NoCompression)
        address, credentials = self.target.address(), self.security.credentials()
        if credentials is None:
            return module.insecure_channel(address, options=self.options(), compression=compression)
        return module.secure_channel(address, credentials, options=self.options(), compression=compression)

    def error(self, error: grpc.RpcError, timeout_seconds: float) -> RpcError:
        """A failed call in words for a user; of one that is sent again, the time is that of all its attempts."""
        details = timed_out(str(error.details() or ""), max(timeout_seconds, self.timeout_seconds))
        return RpcError(self.target.text, error.code(), details, proxy=str(self.proxy or ""))

    def parse(self, method: Method, content: bytes) -> Any:
        """The message of a response.

        Raises:
            ClientError: it is none, or one that would take far more memory than it came in.
        """
        try:
            guard.check(content, method.response.DESCRIPTOR, method.max_fields)
            return method.response.FromString(content)
        except (DecodeError, ValueError) as error:
            name = f"{self.target.text} sent a response to {method.name}"
            raise ClientError(f"{name} that does not parse: {error}") from None


class Renewal:
    """When a connection is given up: a request over it got no response in time, nor did any other since it was sent.

    Proxies and address translators forget silent connections without notice; what is sent then goes nowhere.
    """

    def __init__(self) -> None:
        """Begin: no response yet."""
        self._last_response = 0.0

    def responded(self) -> None:
        """A server responded."""
        self._last_response = time.monotonic()

    def due(self, error: RpcError, since: float) -> bool:
        """Whether a request that was sent then and failed so calls for a new connection."""
        return error.code.name == "DEADLINE_EXCEEDED" and self._last_response < since


class Channel:
    """A connection for threads, made on the first call; a context manager that closes it."""

    def __init__(self, connection: Connection) -> None:
        """Take how to connect.

        Raises:
            ClientError: a certificate cannot be read, or a name in a list of targets is not known.
        """
        self.connection = connection
        self._headers = connection.security.metadata()
        self._channel = connection.open(grpc)
        self._process = os.getpid()
        self._renewal = Renewal()
        self._closed = False

    def close(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        self._closed = True
        self._channel.close()

    def call(
        self, method: Method, request: Any, timeout_seconds: float | None = None, *, wait_for_ready: bool = False
    ) -> Any:
        """The response to a request; with `wait_for_ready`, the server may come up meanwhile.

        Raises:
            RpcError: the server refuses or cannot be reached, or time is over.
            ClientError: the response does not parse.
        """
        timeout = self.connection.timeout_seconds if timeout_seconds is None else timeout_seconds
        options = {"timeout": timeout, "metadata": self._headers, "wait_for_ready": wait_for_ready}
        content = request.SerializeToString()
        # Not by a future: Ctrl-C while one is made leaves gRPC with a call that nothing ends, and `close` waits for it.
        channel, stub = self._stub(method)
        receive = PendingResponse(self, channel, method, len(content), timeout)
        return self.connection.parse(method, receive.result(lambda: stub(content, **options)))

    def send(
        self, method: Method, content: bytes, timeout_seconds: float, wait_for_ready: bool = False
    ) -> PendingResponse:
        """Send a request and do not wait for its response; not in the main thread, see `call`."""
        channel, stub = self._stub(method)
        response = PendingResponse(self, channel, method, len(content), timeout_seconds)
        options = {"timeout": timeout_seconds, "metadata": self._headers, "wait_for_ready": wait_for_ready}
        return response.follow(stub.future(content, **options))

    def responded(self) -> None:
        """A call succeeded."""
        self._renewal.responded()

    def failed(self, channel: Any, error: RpcError, since: float) -> None:
        """A call over `channel`, sent at `since`, failed."""
        if channel is self._channel and not self._closed and self._renewal.due(error, since):
            # gRPC closes the old one when the last call over it has ended and nobody holds it any more.
            self._channel = self.connection.open(grpc)

    def _stub(self, method: Method) -> tuple[Any, Any]:
        if self._closed:
            raise UsageError("this client is closed, expected one whose `with` block has not ended")
        if os.getpid() != self._process:
            raise UsageError("this client was made before os.fork, expected one that this process made itself")
        channel = self._channel
        return channel, channel.unary_unary(method.path)


class PendingResponse:
    """A request under way.

    Attributes:
        sent: bytes of the request.
        seconds: from its sending to the end of the response, once that is there.
    """

    def __init__(self, over: Channel, channel: Any, method: Method, sent: int, timeout_seconds: float) -> None:
        """Take what is about to be sent; time begins."""
        self.sent = sent
        self.seconds = 0.0
        self._over, self._channel, self._method, self._timeout = over, channel, method, timeout_seconds
        self._start, self._since = time.perf_counter(), time.monotonic()
        self._future: Any = None

    def follow(self, future: Any) -> PendingResponse:
        """Take the call in gRPC's hands."""
        self._future = future
        future.add_done_callback(lambda _: self._end())
        return self

    def __call__(self) -> bytes:
        """The response, as soon as it is there; raises RpcError."""
        return self.result(self._future.result)

    def result(self, receive: Callable[[], bytes]) -> bytes:
        """What `answer` gives, with gRPC's errors in words for a user."""
        try:
            content = receive()
        except grpc.RpcError as error:
            failure = self._over.connection.error(error, self._timeout)
            log_call(self._method, self.sent, failure.code.name, self._end())
            self._over.failed(self._channel, failure, self._since)
            raise failure from None
        except grpc.FutureCancelledError:
            raise UsageError("this client was closed while a request was under way") from None
        log_call(self._method, self.sent, f"received {len(content)} B", self._end())
        self._over.responded()
        return content

    def then(self, act: Callable[[], None]) -> None:
        """Have `act` called in another thread once the response is there or has failed; at once if it is."""
        self._future.add_done_callback(lambda _: act())

    def cancel(self) -> None:
        """Give it up."""
        self._future.cancel()

    def _end(self) -> float:
        self.seconds = self.seconds or time.perf_counter() - self._start
        return self.seconds


def log_call(method: Method, sent: int, outcome: str, seconds: float) -> None:
    """A line about a call for those who debug: sizes and time."""
    log.debug("%s: sent %d B, %s, %.1f ms", method.name, sent, outcome, seconds * 1000)
