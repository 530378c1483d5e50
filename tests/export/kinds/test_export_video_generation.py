"""Clips: every signature and every file of a version gives Keras' clips, and says how many frames and how fast."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import clips
import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import Result
from described import metadata_of
from genexport.compare.parity import Limits
from genexport.errors import ExportError
from genexport.generator.load import load
from genexport.kinds.generator import proof
from genexport.repository import manifest
from genexport.roles.latents import latents_of_seeds
from genexport.savedmodel import batch_sizes
from genexport.tflite import convert
from genexport.verify import verify
from gentrain.conditions import Labels
from gentrain.networks import build_generator
from gentrain.settings import Settings
from keras import layers
from PIL import Image
from real_server import genserve
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc


def predict(channel: grpc.Channel, model: str, signature: str, inputs: dict) -> np.ndarray:
    """The one output, by the official stub."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    (output,) = prediction_grpc.PredictionServiceStub(channel).Predict(request, timeout=60).outputs.items()
    assert output[0] == ("png_bytes" if signature == "png" else "clips")
    return tf.make_ndarray(output[1])


def test_a_server_gives_the_clips_of_keras_by_every_signature(clip_models: Path) -> None:
    moving = keras.models.load_model(clip_models / "runs" / "moving" / "generator.keras")
    alive = keras.models.load_model(clip_models / "runs" / "alive" / "generator.keras")
    seeds, pictures = np.array([3, -1, 3], np.int64), clips.pictures(2, seed=5)
    latents = np.asarray(latents_of_seeds(tf.constant(seeds), clips.Z))
    expected = (np.asarray(moving(latents)) + 1) / 2
    of_pictures = (np.asarray(alive(pictures / np.float32(127.5) - 1)) + 1) / 2
    assert expected.shape == (3, 6, 12, 16, 3)
    models = ("moving", "alive")
    config = clip_models / "models.config"
    entries = (
        f'config {{ name: "{n}" base_path: "{clip_models}/models/{n}" model_platform: "tensorflow" }}' for n in models
    )
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    with genserve("--model_config_file", config, models=models) as address, grpc.insecure_channel(address) as channel:
        floats = predict(channel, "moving", "serving_default", {"latents": latents})
        whole = predict(channel, "moving", "seeds", {"seeds": seeds})
        files = predict(channel, "moving", "png", {"latents": latents})
        moved = predict(channel, "alive", "uint8", {"image": pictures})
        encoded = [tf.io.encode_png(picture).numpy() for picture in pictures]
        moved_files = predict(channel, "alive", "png", {"image_bytes": np.array(encoded, object)})
        assert predict(channel, "moving", "seeds", {"seeds": np.array([], np.int64)}).shape == (0, 6, 12, 16, 3)
    np.testing.assert_allclose(floats, expected, atol=1e-5)
    np.testing.assert_allclose(whole, expected * 255, atol=0.51)
    np.testing.assert_allclose(moved, of_pictures * 255, atol=0.51)
    assert files.shape == (3, 6)
    assert np.array_equal(proof.decode_pngs(files), whole)
    assert np.array_equal(proof.decode_pngs(moved_files), moved)


def test_manifest_and_tflite_files_say_frames_and_rate(clip_models: Path) -> None:
    folder = clip_models / "models" / "moving" / "1"
    said, alive = manifest.read(folder), manifest.read(clip_models / "models" / "alive" / "1")
    assert (said["kind"], said["frame_count"], said["frames_per_second"]) == ("video-generation", 6, 8.0)
    assert (alive["frame_count"], alive["frames_per_second"]) == (4, None)
    assert said["signatures"]["png"]["outputs"] == {"png_bytes": {"dtype": "string", "shape": [None, 6]}}
    assert said["signatures"]["seeds"]["outputs"] == {"clips": {"dtype": "uint8", "shape": [None, 6, 12, 16, 3]}}
    assert "seeds" not in alive["signatures"]
    assert {"tflite/float32", "tflite/int8", "savedmodel/png", "savedmodel/seeds"} <= said["parity"].keys()
    assert alive["examples"] == {"count": 64, "source": "examples.npz"}
    described = metadata_of(folder / "tflite" / "moving-float32.tflite")
    assert (described["frame_count"], described["frames_per_second"]) == (6, 8.0)
    assert described["clips"]["layout"] == "NTHWC"
    card = (folder / "MODEL_CARD.md").read_text()
    assert "6 frames of 16×12×3" in card
    assert "](preview.webp)" in card
    with Image.open(folder / "preview.webp") as preview:
        assert preview.n_frames == 6
    assert "pipeline_tag: image-to-video" in (clip_models / "models" / "alive" / "1" / "MODEL_CARD.md").read_text()


