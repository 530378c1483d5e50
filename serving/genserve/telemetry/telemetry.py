"""Reports every finished request to metrics and traces, and REST requests to the log.

Called by rpc.py and rest/; no request depends on it. `Telemetry.of` is None if nothing is enabled. monitoring.py has
the metrics, tracing.py the spans.
"""

from __future__ import annotations

import logging

import grpc

from genserve.errors import ServeError, truncated
from genserve.models.model import Models
from genserve.options.flags import Flags
from genserve.rpcs.rpc import Call
from genserve.telemetry.config import prometheus_path
from genserve.telemetry.monitoring import Monitoring
from genserve.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

# Requests that TF Serving counts; others only appear in traces and the log.
COUNTED = {"Predict", "Classify", "Regress", "MultiInference", "predict", "classify", "regress"}


class Telemetry:
    """Reports requests to metrics and traces."""

    def __init__(self, monitoring: Monitoring | None = None, path: str = "", tracing: Tracing | None = None) -> None:
        """Without `monitoring` and `tracing` it only logs REST requests.

        Args:
            monitoring: what counts.
            path: where Prometheus finds it on the REST port.
            tracing: what makes spans.
        """
        self.monitoring = monitoring
        self._path = path
        self._tracing = tracing

    @classmethod
    def of(cls, flags: Flags, models: Models, batching_threads: str = "batch_threads") -> Telemetry | None:
        """The telemetry that flags and environment variables enable.

        Args:
            flags: of the server.
            models: what is served.
            batching_threads: `thread_pool_name` of the batching parameters.

        Raises:
            FlagError: the monitoring config cannot be used.
        """
        path = prometheus_path(flags.monitoring_config_file) if flags.monitoring_config_file else ""
        if path and not flags.rest_api_port:
            log.warning("--monitoring_config_file has no effect without --rest_api_port")
            path = ""
        tracing = Tracing.from_environment()
        if not (path or tracing or flags.rest_api_port):
            return None
        monitoring = Monitoring(models, batching_threads if flags.enable_batching else "") if path else None
        return cls(monitoring, path, tracing)

    def rpc(self, api: str, failure: ServeError | None, call: Call, seconds: float) -> None:
        """Report a gRPC request of the RPC `api`."""
        self._report(api, "GRPC", failure, call, seconds)

    def rest(
        self,
        verb: str,
        failure: ServeError | None,
        bytes_in: int,
        bytes_out: int,
        call: Call,
        seconds: float,
    ) -> None:
        """Report a REST request; `verb` is empty if it is malformed."""
        if log.isEnabledFor(logging.DEBUG):
            timing = call.timing
            log.debug(
                "request rest=%s code=%s ms=%.3f queue_ms=%.3f compute_ms=%.3f serialise_ms=%.3f "
                "bytes_in=%d bytes_out=%d",
                verb or "-",
                failure.code.name if failure else "OK",
                *(1000 * part for part in (seconds, timing.queue, timing.compute, timing.serialise)),
                bytes_in,
                bytes_out,
            )
        self._report(verb, "REST", failure, call, seconds)

    def page(self, path: str) -> bytes | None:
        """The metrics page, if this is its path."""
        return self.monitoring.page() if self.monitoring is not None and path == self._path else None

    def close(self) -> None:
        """Flush pending spans."""
        if self._tracing is not None:
            self._tracing.close()

    def _report(self, api: str, entrypoint: str, failure: ServeError | None, call: Call, seconds: float) -> None:
        code = failure.code if failure else grpc.StatusCode.OK
        if self.monitoring is not None and api in COUNTED:
            self.monitoring.request(call.model, api, entrypoint, code, seconds, call.timing)
        if self._tracing is not None:
            message = truncated(failure.line) if failure else ""
            self._tracing.request(api or "malformed", entrypoint, truncated(call.model), code, message, seconds, call)
