"""Real parts for the client's tests: gRPC servers made of TensorFlow Serving's own stubs, TFLite files, the command."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # else gRPC may write a line where a test forks (preexec_fn)

import click
import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from embedded import build
from PIL import Image
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

Z = 5
IMAGE_SHAPE = (6, 4, 3)
WEIGHTS = np.random.default_rng(7).normal(size=(Z, int(np.prod(IMAGE_SHAPE)))).astype(np.float32)


def draw(seeds):
    """Latents of contract 3 by TensorFlow's op itself: float32 (N, Z)."""
    return np.stack(
        [
            tf.raw_ops.StatelessRandomNormalV2(
                shape=[Z], key=tf.constant([seed % 2**64], tf.uint64), counter=tf.constant([0, 0], tf.uint64), alg=1
            ).numpy()
            for seed in seeds
        ]
    )


def render(latents, labels=None):
    """The generator of these tests: float32 images (N, 6, 4, 3) in [0, 1]; each class is a little brighter."""
    images = 1 / (1 + np.exp(-(latents @ WEIGHTS))).reshape(-1, *IMAGE_SHAPE)
    if labels is not None:
        images = images * 0.5 + 0.1 * np.asarray(labels).reshape(-1, 1, 1, 1)
    return images.astype(np.float32)


def pixels(images):
    """uint8 pixels of images in [0, 1]."""
    return np.rint(images * 255).astype(np.uint8)


def png(image):
    """A PNG file of uint8 pixels (H, W, C)."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def as_values(array):
    """A TensorProto with its values in a `*_val` field, the way TensorFlow Serving answers by default."""
    dtype = tf.as_dtype(array.dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    if dtype == tf.float16:
        proto.half_val.extend(array.reshape(-1).view(np.uint16).tolist())
    else:
        name = {"float32": "float_val", "float64": "double_val", "int64": "int64_val"}.get(dtype.name, "int_val")
        getattr(proto, name).extend(array.reshape(-1).tolist())
    return proto


def as_content(array):
    """A TensorProto with its values as raw bytes, as under --enable_serialization_as_tensor_content."""
    proto = as_values(array[:0])
    proto.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
    proto.tensor_content = array.tobytes()
    return proto


def as_strings(strings):
    """A TensorProto of bytes objects."""
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=tf.TensorShape([len(strings)]).as_proto())
    proto.string_val.extend(strings)
    return proto


def signature_table(z=Z, conditional=False, image_shape=IMAGE_SHAPE):
    """The four signatures of contract 2, as (inputs, outputs) of name: (dtype, shape)."""
    labels = {"labels": (types_pb2.DT_INT32, [-1])} if conditional else {}
    latents = {"latents": (types_pb2.DT_FLOAT, [-1, z]), **labels}
    seeds = {"seeds": (types_pb2.DT_INT64, [-1]), **labels}
    return {
        "serving_default": (latents, {"images": (types_pb2.DT_FLOAT, [-1, *image_shape])}),
        "uint8": (latents, {"images": (types_pb2.DT_UINT8, [-1, *image_shape])}),
        "png": (latents, {"png_bytes": (types_pb2.DT_STRING, [-1])}),
        "seeds": (seeds, {"images": (types_pb2.DT_UINT8, [-1, *image_shape])}),
    }


@dataclass
class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A generator that answers as TensorFlow Serving does, in the encoding it is given."""

    encode: object = as_values
    signatures: dict = field(default_factory=signature_table)
    version: int | None = 3
    answer: object = None  # called instead of the generator: (request, context) → PredictResponse
    name: str = "digits"
    requests: list = field(default_factory=list)
    described: list = field(default_factory=list)  # requests for the metadata
    requested: threading.Event = field(default_factory=threading.Event)

    def Predict(self, request, context):
        self.requests.append(request)
        self.requested.set()
        if self.answer is not None:
            return self.answer(request, context)
        return self.generate(request, context)

    def generate(self, request, context):
        """What the generator answers."""
        self._find(request, context)
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        latents = inputs["latents"] if "latents" in inputs else draw(inputs["seeds"].tolist())
        images = render(latents, inputs.get("labels"))
        response = self._stamped(predict_pb2.PredictResponse())
        signature = request.model_spec.signature_name or "serving_default"
        if signature == "png":
            response.outputs["png_bytes"].CopyFrom(as_strings([png(image) for image in pixels(images)]))
        else:
            images = images if signature == "serving_default" else pixels(images)
            response.outputs["images"].CopyFrom(self.encode(images))
        return response

    def GetModelMetadata(self, request, context):
        self.described.append(request)
        self._find(request, context)
        table = get_model_metadata_pb2.SignatureDefMap()
        for name, sides in self.signatures.items():
            for side, tensors in zip(("inputs", "outputs"), sides, strict=True):
                for tensor, (dtype, shape) in tensors.items():
                    spec = getattr(table.signature_def[name], side)[tensor]
                    spec.dtype = dtype
                    spec.tensor_shape.CopyFrom(tf.TensorShape([None if d < 0 else d for d in shape]).as_proto())
        response = self._stamped(get_model_metadata_pb2.GetModelMetadataResponse())
        response.metadata["signature_def"].Pack(table)
        return response

    def _find(self, request, context):
        if request.model_spec.name != self.name:
            message = f"Servable not found for request: Latest({request.model_spec.name})"
            context.abort(grpc.StatusCode.NOT_FOUND, message)

    def _stamped(self, response):
        if self.version is not None:
            response.model_spec.name = self.name
            response.model_spec.version.value = self.version
        return response


