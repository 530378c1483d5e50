"""Pictures from words: texts are cut in the graph as in training, and everything of a version knows the vocabulary."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import grpc
import numpy as np
import pytest
import speaker
import tensorflow as tf
from described import metadata_of
from genexport.compare.parity import Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.load import load
from genexport.kinds.generator import proof
from genexport.kinds.generator import version as generator_version
from genexport.kinds.text_to_image import TextToImage
from genexport.options import Options
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession
from genexport.verify import verify
from real_server import genserve
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc

TEXTS = (
    "a RED heart", "ｒｅｄ", "green, blue!", "CAFÉ cafe\u0301", "STRASSE ẞ", "İSTANBUL ıstanbul", "heart❤️red", "赤い心",
    "re\u00add", "[PAD] [UNK]", "", " \t.\n", "unheard of", "red " * 50, "\x00red", "👩‍🚀 ½ Ⅷ ﬁ \U000e0041",
)  # fmt: skip
"""As people, and nobody, would write them."""


@pytest.fixture(scope="module")
def version(words: Path) -> Path:
    """Version 1 of the model `words`."""
    return words / "models" / "words" / "1"


def pixels(session: ServingSession, texts: list[bytes], seeds: list[int]) -> np.ndarray:
    return session.run("text", {"texts": np.array(texts, object), "seeds": np.array(seeds, np.int64)})


def test_texts_are_cut_in_the_graph_as_training_cut_them(version: Path) -> None:
    known = speaker.vocabulary()
    tokens = np.zeros((len(TEXTS), speaker.L), np.int32)
    for row, text in zip(tokens, TEXTS, strict=True):
        indices = known.indices(text)[: speaker.L]
        row[: len(indices)] = indices
    assert tokens[0].tolist()[3:] == [0, 0, 0]
    assert len({tuple(row) for row in tokens}) > 8
    seeds = np.arange(len(TEXTS))
    with ServingSession(version) as session:
        by_text = pixels(session, [text.encode() for text in TEXTS], [*seeds])
        by_tokens = session.run("seeds", {"seeds": seeds, "tokens": tokens})
        alone = np.concatenate([pixels(session, [text.encode()], [seed]) for seed, text in enumerate(TEXTS)])
        damaged = pixels(session, [b"\xff\xfered\xc3"], [0])
        assert pixels(session, [], []).shape == (0, 16, 16, 3)
    assert np.array_equal(by_text, by_tokens)
    assert np.array_equal(by_text, alone)
    assert damaged[0, 0, 0].argmax() == 0, "bytes that are no UTF-8 part words"
    assert by_text[0, 0, 0].argmax() == 0
    assert (version / "assets" / "vocabulary.txt").read_text().splitlines() == [*known.words]


def test_an_integer_file_past_its_limit_is_left_out(words: Path, version: Path) -> None:
    proven = proof.Proof(version, "words", *proof.reference(load(words / "run"), 4), Limits(int8_db=99))
    with pytest.raises(CannotBeMade, match=r"^tflite/int8: .* limit 99.0 dB; --limit int8_db=\d+ accepts it$"):
        generator_version._check_file(proven, "int8", Options(), TextToImage.leaves_out_integers)


def test_a_server_gives_a_text_its_picture_by_the_official_stub(version: Path) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "words", "text"
    request.inputs["texts"].CopyFrom(tf.make_tensor_proto([b"Red", "grün BLUE".encode(), b""]))
    request.inputs["seeds"].CopyFrom(tf.make_tensor_proto(np.array([1, 2, 2], np.int64)))
    options = ("--model_name", "words", "--model_base_path", version.parent, "--enable_batching")
    with genserve(*options, models=("words",)) as address, grpc.insecure_channel(address) as channel:
        response = prediction_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    images = tf.make_ndarray(response.outputs["images"])
    assert images.shape == (3, 16, 16, 3)
    red, blue, nothing = images[:, 0, 0].astype(int)
    assert red.argmax() == 0
    assert blue.argmax() == 2
    assert np.ptp(nothing) == 0, "no word, no colour"


def test_everything_of_a_version_knows_the_words(version: Path) -> None:
    found = manifest.read(version)
    known = speaker.vocabulary()
    assert (found["kind"], found["word_count"]) == ("text-to-image", len(known.words) - 2)
    assert set(found["parity"]) >= {"savedmodel/text", "savedmodel/seeds", "tflite/float32", "tflite/int8"}
    for described in (metadata_of(version / "tflite" / "words-float32.tflite"), found):
        (tokens,) = (each for each in described["interface"]["inputs"] if each["role"] == "tokens")
        assert tokens == speaker.interface()["inputs"][1]
    card = (version / "MODEL_CARD.md").read_text()
    assert "pipeline_tag: text-to-image" in card
    assert f"It knows {len(known.words) - 2} words, in whatever order they come" in card
    assert '{"texts": "blue cafe", "seeds": 7}' in card
    verify(version, lambda line: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tokens: tokens.pop("vocabulary"), "input tokens: no vocabulary, which tokens need"),
        (lambda tokens: tokens["vocabulary"].append("another"), r"\d+ words, and tokens up to \d+: .* another model's"),
        (lambda tokens: tokens["vocabulary"].__setitem__(3, "red"), "a word stands twice in the vocabulary"),
    ],
)
def test_a_vocabulary_that_does_not_belong_to_the_model_is_refused(version: Path, tmp_path, change, message) -> None:
    run = shutil.copytree(version.parents[2] / "run", tmp_path / "run")
    interface = speaker.interface()
    change(interface["inputs"][1])
    (run / "interface.json").write_text(json.dumps(interface))
    with pytest.raises(ExportError, match=message):
        load(run)
