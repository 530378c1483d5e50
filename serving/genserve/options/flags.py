"""The command-line flags, with the names and defaults of tensorflow_model_server.

The fields of `Flags` are the flags in the order of `--help`; cli.py turns them into options. Other flags of TF Serving
are listed here too: those that are accepted but have no effect, and those that are rejected.
Source: TF Serving's model_servers/main.cc and server.h.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import grpc

from genserve.errors import ServeError
from genserve.repository.versions import Place, place

CORES = os.cpu_count() or 1
INT32_MAX = 2**31 - 1
MIB = 2**20
ANY_ADDRESS = "0.0.0.0"  # every interface, IPv6 too where there is one: so gRPC takes it, as TF Serving binds


class FlagError(ValueError):
    """An invalid flag value; the message names the flag."""


def _flag(default: Any, about: str, metavar: str | None = None) -> Any:
    return field(default=default, metadata={"help": about, "metavar": metavar})


@dataclass(frozen=True)
class Flags:
    """The flags of one server."""

    # Models
    model_base_path: str = _flag(
        "", "Folder with one subfolder per version, such as models/digits or s3://models/digits.", "DIR"
    )
    model_name: str = _flag("default", "Name of the model in requests.", "NAME")
    model_config_file: str = _flag(
        "", "Serve the models listed in this ModelServerConfig text proto; replaces the two above.", "FILE"
    )
    model_config_file_poll_wait_seconds: float = _flag(
        0.0, "Seconds between polls of that file; 0 reads it once.", "SECONDS"
    )
    file_system_poll_wait_seconds: float = _flag(
        1.0, "Seconds between polls for new versions; 0 polls once.", "SECONDS"
    )
    max_num_load_retries: int = _flag(5, "Retries after a version fails to load.", "N")
    load_retry_interval_micros: int = _flag(60_000_000, "Microseconds between load retries.", "MICROS")
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Allow unused labels to be assigned to versions that are not available yet."
    )
    prefer_tflite_model: bool = _flag(False, "Serve the TFLite file of a version, if there is one, with LiteRT.")
    num_tflite_pools: int = _flag(CORES, "LiteRT interpreter pools per version.", "N")
    num_tflite_interpreters_per_pool: int = _flag(1, "LiteRT interpreters per pool.", "N")
    enable_model_warmup: bool = _flag(True, "Replay the warm-up requests of a version before it serves.")
    num_request_iterations_for_warmup: int = _flag(1, "Times each warm-up request is replayed.", "N")
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the MetaGraph to load.", "TAGS")

    # Execution
    enable_batching: bool = _flag(False, "Batch concurrent requests.")
    batching_parameters_file: str = _flag("", "BatchingParameters text proto.", "FILE")
    enable_per_model_batching_parameters: bool = _flag(
        False, "Read batching_params.pbtxt from each version folder instead."
    )
    tensorflow_session_parallelism: int = _flag(0, "Inter-op and intra-op threads of TensorFlow; 0 is automatic.", "N")
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads to parallelise a single op; 0 is automatic.", "N")
    tensorflow_inter_op_parallelism: int = _flag(0, "Ops that run in parallel; 0 is automatic.", "N")
    tensorflow_session_config_file: str = _flag("", "ConfigProto text proto for the TensorFlow session.", "FILE")
    per_process_gpu_memory_fraction: float = _flag(
        0.0, "Fraction of GPU memory to allocate, 0 to 1; 0 is automatic.", "X"
    )
    enable_signature_method_name_check: bool = _flag(
        False, "Check the method_name of the signature in Classify and Regress."
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Return tensors in tensor_content instead of the *_val fields."
    )

    # gRPC
    port: int = _flag(8500, "Port for gRPC; 0 disables it and requires --grpc_socket_path.", "PORT")
    grpc_socket_path: str = _flag("", "Also serve gRPC on this UNIX socket.", "PATH")
    ssl_config_file: str = _flag("", "SSLConfig text proto with PEM contents; enables TLS for gRPC.", "FILE")
    grpc_channel_arguments: str = _flag("", "Comma-separated KEY=VALUE arguments for the gRPC server.", "ARGS")
    grpc_max_threads: int = _flag(
        max(128, 4 * CORES), "Concurrent gRPC requests, including those in a batching queue.", "N"
    )
    enable_grpc_healthcheck_service: bool = _flag(False, "Enable the standard gRPC health checking service.")

    # REST
    rest_api_port: int = _flag(0, "Port for REST; 0 disables it.", "PORT")
    rest_api_num_threads: int = _flag(4 * CORES, "Concurrent REST requests.", "N")
    rest_api_timeout_in_ms: int = _flag(30_000, "Timeout of a REST request.", "MS")
    rest_api_enable_cors_support: bool = _flag(
        False, "Send CORS headers, so that pages of any origin can call the REST API."
    )
    rest_api_max_body_bytes: int = _flag(
        256 * MIB, "Maximum size of a request body, compressed or not (genserve only).", "BYTES"
    )
    rest_api_max_bytes_in_flight: int = _flag(
        512 * MIB, "Maximum size of all requests and unread responses together (genserve only).", "BYTES"
    )
    rest_api_max_json_values: int = _flag(
        20_000_000, "Maximum number of JSON values in all requests together (genserve only).", "N"
    )
    rest_api_max_connections: int = _flag(1000, "Maximum number of connections (genserve only).", "N")
    rest_api_header_timeout_in_ms: int = _flag(
        10_000, "Timeout for receiving the headers of a request (genserve only).", "MS"
    )
    rest_api_idle_timeout_in_ms: int = _flag(120_000, "Timeout of an idle connection (genserve only).", "MS")
    rest_api_stall_timeout_in_ms: int = _flag(
        30_000, "Timeout for a client to send or read the next 64 KiB (genserve only).", "MS"
    )
    monitoring_config_file: str = _flag("", "MonitoringConfig text proto; enables Prometheus metrics.", "FILE")

    # genserve only
    bind_address: str = _flag(
        ANY_ADDRESS, "Address for gRPC and REST; 0.0.0.0 and :: are all interfaces (genserve only).", "HOST"
    )
    keep_socket_in_use: bool = _flag(False, "Fail if another server is listening on the UNIX socket (genserve only).")
    imitate_tensor_content_fault: bool = _flag(
        False,
        "Return zeros over REST under --enable_serialization_as_tensor_content, a TensorFlow Serving bug, to test the "
        "checks of a deployment (genserve only).",
    )
    max_queued_requests: int = _flag(1000, "Maximum number of queued requests; more are rejected (genserve only).", "N")
    max_request_rows: int = _flag(0, "Maximum number of examples in a request; 0 is unlimited (genserve only).", "N")
    v: int = _flag(0, "Log verbosity; 1 logs every request (genserve only).", "LEVEL")

    def __post_init__(self) -> None:
        """Validate the flags.

        Raises:
            FlagError: names the flag, the value found and what was expected.
        """
        self._check_source()
        self._check_ranges()
        self._check_combinations()
        self.channel_arguments()

    @property
    def base_path(self) -> Place:
        """The folder that contains the versions; a local path is absolute, so that messages show it in full.

        Raises:
            ServeError: FAILED_PRECONDITION where the package for a bucket is missing.
        """
        found = place(self.model_base_path)
        return found.expanduser().absolute() if isinstance(found, Path) else found

    @property
    def host(self) -> str:
        """`--bind_address` without the brackets of an IPv6 address."""
        return self.bind_address.removeprefix("[").removesuffix("]")

    def channel_arguments(self) -> dict[str, int | str]:
        """`--grpc_channel_arguments` as a dictionary; 32-bit integers are parsed, as in TF Serving.

        Raises:
            FlagError: a part that is not KEY=VALUE.
        """
        arguments: dict[str, int | str] = {}
        for part in filter(None, self.grpc_channel_arguments.split(",")):
            key, equals, value = part.partition("=")
            if not (key and equals):
                raise FlagError(f"--grpc_channel_arguments: expected KEY=VALUE,…, found {part!r}")
            arguments[key] = _int32(value)
        return arguments

    def _check_source(self) -> None:
        if self.model_config_file:
            return  # name and base path are then ignored
        if not self.model_base_path:
            raise FlagError("--model_base_path is empty; give the folder that holds the versions")
        if not self.model_name:
            raise FlagError("--model_name is empty; give the name that clients ask for")
        try:
            place(self.model_base_path)
        except ServeError as error:
            if error.code is grpc.StatusCode.INVALID_ARGUMENT:  # what is not installed is no wrong usage
                raise FlagError(f"--model_base_path={error.message}") from error

    def _check_ranges(self) -> None:
        for name in ("file_system_poll_wait_seconds", "model_config_file_poll_wait_seconds"):
            seconds = getattr(self, name)
            if not 0 <= seconds < float("inf"):  # also refuses nan
                raise FlagError(
                    f"--{name}={seconds:g}: expected seconds between two looks at the "
                    f"{'folder' if name.startswith('file_system') else 'file'}, or 0 to look only once"
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise FlagError(f"--{name}={value}: expected {low} to {high}")

    def _check_combinations(self) -> None:
        if self.port == 0 and not self.grpc_socket_path:
            raise FlagError("--port=0: at least one of --port and --grpc_socket_path must be set")
        if not self.host:
            raise FlagError(f"--bind_address is empty; give an address or a name, or {ANY_ADDRESS} for every interface")
        if self.rest_api_port and self.rest_api_port == self.port:
            raise FlagError(f"--rest_api_port={self.rest_api_port}: must be different from --port")
        if self.batching_parameters_file and not self.enable_batching:
            raise FlagError("--batching_parameters_file is set without --enable_batching")
        parallelism = (self.tensorflow_intra_op_parallelism, self.tensorflow_inter_op_parallelism)
        if self.tensorflow_session_parallelism and any(parallelism):
            raise FlagError(
                "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism: give it or them"
            )


_PORTS = (0, 65535)
_COUNTS = (1, INT32_MAX)
_FROM_ZERO = (0, INT32_MAX)
_RANGES: dict[str, tuple[float, float]] = {
    "port": _PORTS,
    "rest_api_port": _PORTS,
    "grpc_max_threads": (1, 10_000),
    "rest_api_num_threads": (1, 10_000),
    "rest_api_timeout_in_ms": _COUNTS,
    "rest_api_max_body_bytes": (1, 2**40),
    "rest_api_max_bytes_in_flight": (1, 2**40),
    "rest_api_max_json_values": _COUNTS,
    "rest_api_max_connections": _COUNTS,
    "rest_api_header_timeout_in_ms": _COUNTS,
    "rest_api_idle_timeout_in_ms": _COUNTS,
    "rest_api_stall_timeout_in_ms": _COUNTS,
    "num_tflite_pools": (1, 1024),
    "num_tflite_interpreters_per_pool": (1, 1024),
    "max_num_load_retries": _FROM_ZERO,
    "num_request_iterations_for_warmup": _FROM_ZERO,
    "tensorflow_session_parallelism": _FROM_ZERO,
    "tensorflow_intra_op_parallelism": _FROM_ZERO,
    "tensorflow_inter_op_parallelism": _FROM_ZERO,
    "per_process_gpu_memory_fraction": (0, 1),
    "max_queued_requests": _FROM_ZERO,
    "max_request_rows": _FROM_ZERO,
    "v": _FROM_ZERO,
}

WITHOUT_EFFECT = {
    "num_load_threads": "each model loads in a thread of its own",
    "num_unload_threads": "each model unloads in a thread of its own",
    "flush_filesystem_caches": "the operating system's file cache is left alone",
    "remove_unused_fields_from_bundle_metagraph": "the MetaGraph is not kept in memory at all",
    "enable_profiler": "there is no profiler service",
    "xla_cpu_compilation_enabled": "TensorFlow in Python always allows XLA",
    "xla_gpu_compilation_enabled": "TensorFlow in Python always allows XLA",
    "skip_initialize_tpu": "TPUs are not used",
}
"""Flags of TF Serving that are accepted, with a warning that says why they have no effect."""

REFUSED = {
    "use_alts_credentials": "TLS is --ssl_config_file",
    "platform_config_file": "the platform is TensorFlow, with the settings of the other flags",
    "thread_pool_factory_config_file": "threads are --tensorflow_intra_op_parallelism and …_inter_op_parallelism",
    "mixed_precision": "export the model in the precision that it should run in",
}
"""Flags of TF Serving that genserve does not support, and what to use instead."""


def unknown_flag(name: str) -> str:
    """The error for an unknown flag: whether TF Serving has it, or which flag comes closest."""
    if name in REFUSED:
        return f"--{name}: TensorFlow Serving has this flag, genserve does not: {REFUSED[name]}"
    known = [*Flags.__dataclass_fields__, *WITHOUT_EFFECT, *REFUSED]
    nearest = get_close_matches(name, known, n=1)
    hint = f"; did you mean --{nearest[0]}?" if nearest else ""
    return f"no such flag: --{name}, neither here nor in TensorFlow Serving{hint}"


def _int32(text: str) -> int | str:
    try:
        value = int(text)
    except ValueError:
        return text
    return value if -INT32_MAX - 1 <= value <= INT32_MAX else text
