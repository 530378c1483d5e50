"""What Client and AsyncClient have in common: their settings, and what follows from them without a server."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from genclient.client import arguments, retry
from genclient.client.arguments import Seeds
from genclient.client.call import Batch, Call, Results
from genclient.client.retry import Attempts, Throttle, is_unavailable
from genclient.client.schedule import Limits, Plan, Schedule
from genclient.errors import ClientError, RpcError, UsageError
from genclient.model.binding import Binding, check_names
from genclient.model.inputs import Examples
from genclient.model.role import Given
from genclient.model.signature import ModelInfo, TensorSpec, model_info
from genclient.rpc import wire
from genclient.rpc.channel import Connection
from genclient.rpc.security import Security
from genclient.rpc.status import in_words, newest_available, version_statuses
from genclient.rpc.target import parse_target
from genclient.tasks.registry import choose, known_roles
from genclient.tasks.task import AUTO, Task

MAX_BATCH_SIZE = 64
"""Images of a request, at most, unless specified: the largest batch that genexport's models are warmed up for."""

MIN_BATCH_SIZE = 16
"""Images of a request, however large they are, up to MAX_BATCH_BYTES: servers run a few together faster."""

BATCH_BYTES = 2**22
"""Bytes of a response, about, by default. On two cores responses of 3 to 6 MiB came fastest: 128×128×3 float32 at 4,000
a second in requests of 24, 2,500 of 8, 2,300 of 48, and 500 of 256, which no cache holds."""

MAX_BATCH_BYTES = 2**25

CONCURRENCY = 4

POLL_SECONDS = 0.2
"""Time between two looks at a model that is not available yet."""

FRESH_SECONDS = 1.0
"""For how long what a model says of itself is taken to hold, when something does not fit it."""

START_OVER = 3
"""Times that `sample` begins anew when the version of its first images is unloaded meanwhile."""

WORDS = ("texts", "tokens")
"""Inputs that decide which signature makes images of words."""

DISCRIMINATOR_SUFFIX = "-critic"
DISCRIMINATOR_SIGNATURE = "discriminate"

__all__ = ["Request", "Seeds", "Settings", "Waiting"]


@dataclass(frozen=True)
class Request:
    """A request to a model.

    Attributes:
        given: the arguments by the names of roles, and `truncation`.
        signature: its function to call; `auto`: the cheapest that will do.
        task: what it has to be for; None: what its tensors say.
        result: what it has to give, where the task is not said; None: whatever it gives for `given`.
        begun: called with the number of examples.
    """

    given: Given
    signature: str = AUTO
    task: Task | None = None
    result: str | None = None
    begun: Callable[[int], None] | None = None