@dataclass
class Model(model_service_pb2_grpc.ModelServiceServicer):
    """Versions and their states, as (number, state, error message)."""

    versions: list = field(default_factory=lambda: [(3, "AVAILABLE", "")])
    answered: threading.Event = field(default_factory=threading.Event)
    configs: list = field(default_factory=list)

    def HandleReloadConfigRequest(self, request, context):
        self.configs.append(request.config)
        response = model_management_pb2.ReloadConfigResponse()
        if not request.config.model_config_list.config:
            response.status.error_code = 3
            response.status.error_message = "no models"
        return response

    def GetModelStatus(self, request, context):
        if request.model_spec.name != "digits":
            message = f"Could not find any versions of model {request.model_spec.name}"
            context.abort(grpc.StatusCode.NOT_FOUND, message)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state, message in self.versions:
            added = response.model_version_status.add(
                version=version, state=get_model_status_pb2.ModelVersionStatus.State.Value(state)
            )
            added.status.error_message = message
        self.answered.set()
        return response


@dataclass
class Served:
    """A running server: its address and its services."""

    target: str
    prediction: Prediction
    model: Model
    server: object

    def stop(self):
        """End it as a crash would: what is under way is not answered."""
        self.server.stop(None).wait()


@pytest.fixture
def serve():
    """Start servers, each on a port of its own or on one that is given, which answer as the arguments say."""
    servers = []

    def start(versions=None, port=0, credentials=None, options=(), at_once=None, **settings):
        prediction, model = Prediction(**settings), Model() if versions is None else Model(versions)
        options = [("grpc.max_receive_message_length", -1), *options]
        server = grpc.server(ThreadPoolExecutor(4), options=options, maximum_concurrent_rpcs=at_once)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)
        address = port if isinstance(port, str) else f"127.0.0.1:{port}"
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
        server.start()
        servers.append(server)
        return Served(port if isinstance(port, str) else f"127.0.0.1:{bound}", prediction, model, server)

    yield start
    for server in servers:
        server.stop(None).wait()


@pytest.fixture
def genclient(tmp_path, forked):
    """Run the real command in an empty folder; gives the finished process, its output as bytes."""

    def run(*arguments, **settings):
        if settings.keys() <= {"cwd", "env", "input", "timeout"}:
            return forked.run("genclient", *arguments, **{"cwd": tmp_path, **settings})
        command = [sys.executable, "-c", "from genclient.cli import main; main()", *map(str, arguments)]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, "timeout": 60, **settings}
        return subprocess.run(command, check=False, **settings)

    return run


