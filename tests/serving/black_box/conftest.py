"""A server at any address that serves a generator of genexport's, and a client that speaks only the wire.

The address comes from smoke.sh (GENLINE_TARGET, GENLINE_REST, GENLINE_MODEL, GENLINE_ROUGH); without one, a tiny
generator is published and genserve serves it. Nothing here or in the tests beside it asks which server it is: official
stubs, urllib, raw bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genclient.latents.seeds import latents as latents_of
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

MONITORING = Path(__file__).parents[3] / "serving" / "deploy" / "monitoring.config"
SECONDS = 60.0


class Target(NamedTuple):
    """Where the server is and what it serves."""

    grpc: str
    rest: str
    model: str


class Wire:
    """Requests to one model as bytes on a wire, and what came back."""

    def __init__(self, target: Target) -> None:
        self.target, self.model = target, target.model
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(target.grpc, options=options)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.signatures = self._signatures()

    def request(self, signature="", outputs=(), name=None, version=None, label=None, **inputs):
        """A PredictRequest; inputs are TensorProtos or what tf.make_tensor_proto takes."""
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name = self.model if name is None else name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for alias, value in inputs.items():
            proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
            request.inputs[alias].CopyFrom(proto)
        return request

    def answer(self, request):
        """The PredictResponse."""
        return self.prediction.Predict(request, timeout=SECONDS)

    def predict(self, signature, seeds, /, **changes) -> np.ndarray:
        """The one output of a signature for these seeds, as an array."""
        response = self.answer(self.request(signature, **{**self.inputs(signature, seeds), **changes}))
        (output,) = response.outputs.values()
        return array(output)

    def inputs(self, signature, seeds) -> dict[str, np.ndarray]:
        """What a signature takes for these seeds; of a conditional generator, class 0."""
        seeds = np.asarray(seeds, np.int64)
        known = {
            "seeds": lambda info: seeds,
            "latents": lambda info: latents_of(seeds, info.tensor_shape.dim[1].size),
            "labels": lambda info: np.zeros(len(seeds), np.int32),
        }
        return {
            name: known[name](info) for name, info in self.signatures[signature or "serving_default"].inputs.items()
        }

    def metadata(self, *fields, name=None, version=None):
        """The GetModelMetadataResponse."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = self.model if name is None else name
        if version is not None:
            request.model_spec.version.value = version
        return self.prediction.GetModelMetadata(request, timeout=SECONDS)

    def status(self, name=None, version=None):
        """The GetModelStatusResponse."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.model if name is None else name
        if version is not None:
            request.model_spec.version.value = version
        return self.models.GetModelStatus(request, timeout=SECONDS)

    def raw(self, method: str, request: bytes) -> bytes:
        """The answer to a unary call, bytes for bytes."""
        return self.channel.unary_unary(method)(request, timeout=SECONDS)

    def _signatures(self) -> dict[str, Any]:
        found = get_model_metadata_pb2.SignatureDefMap()
        self.metadata("signature_def").metadata["signature_def"].Unpack(found)
        return dict(found.signature_def)


def array(proto) -> np.ndarray:
    """A TensorProto's values, strings as bytes. `tf.make_ndarray` cannot read strings that come as content.

    TensorFlow writes them as all their lengths, each a varint, and then all their bytes (port::EncodeStringList).
    """
    if proto.dtype != tf.string.as_datatype_enum or not proto.tensor_content:
        return tf.make_ndarray(proto)
    content, at, lengths = proto.tensor_content, 0, []
    shape = [dim.size for dim in proto.tensor_shape.dim]
    for _ in range(math.prod(shape)):
        length = shift = 0
        while content[at] & 128:
            length, shift, at = length | (content[at] & 127) << shift, shift + 7, at + 1
        lengths.append(length | content[at] << shift)
        at += 1
    ends = np.cumsum(lengths) + at
    assert ends[-1] == len(content)
    texts = [content[end - length : end] for length, end in zip(lengths, ends, strict=True)]
    return np.array(texts, object).reshape(shape)


class Reply(NamedTuple):
    """An HTTP answer; `body` is JSON where it says so, else text."""

    status: int
    body: Any


class Rest:
    """The REST side of the same server."""

    def __init__(self, address: str, model: str) -> None:
        self.root, self.model = f"http://{address}", model

    def get(self, path: str) -> Reply:
        """GET; paths such as /v1/models/digits."""
        return self._send(urllib.request.Request(self.root + path))

    def post(self, path: str, body: Any) -> Reply:
        """POST of a value as JSON, or of bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send(urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}))

    def _send(self, request: urllib.request.Request) -> Reply:
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return self._reply(response.status, response)
        except urllib.error.HTTPError as error:
            return self._reply(error.code, error)

    @staticmethod
    def _reply(status: int, response: Any) -> Reply:
        text = response.read().decode()
        return Reply(status, json.loads(text) if "json" in response.headers.get("Content-Type", "") else text)