class Settings(ABC):
    """The constructor of both clients, and the calls they make, as far as no network is in them."""

    def __init__(
        self,
        target: str = "localhost:8500",
        model: str = "digits",
        *,
        version_label: str | None = None,
        timeout_seconds: float = 60.0,
        deadline_seconds: float | None = None,
        retry_seconds: float | None = None,
        concurrency: int = CONCURRENCY,
        batch_size: int | None = None,
        names: Mapping[str, str] | None = None,
        output_range: tuple[float, float] | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        certificate_file: str | None = None,
        key_file: str | None = None,
        server_name: str | None = None,
        token: str | None = None,
        insecure_token: bool = False,
        plaintext_token: bool = False,
        authority: str | None = None,
        headers: Mapping[str, str] | None = None,
        compression: str | None = None,
        max_message_bytes: int = 2**28,
    ) -> None:
        """Take the address; the connection is made when it is first needed.

        Args:
            target: HOST:PORT or unix:PATH of the server's gRPC API, or HOST with port 8500; of several servers, which
                are then used in turn, HOST:PORT,HOST:PORT or ipv4:IP:PORT,IP:PORT; dns:///HOST:PORT for all addresses
                of a name.
            model: the name it is served under.
            version_label: the label of the version to use, such as `stable`, where calls do not name a version.
            timeout_seconds: how long one request may take, with all its attempts.
            deadline_seconds: how long one call of `sample`, `stream` or `score` may take; None: as long as it takes.
            retry_seconds: how long a request that reaches no server is sent again; None: up to its timeout, but the
                first request for a second at most; 0: never.
            concurrency: requests at a time.
            batch_size: images of a request, fewer where the server takes fewer; None: up to 64 or 4 MiB.
            names: the model's own names for `latents`, `seeds`, `labels`, `images`, `png_bytes`, `scores`, where they
                are others and cannot be guessed.
            output_range: lowest and highest value of pixels given as floats; None: [0, 1], unless the first response of
                a call has values that only [-1, 1] or [0, 255] can have.
            tls: encrypt, and trust the certificates that this system trusts.
            ca_file: encrypt, and trust these certificates (PEM) instead.
            certificate_file: who this client is (PEM), for servers that require it.
            key_file: the key of that certificate (PEM, not encrypted).
            server_name: the name in the server's certificate, where it is not the host of `target`.
            token: sent as `authorization: Bearer …`; only with TLS, or to this machine.
            insecure_token: send the token without TLS all the same.
            plaintext_token: the same under its old name.
            authority: what requests name as the host that they are for, where proxies choose by it.
            headers: further headers of each request.
            compression: of requests: None, `gzip` or `deflate`. It does not pay for images.
            max_message_bytes: of a request or response; larger ones are requested in parts.

        Raises:
            UsageError: an argument cannot be meant as it is, or does not fit another.
            ClientError: a file cannot be read, or a host has no address.
        """
        arguments.check_model(model)
        arguments.check_count("concurrency", concurrency, 256)
        arguments.check_count("batch_size", 1 if batch_size is None else batch_size, 2**20)
        arguments.check_seconds("timeout", timeout_seconds, above_zero=True)
        arguments.check_seconds("deadline", 0 if deadline_seconds is None else deadline_seconds)
        arguments.check_seconds("retry_seconds", 0 if retry_seconds is None else retry_seconds)
        if output_range is not None:
            arguments.check_range(output_range)
        arguments.check_mapping("names", names or {})
        arguments.check_mapping("headers", headers or {})
        check_names(names or {}, known_roles())
        if version_label is not None and (not isinstance(version_label, str) or not version_label):
            raise UsageError(f"version_label: found {version_label!r}, expected a label, such as stable")
        self.target = target
        self.model = model
        self.concurrency = concurrency
        self.batch_size = batch_size
        self.names = dict(names or {})
        self.output_range = output_range
        self.deadline_seconds = math.inf if deadline_seconds is None else deadline_seconds
        self.retry_seconds = math.inf if retry_seconds is None else retry_seconds
        self.version_label = version_label
        self.on_wait: Callable[[str, float], None] | None = None
        insecure = insecure_token or plaintext_token
        security = Security(tls, ca_file, certificate_file, key_file, server_name, token, insecure, dict(headers or {}))
        self.connection = Connection(
            parse_target(target), timeout_seconds, security, compression, max_message_bytes, authority
        )
        self._infos: dict[tuple[str, int | None], ModelInfo] = {}
        self._described_at: dict[int, float] = {}  # when
        self._throttle = Throttle()
        self._waiting_for = ""
        self._limits: dict[tuple[str, str], Limits] = {}
        self._connect()

    @abstractmethod
    def _connect(self) -> None:
        """Open what the requests will go over."""

    def __repr__(self) -> str:
        """The address and the model; no token."""
        return f"{type(self).__name__}({self.target!r}, {self.model!r})"

    def _info_request(self, model: str, version: int | None = None) -> Any:
        arguments.check_model(model)
        arguments.check_version(version)
        spec = wire.ModelSpec(name=model)
        if version is not None:
            spec.version.value = version
        elif self.version_label is not None:
            spec.version_label = self.version_label
        return wire.MetadataRequest(model_spec=spec, metadata_field=["signature_def"])

    def _status_request(self, model: str | None) -> Any:
        if model:
            arguments.check_model(model)
        return wire.StatusRequest(model_spec=wire.ModelSpec(name=model or self.model))

    def _check_reload(self, response: Any) -> None:
        if response.status.error_code:
            raise ClientError(f"{self.target} refused the configuration: {response.status.error_message}")
        self._infos.clear()

    def _keep_info(self, model: str, version: int | None, response: Any) -> ModelInfo:
        info = model_info(response, model, self.target)
        if None not in (version, info.version) and version != info.version:
            raise ClientError(f"{self.target} described version {info.version}, expected {version}, as requested")
        self._infos[model, version] = info
        self._described_at = {
            id(kept): self._described_at.get(id(kept), time.monotonic()) for kept in self._infos.values()
        }
        return info

    def _is_stale(self, info: ModelInfo) -> bool:
        """Whether the model may take something else by now than it said."""
        return time.monotonic() - self._described_at.get(id(info), -math.inf) > FRESH_SECONDS

    def _forget_info(self, version: int | None, known: ModelInfo) -> None:
        """Have a model queried again for its signatures, unless another call has done so."""
        if self._infos.get((known.name, version)) is known:
            self._infos.pop((known.name, version), None)

    def _check_version(self, known: ModelInfo, version: int | None, served: int | None) -> None:
        """Forget what the model said of itself once another version responds."""
        if None not in (served, known.version) and served != known.version:
            self._forget_info(version, known)

    def _attempts(self) -> Attempts:
        given = None if self.retry_seconds == math.inf else self.retry_seconds
        return Attempts(self._throttle, self.connection.timeout_seconds, given)

    def _notify(self, retrying: tuple[RpcError, float] | None) -> None:
        """Say what is waited for, and once it is over that nothing is."""
        if self.on_wait is not None and (retrying or self._waiting_for):
            self._waiting_for = str(retrying[0]) if retrying else ""
            self.on_wait(self._waiting_for, retrying[1] if retrying else 0.0)

    def _new_call(self, info: ModelInfo, request: Request, version: int | None = None) -> Call:
        """The call of a model; raises what is wrong with its arguments."""
        task, binding = self._bound(info, request)
        examples = task.examples(binding, request.given)
        if request.begun is not None:
            request.begun(examples.count)
        read = Results(binding, examples, self.output_range)
        schedule = self._schedule(info.name, binding, examples)
        return Call(self.connection, info.name, binding, examples, schedule, read, version, self.version_label)

    def _bound(self, info: ModelInfo, request: Request) -> tuple[Task, Binding]:
        """The task of a call, and the signature that is called."""
        signature, task = request.signature, request.task
        if task is not None:
            return task, task.bind(info, signature, self.names)
        given = [name for name, value in request.given.items() if value is not None and name != "truncation"]
        needed = [name for name in given if name in WORDS] if request.result else given
        return choose(info, signature, self.names, given=needed, result=request.result)

    def _schedule(self, model: str, binding: Binding, examples: Examples) -> Schedule[Batch]:
        limits = self._limits.setdefault((model, binding.signature), Limits(example_bytes=_example_bytes(binding)))
        if examples.example_bytes is not None:  # files of this call may be larger than those of the last
            limits.example_bytes = float(examples.example_bytes)
        plan = Plan(
            count=examples.count,
            batch_size=binding.fixed_batch or self.batch_size,
            min_batch=MIN_BATCH_SIZE,
            max_batch=MAX_BATCH_SIZE,
            batch_bytes=BATCH_BYTES,
            max_batch_bytes=min(MAX_BATCH_BYTES, self.connection.max_message_bytes // 2),
            concurrency=self.concurrency,
            timeout_seconds=self.connection.timeout_seconds,
            retry_seconds=self.retry_seconds,
            end=time.monotonic() + self.deadline_seconds,
        )
        return Schedule(plan, limits, self._throttle)

    def _model_or_default(self, model: str | None) -> str:
        if model is not None:
            arguments.check_model(model)
        return self.model if model is None else model

    def _discriminator_name(self, model: str | None) -> str:
        if model is not None:
            arguments.check_model(model)
        return f"{self.model}{DISCRIMINATOR_SUFFIX}" if model is None else model


class Waiting:
    """What `wait` has seen so far, and whether it is to go on."""

    def __init__(self, model: str, timeout_seconds: float) -> None:
        """Begin.

        Raises:
            UsageError: the time is none.
        """
        arguments.check_seconds("timeout_seconds", timeout_seconds)
        self._model, self._timeout = model, timeout_seconds
        self._end = time.monotonic() + timeout_seconds
        self._refusals = 0
        self.last_seen = "nothing"
        self.no_server = False

    @property
    def seconds_left(self) -> float:
        """Seconds to go."""
        return self._end - time.monotonic()

    @property
    def pause(self) -> float:
        """Seconds until the next look: soon where a model is loading, later and later where a server refuses."""
        return max(0.0, min(max(POLL_SECONDS, retry.pause(self._refusals) if self._refusals else 0), self.seconds_left))

    def seen(self, response: Any) -> int | None:
        """The newest version that is available by a response, if there is one."""
        versions = version_statuses(response)
        self.last_seen, self.no_server, self._refusals = in_words(versions), False, 0
        return newest_available(versions)

    def failed(self, error: RpcError) -> None:
        """Take an error that may pass; raise another."""
        if not (is_unavailable(error) or error.code.name in ("NOT_FOUND", "DEADLINE_EXCEEDED")):
            raise error
        if not (self.no_server and error.code.name == "DEADLINE_EXCEEDED"):
            self.last_seen = str(error)
        self.no_server = error.code.name == "UNAVAILABLE"
        self._refusals += self.no_server

    def timeout_message(self) -> str:
        """What to say when time is over."""
        return f"model {self._model!r} not available after {self._timeout:g} s; last seen: {self.last_seen}"


def _example_bytes(binding: Binding) -> float | None:
    """Bytes of an example's largest tensor, by those that are declared completely."""
    sides = (binding.inputs, binding.spec.inputs), (binding.outputs, binding.spec.outputs)
    sizes = [_tensor_bytes(spec) for roles, specs in sides for name, spec in specs.items() if roles[name].large]
    return max((size for size in sizes if size is not None), default=None)


def _tensor_bytes(spec: TensorSpec) -> float | None:
    if spec.shape is None or None in spec.shape[1:]:
        return None
    size = {"uint8": 1.5, "float64": 8, "float16": 3}.get(spec.dtype, 4)  # not sent as content, integers are varints
    return max(1.0, size * math.prod(side for side in spec.shape[1:] if side is not None))