@pytest.fixture
def fails(genclient):
    """Run the command, see that it fails as every failure must, and return the exit code and the one line."""

    def run(*arguments, **settings):
        done = genclient(*arguments, **settings)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 1, done.stderr.decode()
        assert lines[0].startswith("genclient: ")
        assert not done.stdout
        return done.returncode, lines[0].removeprefix("genclient: ")

    return run


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Run the command in this process and in an empty folder, see that it is wrong usage, and return the line."""
    from genclient.cli import cli
    from genclient.errors import UsageError

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        with pytest.raises((UsageError, click.UsageError)) as raised:
            cli.main([str(argument) for argument in arguments], "genclient", standalone_mode=False)
        assert list(tmp_path.iterdir()) == []
        return str(raised.value)

    return run


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory):
    """The command takes nothing from the variables and the configuration file of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GENCLIENT_")]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture
def ffmpeg(tmp_path_factory, monkeypatch):
    """An ffmpeg that commands find: this machine's, or the one that the package imageio-ffmpeg brings."""
    found = shutil.which("ffmpeg") or pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    program = tmp_path_factory.mktemp("bin") / "ffmpeg"
    program.symlink_to(found)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return str(program)


@pytest.fixture(scope="session")
def tools():
    """The helpers of this file, for tests that build responses themselves."""
    return sys.modules[__name__]


def _converter(folder, model, generate, *inputs):
    """A TFLite converter of a function over a model, with the signature `generate`, by way of Keras's exporter."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("generate", generate, input_signature=list(inputs))
    archive.write_out(str(folder), verbose=False)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["generate"])


def _save(folder, converter):
    path = folder / "generator.tflite"
    path.write_bytes(converter.convert())
    return path


def _generator():
    """`render` without labels, as a Keras model."""
    latents = keras.Input((Z,), name="latents")
    images = keras.layers.Dense(WEIGHTS.shape[1], "sigmoid", use_bias=False, name="dense")(latents)
    model = keras.Model(latents, keras.layers.Reshape(IMAGE_SHAPE)(images))
    model.get_layer("dense").set_weights([WEIGHTS])
    return model


LATENTS = tf.TensorSpec((1, Z), tf.float32, name="latents")


@pytest.fixture(scope="session")
def tflite(tmp_path_factory):
    """A generator without labels, as a TFLite file."""
    folder, model = tmp_path_factory.mktemp("plain"), _generator()
    return _save(folder, _converter(folder, model, lambda latents: {"images": model(latents)}, LATENTS))


@pytest.fixture(scope="session")
def quantised_tflite(tmp_path_factory):
    """The same in full int8 with uint8 output, which keeps float latents."""
    folder, model = tmp_path_factory.mktemp("quantised"), _generator()
    converter = _converter(folder, model, lambda latents: {"images": model(latents)}, LATENTS)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([draw([seed])] for seed in range(50))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_output_type = tf.uint8
    return _save(folder, converter)


@pytest.fixture(scope="session")
def conditional_tflite(tmp_path_factory):
    """A generator with labels, as a TFLite file."""
    folder, model = tmp_path_factory.mktemp("conditional"), _generator()

    def generate(latents, labels):
        brighter = 0.1 * tf.cast(tf.reshape(labels, (1, 1, 1, 1)), tf.float32)
        return {"images": model(latents) * 0.5 + brighter}

    labels = tf.TensorSpec((1,), tf.int32, name="labels")
    return _save(folder, _converter(folder, model, generate, LATENTS, labels))


@pytest.fixture(scope="session")
def other_tflite(tmp_path_factory):
    """A TFLite file that is no generator."""
    folder, model = tmp_path_factory.mktemp("other"), keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    inputs = tf.TensorSpec((1, 3), tf.float32, name="x")
    return _save(folder, _converter(folder, model, lambda x: {"y": model(x)}, inputs))


@pytest.fixture(scope="session")
def painter_tflite(tmp_path_factory):
    """A TFLite file that makes images of latents and an image."""
    folder, model = tmp_path_factory.mktemp("painter"), _generator()
    image = tf.TensorSpec((1, *IMAGE_SHAPE), tf.float32, name="image")
    return _save(
        folder, _converter(folder, model, lambda latents, image: {"images": model(latents) * image}, LATENTS, image)
    )


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder with gensample and gentranslate, as users build them."""
    return build(tmp_path_factory.mktemp("c"))