@pytest.fixture(scope="session")
def target(tmp_path_factory) -> Iterator[Target]:
    """What smoke.sh was told, or a server of our own."""
    model = os.environ.get("GENLINE_MODEL") or "digits"
    if address := os.environ.get("GENLINE_TARGET"):
        yield Target(address, os.environ.get("GENLINE_REST", ""), model)
        return
    folder = tmp_path_factory.mktemp("black-box")
    with serving(publish(folder, model), model, folder / "server.log") as found:
        yield found


def publish(folder: Path, model: str) -> Path:
    """A base path with version 1 of a tiny untrained generator, made by genexport."""
    import keras

    keras.utils.set_random_seed(1)
    latents = keras.Input((8,), name="latents")
    x = keras.layers.Reshape((4, 4, 4))(keras.layers.Dense(64)(latents))
    images = keras.layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh", name="images")(x)
    keras.Model(latents, images).save(folder / "generator.keras")
    command = ["genexport", "publish", folder / "generator.keras", "--repository", folder / "models", "--name", model]
    done = subprocess.run([program(command[0]), *command[1:], "--no-onnx"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "models" / model


@contextlib.contextmanager
def serving(base_path: Path, model: str, log: Path) -> Iterator[Target]:
    """genserve, started as tensorflow_model_server is in serving/deploy."""
    port, rest_port = free_port(), free_port()
    flags = {"port": port, "rest_api_port": rest_port, "model_name": model, "model_base_path": base_path}
    command = [program("genserve"), *(f"--{name}={value}" for name, value in flags.items())]
    command += ["--enable_grpc_healthcheck_service", f"--monitoring_config_file={MONITORING}"]
    with open(log, "wb") as stderr:
        process = subprocess.Popen([str(part) for part in command], stderr=stderr)
    try:
        deadline = time.monotonic() + SECONDS
        while not (listens(port) and listens(rest_port)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield Target(f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}", model)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def program(name: str) -> Path:
    """A command of the interpreter that runs the tests."""
    return Path(sys.executable).with_name(name)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def wire(target) -> Iterator[Wire]:
    """The gRPC side."""
    client = Wire(target)
    yield client
    client.channel.close()


@pytest.fixture(scope="session")
def rest(target) -> Rest:
    """The REST side, where there is one."""
    if not target.rest:
        pytest.skip("no REST address was given: smoke.sh --rest HOST:PORT")
    return Rest(target.rest, target.model)


@pytest.fixture(scope="session")
def rough() -> None:
    """For tests that may end a server which batches.

    TensorFlow Serving pads a batch with a row of its last request; of a request without rows there is none, and
    Tensor::Slice ends the process (batching_session.cc, MergeInputTensors; tensor.cc). So as the source reads.
    """
    if os.environ.get("GENLINE_TARGET") and not os.environ.get("GENLINE_ROUGH"):
        pytest.skip("may end a TensorFlow Serving that batches: smoke.sh --rough")


@pytest.fixture
def refused():
    """Runs a call that must fail; the code, and the message unless it is None, of its status."""

    @contextlib.contextmanager
    def check(code, message=None):
        with pytest.raises(grpc.RpcError) as failure:
            yield
        found = failure.value
        assert (found.code(), found.details() if message is not None else None) == (code, message)

    return check
