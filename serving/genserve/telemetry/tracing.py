"""An OpenTelemetry span for each request, with children for queue, compute and serialisation.

Enabled if the standard environment variables name an exporter or endpoint and the packages are installed, or if
`opentelemetry-instrument` has set up a provider; OpenTelemetry is not imported otherwise. A client's `traceparent`
(gRPC metadata or HTTP header) makes the span part of its trace.
Source: OpenTelemetry's specification, "SDK environment variables"; semantic conventions for RPC and HTTP; W3C Trace
Context.
"""

from __future__ import annotations

import logging
import os
import time
from importlib.metadata import entry_points
from typing import Any

import grpc

from genserve.rpcs.rpc import Call

log = logging.getLogger(__name__)

# Any of these asks for traces.
_ASKING = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_GROUP = "opentelemetry_traces_exporter"
_NAME = "genserve"


class Tracing:
    """Creates a span for every finished request."""

    def __init__(self, provider: Any = None) -> None:
        """Make spans of a TracerProvider, by default of the one that is set up for the process."""
        from opentelemetry import propagate, trace

        self._trace = trace
        self._extract = propagate.extract
        self._provider = provider or trace.get_tracer_provider()
        self._tracer = self._provider.get_tracer(_NAME)

    @classmethod
    def from_environment(cls) -> Tracing | None:
        """The tracing that `OTEL_` variables enable, or None; a missing package is logged."""
        exporters = os.environ.get("OTEL_TRACES_EXPORTER", "")
        if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporters == "none":
            return None
        if not any(map(os.environ.get, _ASKING)):
            return None
        try:
            return cls(_provider(exporters or "otlp"))
        except (ImportError, ValueError) as error:
            log.warning("no traces, though the environment asks for them: %s", error)
            return None

    def request(
        self, api: str, entrypoint: str, model: str, code: grpc.StatusCode, message: str, seconds: float, call: Call
    ) -> None:
        """Create the span of a request that has just finished.

        Args:
            api: the RPC, or REST's verb.
            entrypoint: `GRPC` or `REST`.
            model: its name, or "".
            code: of the response.
            message: of its error.
            seconds: its duration.
            call: its headers and where the time went.
        """
        end = time.time_ns()
        start = end - round(1e9 * seconds)
        headers = {name: value for name, value in call.metadata() if isinstance(value, str)}
        span = self._tracer.start_span(
            f"{entrypoint} {api}",
            context=self._extract(headers),
            kind=self._trace.SpanKind.SERVER,
            start_time=start,
            attributes={
                "rpc.system": entrypoint.lower(),
                "rpc.method": api,
                "rpc.grpc.status_code": code.value[0],
                "genserve.model": model,
            },
        )
        if code is not grpc.StatusCode.OK:
            span.set_status(self._trace.StatusCode.ERROR, f"{code.name}: {message}")
        if span.is_recording():
            self._children(span, start, end, call)
        span.end(end)

    def close(self) -> None:
        """Flush pending spans."""
        shutdown = getattr(self._provider, "shutdown", None)
        if shutdown is not None:
            shutdown()

    def _children(self, span: Any, start: int, end: int, call: Call) -> None:
        """Queue and compute are consecutive; serialisation, which happens before and after, is drawn at the end."""
        timing = call.timing
        context = self._trace.set_span_in_context(span)
        compute_end = max(start, end - round(0.5e9 * timing.serialise))
        compute_start = max(start, compute_end - round(1e9 * timing.compute))
        queue_start = max(start, compute_start - round(1e9 * timing.queue))
        parts = {
            "queue": (queue_start, compute_start, timing.queue),
            "compute": (compute_start, compute_end, timing.compute),
            "serialise": (compute_end, end, timing.serialise),
        }
        for name, (begin, finish, seconds) in parts.items():
            attributes = {"genserve.seconds": seconds}
            self._tracer.start_span(name, context=context, start_time=begin, attributes=attributes).end(finish)


def _provider(exporters: str) -> Any:
    """A TracerProvider with these exporters, by the names of the specification; all else is read from the environment.

    Raises:
        ImportError: a package is not installed.
        ValueError: no exporter of such a name is.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if isinstance(trace.get_tracer_provider(), TracerProvider):  # opentelemetry-instrument was here
        return trace.get_tracer_provider()
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": _NAME}
    provider = TracerProvider(resource=Resource.create(named))
    for name in exporters.split(","):
        provider.add_span_processor(BatchSpanProcessor(_exporter(name.strip())))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(name: str) -> Any:
    """The exporter of a name; `otlp` over gRPC or HTTP as OTEL_EXPORTER_OTLP_PROTOCOL says, else as is installed."""
    names = [name]
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        both = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
        names = [both[protocol]] if protocol in both else list(both.values())
    for candidate in names:
        for entry in entry_points(group=_GROUP, name=candidate):
            return entry.load()()
    raise ValueError(f"no OpenTelemetry exporter called {name} is installed")
