"""Real SavedModels, real genserve processes on free ports, and the official stubs as their client."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from forked import COMMANDS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

LATENTS = 8
TYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64"]
TYPES += ["uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128", "string"]


def wait_until(condition, seconds=60.0):
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"still not so after {seconds} s: {condition}")


class Server:
    """A genserve process and a client for it; without a base path the flags say what is served.

    With a `program`, a command, that is what is started; otherwise genserve forked from a process with its imports.
    """

    def __init__(
        self,
        base_path: Path | None,
        log: Path,
        name: str = "toy",
        port: int | None = None,
        *flags: object,
        credentials: grpc.ChannelCredentials | None = None,
        program: Sequence[object] = (),
    ) -> None:
        self.name, self.port, self.log = name, port or free_port(), log
        options = [f"--port={self.port}", "--model_name", name, "--file_system_poll_wait_seconds", "0.1"]
        options += ["--model_base_path", base_path] if base_path else []
        with open(log, "ab") as stderr:
            if program:
                self.process = subprocess.Popen(list(map(str, [*program, *options, *flags])), stderr=stderr)
            else:
                self.process = COMMANDS.start("genserve", *options, *flags, stderr=stderr)
        self.connect(f"localhost:{self.port}" if credentials else f"127.0.0.1:{self.port}", credentials)

    def connect(self, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        """Talk to the server under this address from now on."""
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        self.channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def ready(self) -> Server:
        """The same server, once its port is open."""

        def open_or_dead():
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(open_or_dead, 180)
        grpc.channel_ready_future(self.channel).result(60)
        return self

    def request(self, signature="", outputs=(), version=None, label=None, name=None, **inputs):
        """A PredictRequest; inputs are TensorProtos or what tf.make_tensor_proto takes."""
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name = self.name if name is None else name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for alias, value in inputs.items():
            proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
            request.inputs[alias].CopyFrom(proto)
        return request

    def predict(self, *args, **kwargs):
        """The answer to `request(...)`."""
        return self.prediction.Predict(self.request(*args, **kwargs), timeout=60)

    def states(self) -> dict[int, int]:
        """State by version, or nothing where the model has never had one."""
        return {version: entry.state for version, entry in self.statuses().items()}

    def statuses(self):
        """ModelVersionStatus by version."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.name
        try:
            answer = self.models.GetModelStatus(request, timeout=60)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise
        return {entry.version: entry for entry in answer.model_version_status}

    def stop(self, number=signal.SIGTERM) -> int:
        """End the process; its exit code."""
        self.channel.close()
        self.process.send_signal(number)
        return self.process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def until():
    return wait_until


@pytest.fixture(scope="session")
def run_genserve(tmp_path_factory, forked):
    """Starts servers that end with the session: `run_genserve(base_path, name=…, port=…, *flags)`."""
    servers = []
    logs = tmp_path_factory.mktemp("logs")

    def run(base_path, name="toy", port=None, *flags, **kwargs):
        servers.append(Server(base_path, logs / f"{len(servers)}.log", name, port, *flags, **kwargs))
        return servers[-1]

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


@pytest.fixture
def genserve(run_genserve):
    """Starts servers that end with the test."""
    servers = []

    def run(*args, **kwargs):
        servers.append(run_genserve(*args, **kwargs))
        return servers[-1]

    yield run
    for server in servers:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def signature(function, **inputs):
    """A concrete function of inputs given as name=(dtype, shape)."""
    specs = {name: tf.TensorSpec(shape, dtype, name=name) for name, (dtype, shape) in inputs.items()}
    return tf.function(function).get_concrete_function(**specs)