def test_a_version_of_clips_is_verified_shown_and_rolled_back(
    clip_models: Path, genexport: object, tmp_path: Path
) -> None:
    for number in "12":
        shutil.copytree(clip_models / "models" / "alive" / "1", tmp_path / "alive" / number)
    differences = verify(tmp_path / "alive" / "1")
    assert differences["savedmodel"].max_error < 1e-5
    assert differences["tflite/float32"].max_error < 1e-5
    shown: Result = genexport("show", tmp_path / "alive")  # type: ignore[operator]
    assert "4 frames of 16×16×3 from image" in shown.output
    assert genexport("rollback", tmp_path / "alive", 1).exit_code == 0  # type: ignore[operator]
    assert manifest.read(tmp_path / "alive" / "3")["frame_count"] == 4


def test_a_file_that_gives_other_clips_is_refused(clip_models: Path) -> None:
    generator = load(clip_models / "runs" / "moving")
    inputs, expected = proof.reference(generator, 4)
    other = proof.Proof(clip_models / "models" / "moving" / "1", "moving", inputs, expected[:, ::-1], Limits())
    with pytest.raises(ExportError, match=r"^tflite/float32: pixels differ from Keras by"):
        other.file("float32")


def test_clips_of_gentrains_own_networks_are_one_file_of_builtin_ops(tmp_path: Path) -> None:
    settings = Settings(networks="moving", frames=3, latent_size=clips.Z, generator_width=4)
    model = build_generator(16, 1, [Labels(2)], settings)
    model.save(tmp_path / "generator.keras")
    with convert.Converter(load(tmp_path / "generator.keras"), "x", lambda _: None, Limits()) as converter:
        content = converter.make("float32")
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    generate = interpreter.get_signature_runner("generate")
    for seed in range(3):
        latents, labels = latents_of_seeds(tf.constant([seed], tf.int64), clips.Z), tf.constant([seed % 2])
        made = generate(latents=latents.numpy(), labels=labels.numpy())["clips"]
        np.testing.assert_allclose(made, (model([latents, labels]).numpy() + 1) / 2, atol=1e-5)


def test_warm_up_batches_of_large_clips_are_small() -> None:
    assert batch_sizes.warmed((16, 32, 32, 3)) == (1, 4, 16, 64)
    assert batch_sizes.warmed((64, 128, 128, 3)) == (1, 4)
    assert batch_sizes.warmed((64, 1024, 1024, 3)) == (1,)


def test_a_generator_by_other_hands_with_five_dimensions_out_makes_clips(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(3 * 8 * 8 * 1, activation="sigmoid"), layers.Reshape((3, 8, 8, 1))]
    )
    model.save(tmp_path / "video.keras")
    generator = load(tmp_path / "video.keras")
    assert (generator.task, generator.frame_count, generator.image_shape) == ("video-generation", 3, (8, 8, 1))
    turned = keras.Sequential(
        [keras.Input((5,)), *model.layers, layers.Permute((4, 1, 2, 3)), layers.Reshape((1, 3, 8, 8))]
    )
    turned.save(tmp_path / "turned.keras")
    with pytest.raises(ExportError, match=r"of clips, .*found \(N, 1, 3, 8, 8\) \(channels first\?"):
        load(tmp_path / "turned.keras")


@pytest.mark.parametrize("rate", [0, -12, True, "fast"])
def test_a_rate_that_is_none_is_refused(rate: object, clip_models: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(clip_models / "runs" / "moving", tmp_path / "run"))
    described = json.loads((run / "interface.json").read_text())
    described["outputs"][0]["frames_per_second"] = rate
    (run / "interface.json").write_text(json.dumps(described))
    with pytest.raises(ExportError, match=r"^[^\n]*interface\.json: does not follow docs/contracts\.md: [^\n]*$"):
        load(run)
