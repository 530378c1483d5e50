"""--prefer_tflite_model: a version's TFLite file through LiteRT, with the SavedModel's numbers."""

from __future__ import annotations

import subprocess
import sys
import threading

import flatbuffers
import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers
from genserve.errors import ServeError
from genserve.runtime import tflite
from genserve.runtime.saved_model import SavedModelServable
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_log_pb2

LATENTS = 8
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def contents(generator, tmp_path_factory):
    """The generator as TFLite files: with a batch of one, as genexport writes it, and with a free one."""

    def convert(batch):
        folder = str(tmp_path_factory.mktemp("archive"))
        latents = [tf.TensorSpec((batch, LATENTS), tf.float32, name="latents")]
        archive = keras.export.ExportArchive()
        archive.track(generator)
        archive.add_endpoint("generate", lambda latents: {"images": (generator(latents) + 1) / 2}, latents)
        archive.write_out(folder, verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder, ["generate"]).convert()

    return {"row": convert(1), "free": convert(None)}


def without_signatures(content, signature=None):
    """The file as early converters wrote it; with a SignatureDef in its metadata, where one is given."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    model.signatureDefs = None
    if signature is not None:
        builder = flexbuffers.Builder()
        with builder.Map():
            builder.String("ask", signature.SerializeToString().decode("ascii"))
        entry = schema.MetadataT()
        entry.name, entry.buffer = "signature_defs_metadata", len(model.buffers)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = list(builder.Finish())
    packer = flatbuffers.Builder()
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def tensor_names(content):
    """Of the one input and the one output."""
    interpreter = Interpreter(model_content=content)
    return interpreter.get_input_details()[0]["name"], interpreter.get_output_details()[0]["name"]


@pytest.fixture
def servable(contents, tmp_path):
    """Opens one of the files as a version."""
    opened = []

    def open_file(kind="row", interpreters=2):
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(contents[kind])
        opened.append(tflite.TfliteServable("digits", 1, path, interpreters))
        return opened[-1]

    yield open_file
    for one in opened:
        one.close()


def run(servable, array, signature="serving_default"):
    infos = servable.signatures[signature]
    return servable.run({infos.inputs["latents"].name: array}, [infos.outputs["images"].name])[0]


@pytest.mark.parametrize("kind", ["row", "free"])
@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_images_are_those_of_the_saved_model_for_any_number_of_rows(servable, generator_path, latents, kind, rows):
    reference = SavedModelServable.load("digits", 1, generator_path / "1")
    expected = run(reference, latents[:rows])
    reference.close()
    images = run(servable(kind), latents[:rows])
    assert images.shape == expected.shape == (rows, 8, 8, 1)
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_signature_answers_by_default_and_by_its_own_name_with_any_number_of_rows(servable, latents):
    version = servable()
    assert sorted(version.signatures) == ["generate", "serving_default"]
    signature = version.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert [dim.size for dim in signature.inputs["latents"].tensor_shape.dim] == [-1, LATENTS]
    assert [dim.size for dim in signature.outputs["images"].tensor_shape.dim] == [-1, 8, 8, 1]
    np.testing.assert_array_equal(run(version, latents), run(version, latents, "generate"))


def test_requests_at_the_same_time_do_not_mix(servable, latents):
    version, wrong = servable(interpreters=3), []
    expected = run(version, latents)

    def ask(row):
        for _ in range(20):
            if not np.array_equal(run(version, latents[row : row + 2]), expected[row : row + 2]):
                wrong.append(row)

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["row", "free"])
def test_file_without_signatures_has_one_of_all_its_tensors(contents, latents, tmp_path, kind):
    (tmp_path / "model.tflite").write_bytes(without_signatures(contents[kind]))
    version = tflite.TfliteServable("digits", 1, tmp_path / "model.tflite", 2)
    assert list(version.signatures) == ["serving_default"]
    signature = version.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    (alias,), (name,) = signature.inputs, tensor_names(contents[kind])[:1]
    assert (alias, signature.inputs[alias].name) == (name.partition(":")[0], name)
    (output,) = signature.outputs.values()
    images = version.run({name: latents}, [output.name])[0]
    reference = tflite.TfliteServable("digits", 1, write(tmp_path / "reference.tflite", contents[kind]), 1)
    np.testing.assert_allclose(images, run(reference, latents), atol=1e-6)
    with pytest.raises(ServeError) as failure:
        version.run({name: np.zeros((2, 3), np.float32)}, [output.name])
    assert failure.value.code is grpc.StatusCode.INTERNAL
    assert failure.value.message.startswith("Failed to run interpreter: ")
    for again in (latents, latents[:1]):
        np.testing.assert_allclose(version.run({name: again}, [output.name])[0], images[: len(again)], atol=1e-6)


def write(path, content):
    path.write_bytes(content)
    return path


def test_signature_in_the_metadata_of_a_file_is_the_file_s(contents, latents, tmp_path):
    source, target = tensor_names(contents["row"])
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    signature.inputs["z"].name, signature.inputs["z"].dtype = (
        f"{source.partition(':')[0]}:0",
        tf.float32.as_datatype_enum,
    )
    signature.outputs["x"].name = target
    path = write(tmp_path / "model.tflite", without_signatures(contents["row"], signature))
    version = tflite.TfliteServable("digits", 1, path, 1)
    assert list(version.signatures) == ["ask"]
    assert version.signatures["ask"].inputs["z"].name == source
    assert version.run({source: latents}, [target])[0].shape == (5, 8, 8, 1)
    signature.outputs["x"].name = "nothing"
    write(path, without_signatures(contents["row"], signature))
    with pytest.raises(ServeError) as failure:
        tflite.TfliteServable("digits", 1, path, 1)
    assert failure.value.message == "Unknown tensor 'nothing'. Signature output x references an unknown tensor"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 9), np.float32), "input latents: expected shape [?,8], found [2,9]"),
        (np.zeros(8, np.float32), "input latents: expected shape [?,8], found [8]"),
        (np.zeros((1, 8), np.int32), "Expects arg[0] to be float but int32 is provided"),
    ],
)
@pytest.mark.parametrize("kind", ["row", "free"])
def test_wrong_shape_and_dtype_are_refused(servable, kind, array, message):
    with pytest.raises(ServeError) as failure:
        run(servable(kind), array)
    assert (failure.value.code, failure.value.message) == (INVALID, message)


def test_model_tflite_is_preferred_then_the_dynamic_file_and_there_may_be_none(tmp_path):
    (tmp_path / "tflite").mkdir()
    assert tflite.find(tmp_path) is None
    for name in ("tflite/digits-float16.tflite", "tflite/digits-float32.tflite", "tflite/digits-dynamic.tflite",
                 "model.tflite"):  # fmt: skip
        (tmp_path / name).touch()
        assert tflite.find(tmp_path) == tmp_path / name


def test_the_way_back_of_a_version_is_no_file_to_serve_in_its_place(tmp_path):
    (tmp_path / "tflite").mkdir()
    for name in ("digits-invert-dynamic.tflite", "digits-float16.tflite"):
        (tmp_path / "tflite" / name).touch()
    assert tflite.find(tmp_path) == tmp_path / "tflite" / "digits-float16.tflite"


@pytest.mark.parametrize("damage", ["empty", "garbage", "half"])
def test_file_that_litert_cannot_run_is_named(contents, tmp_path, damage):
    path = tmp_path / "model.tflite"
    content = contents["row"]
    path.write_bytes({"empty": b"", "garbage": b"no model" * 99, "half": content[: len(content) // 2]}[damage])
    with pytest.raises(ServeError) as failure:
        tflite.TfliteServable("digits", 1, path, 1)
    assert failure.value.code is INVALID
    assert failure.value.message.startswith(f"{path} is not a TFLite model that LiteRT can run: ")


def test_server_prefers_the_tflite_file_and_falls_back_to_the_saved_model(
    genserve, contents, generator_path, copy_version, latents, values, tmp_path, until
):
    version = copy_version(generator_path / "1", tmp_path / "digits" / "1")
    (version / "tflite").mkdir()
    (version / "tflite" / "digits-dynamic.tflite").write_bytes(contents["row"])
    write_warmup(version, ["serving_default", "uint8", ""], latents)
    server = genserve(tmp_path / "digits", "digits", None, "--prefer_tflite_model", "--enable_batching").ready()
    images = values(server.predict(latents=latents))["images"]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "digits"
    metadata = server.prediction.GetModelMetadata(request, timeout=60).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap.FromString(metadata.value).signature_def
    assert sorted(signatures) == ["generate", "serving_default"]
    with pytest.raises(grpc.RpcError) as failure:
        server.predict("uint8", latents=latents)
    assert failure.value.details() == 'Serving signature key "uint8" not found.'

    copy_version(generator_path / "1", tmp_path / "digits" / "2")
    until(lambda: server.states().get(2) == 30)
    assert values(server.predict("uint8", latents=latents))["images"].dtype == np.uint8
    np.testing.assert_allclose(values(server.predict(latents=latents))["images"], images, atol=1e-5)


def write_warmup(version, signatures, latents):
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            request.inputs["latents"].CopyFrom(tf.make_tensor_proto(latents))
            record = prediction_log_pb2.PredictionLog()
            record.predict_log.request.CopyFrom(request)
            writer.write(record.SerializeToString())


WITHOUT_LITERT = "import sys; sys.modules['ai_edge_litert'] = None; from genserve.cli import main; main()"


def test_without_litert_the_flag_says_what_to_install(tmp_path):
    command = [sys.executable, "-c", WITHOUT_LITERT, "--prefer_tflite_model", "--model_base_path", tmp_path]
    result = subprocess.run(
        [*command, "--port=0", f"--grpc_socket_path={tmp_path}/s"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr.splitlines()[-1]) == (
        1,
        "genserve: ai_edge_litert.interpreter is not installed; in genline's checkout: pip install '.[device]'",
    )