def busy(seconds):
    """Keeps a core busy for so many seconds, inside the graph."""
    start = tf.timestamp()
    turns = tf.while_loop(lambda n: tf.timestamp() - start < tf.reduce_max(seconds), lambda n: [n + 1], [0])
    return {"turns": tf.reshape(turns[0], [1])}


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory):
    """A base path with version 3 of a model of many signatures."""
    base_path = tmp_path_factory.mktemp("repository") / "toy"
    rows = (tf.float32, [None, 3])
    signatures = {
        "serving_default": signature(lambda x: {"y": 2.0 * x}, x=rows),
        "dense": signature(lambda x: {"y": x @ tf.ones([3, 2])}, x=(tf.float32, None)),
        "pair": signature(lambda a, b: {"sum": a + b, "difference": a - b}, a=(tf.int32, [None]), b=(tf.int32, [None])),
        "text": signature(
            lambda s: {"upper": tf.strings.upper(s), "length": tf.strings.length(s)}, s=(tf.string, [None])
        ),
        "scalar": signature(lambda x: {"y": x + 1.0, "word": tf.as_string(x)}, x=(tf.float32, [])),
        "types": signature(
            lambda **tensors: {f"{name}_out": tf.identity(value) for name, value in tensors.items()},
            **{name: (tf.as_dtype(name), None) for name in TYPES},
        ),
        "busy": signature(lambda seconds: busy(seconds), seconds=(tf.float64, [None])),
    }
    version_path = base_path / "00000003"
    tf.saved_model.save(tf.Module(), str(version_path), signatures=signatures)
    add_default(version_path / "saved_model.pb")
    return base_path


def add_default(path):
    """Adds a signature like `pair` in which b is 10 where it is not sent; tf.saved_model.save writes no defaults."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    signatures = model.meta_graphs[0].signature_def
    signatures["pair_with_default"].CopyFrom(signatures["pair"])
    signatures["pair_with_default"].defaults["b"].CopyFrom(tf.make_tensor_proto([10], tf.int32))
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def toy(run_genserve, toy_path):
    """A server of the toy model, for tests that only ask."""
    return run_genserve(toy_path).ready()


@pytest.fixture(scope="session")
def save_counter():
    """Saves a small model whose answer tells its version apart: `y` is `value`, once for each row of x."""

    def save(path: Path, value: int) -> Path:
        module = tf.Module()
        module.value = tf.Variable(value)
        answer = signature(lambda x: {"y": tf.fill(tf.shape(x)[:1], module.value)}, x=(tf.float32, [None]))
        temporary = path.with_name(f"saving-{path.name}")
        tf.saved_model.save(module, str(temporary), signatures=answer)
        path.parent.mkdir(parents=True, exist_ok=True)
        return temporary.rename(path)

    return save


@pytest.fixture(scope="session")
def counters(tmp_path_factory, save_counter):
    """Base paths of two models: `a` with versions 1 to 3, `b` with 10; the answer of a version is its number."""
    root = tmp_path_factory.mktemp("models")
    for name, version in (("a", 1), ("a", 2), ("a", 3), ("b", 10)):
        save_counter(root / name / str(version), version)
    return root


@pytest.fixture(scope="session")
def generator():
    """A small untrained generator, as gentrain would write it."""
    keras.utils.set_random_seed(1)
    latents = keras.Input((LATENTS,), name="latents")
    images = keras.layers.Reshape((4, 4, 4))(keras.layers.Dense(64)(latents))
    images = keras.layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh", name="images")(images)
    return keras.Model(latents, images)


@pytest.fixture(scope="session")
def generator_path(tmp_path_factory, generator):
    """A base path with version 1 of the generator: signatures serving_default and uint8."""
    base_path = tmp_path_factory.mktemp("repository") / "digits"
    latents = [tf.TensorSpec((None, LATENTS), tf.float32, name="latents")]
    archive = keras.export.ExportArchive()
    archive.track(generator)
    archive.add_endpoint("serving_default", lambda latents: {"images": (generator(latents) + 1) / 2}, latents)
    archive.add_endpoint(
        "uint8", lambda latents: {"images": tf.cast(tf.round((generator(latents) + 1) * 127.5), tf.uint8)}, latents
    )
    archive.write_out(str(base_path / "1"), verbose=False)
    return base_path


@pytest.fixture(scope="session")
def digits(run_genserve, generator_path):
    """A server of the generator."""
    return run_genserve(generator_path, "digits").ready()


@pytest.fixture
def fails():
    """Runs a call that must fail; the code and the message of its status."""

    @contextlib.contextmanager
    def check(code, message):
        with pytest.raises(grpc.RpcError) as failure:
            yield
        assert (failure.value.code(), failure.value.details()) == (code, message)

    return check


@pytest.fixture
def values():
    """The outputs of a PredictResponse as arrays."""
    return lambda response: {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}


@pytest.fixture
def copy_version():
    """Copies a version folder under another number, in one rename."""

    def copy(source: Path, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copytree(source, target.with_name(f"copying-{target.name}")).rename(target)

    return copy


@pytest.fixture
def latents():
    return np.random.default_rng(0).normal(size=(5, LATENTS)).astype(np.float32)
