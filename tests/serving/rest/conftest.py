"""One genserve with REST, batching, metrics and traces, a client for it, and a collector of its spans."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The text as JSON."""
        return json.loads(self.text)


class Rest:
    """Asks a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """POST of a value as JSON, or of bytes as they are."""
        return self.ask("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """Any request, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            names = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, names, reply.read().decode())
        finally:
            connection.close()

    def inputs(self, signature: str, model: str = "toy") -> list[str]:
        """The names of a signature's inputs, from the metadata."""
        signatures = self.get(f"/v1/models/{model}/metadata").body["metadata"]["signature_def"]["signature_def"]
        return list(signatures[signature]["inputs"])

    def listens(self) -> bool:
        """Whether somebody takes connections there."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Collector(ThreadingHTTPServer):
    """Takes what an OpenTelemetry exporter sends over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Take)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def spans(self) -> list[Any]:
        """Every span so far."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for request in requests for each in request.resource_spans for scope in each.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class Take(BaseHTTPRequestHandler):
    """Keeps a body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def parsed(inputs):
    """`x + n` of serialised Examples."""
    features = {"x": tf.io.FixedLenFeature([], tf.float32, 0.0), "n": tf.io.FixedLenFeature([], tf.int64, 0)}
    found = tf.io.parse_example(inputs, features)
    return found["x"] + tf.cast(found["n"], tf.float32)


def labels(inputs):
    """Two classes for each row."""
    return tf.tile([["low", "high"]], [tf.shape(inputs)[0], 1])


@pytest.fixture(scope="session")
def examples_path(tmp_path_factory):
    """A base path with version 1 of a model that classifies and regresses, well and badly."""
    path = tmp_path_factory.mktemp("repository") / "examples" / "1"
    sums = parsed
    functions = {
        "classify": lambda inputs: {"classes": labels(inputs), "scores": tf.stack([-sums(inputs), sums(inputs)], 1)},
        "scores": lambda inputs: {"scores": tf.stack([-sums(inputs), sums(inputs)], 1)},
        "regress": lambda inputs: {"outputs": sums(inputs) * 10.0},
        "flat": lambda inputs: {"scores": sums(inputs)},
        "double": lambda inputs: {"outputs": tf.cast(sums(inputs), tf.float64)},
        "short": lambda inputs: {"outputs": sums(inputs)[:1]},
        "head": lambda inputs: {
            "classes": labels(inputs),
            "scores": tf.stack([-sums(inputs), sums(inputs)], 1),
            "outputs": sums(inputs) * 10.0,
        },
        "blob": lambda s: {"out_bytes": s},
    }
    signatures = {}
    for key, function in functions.items():
        alias = "s" if key == "blob" else "inputs"
        spec = {alias: tf.TensorSpec([None], tf.string, name=alias)}
        signatures[key] = tf.function(function).get_concrete_function(**spec)
    tf.saved_model.save(tf.Module(), str(path), signatures=signatures)
    name_methods(path / "saved_model.pb", classify="classify", scores="classify", regress="regress")
    return path.parent


def name_methods(path, **methods):
    """Give signatures their methods, which tf.saved_model.save does not."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signatures = model.meta_graphs[0].signature_def
    for key, method in methods.items():
        signatures[key].method_name = f"tensorflow/serving/{method}"
    signatures["serving_default"].CopyFrom(signatures["regress"])
    # One function of three outputs as two signatures, which have one input, as an estimator's head has.
    for key, method, left_out in (("classify", "classify", ["outputs"]), ("regress", "regress", ["classes", "scores"])):
        signatures[f"head_{key}"].CopyFrom(signatures["head"])
        signatures[f"head_{key}"].method_name = f"tensorflow/serving/{method}"
        for alias in left_out:
            del signatures[f"head_{key}"].outputs[alias]
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def collector():
    """Where the server sends its spans."""
    server = Collector()
    yield server
    server.shutdown()


@pytest.fixture(scope="session")
def new_rest():
    """A client for a port that is still free."""
    return lambda: Rest(free_port())


@pytest.fixture(scope="session")
def server(run_genserve, toy_path, examples_path, tmp_path_factory, collector, new_rest):
    """A server of `toy` and `examples`, whose REST answers may take a second and a half."""
    folder = tmp_path_factory.mktemp("config")
    models = (("toy", toy_path), ("examples", examples_path))
    listed = (f'config {{ name: "{n}" base_path: "{p}" model_platform: "tensorflow" }}' for n, p in models)
    (folder / "models.config").write_text(f"model_config_list {{ {' '.join(listed)} }}")
    (folder / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    rest = new_rest()
    flags = [f"--rest_api_port={rest.port}", "--rest_api_timeout_in_ms=1500", "--rest_api_enable_cors_support"]
    flags += [f"--model_config_file={folder}/models.config", f"--monitoring_config_file={folder}/monitoring.config"]
    with pytest.MonkeyPatch.context() as environment:
        endpoint = f"http://127.0.0.1:{collector.server_port}"
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        server = run_genserve(None, "toy", None, *flags, "--enable_batching", "--v=1").ready()
    server.rest = rest
    return server


@pytest.fixture(scope="session")
def rest(server, until):
    """A client of the server's REST API."""
    until(lambda: server.rest.listens())
    return server.rest
