"""The four signatures of a published generator: dtype, shape, range, encodings, and one seed is one image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

SEEDS = [0, 1, 5, -1, 2**40]
SIGNATURES = ["serving_default", "uint8", "png", "seeds"]


def decoded(signature, output) -> np.ndarray:
    """Whatever a signature answers, as uint8 images (N, H, W, C)."""
    if signature == "png":
        return np.stack([tf.io.decode_png(text).numpy() for text in output])
    return np.round(output * 255).astype(np.uint8) if output.dtype == np.float32 else output


@pytest.fixture(scope="module")
def images(wire):
    """uint8 images of SEEDS, by the signature that takes seeds."""
    return wire.predict("seeds", SEEDS)


def assert_same(found, expected):
    """Images that are equal but for a last step of rounding: other batch sizes may be computed in another order."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.uint8
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_serving_default_answers_float_images_from_0_to_1(wire):
    output = wire.predict("serving_default", SEEDS)
    dims = [dim.size for dim in wire.signatures["serving_default"].outputs["images"].tensor_shape.dim]
    assert output.dtype == np.float32
    assert output.shape == (len(SEEDS), *dims[1:])
    assert output.min() >= 0
    assert output.max() <= 1
    assert output.std() > 0.001  # a picture, not one grey


def test_png_answers_one_png_a_row(wire):
    output = wire.predict("png", SEEDS)
    assert output.shape == (len(SEEDS),)
    assert all(text.startswith(b"\x89PNG\r\n") for text in output)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_signature_gives_the_image_of_the_seed(wire, images, signature):
    assert_same(decoded(signature, wire.predict(signature, SEEDS)), images)


def test_image_of_a_seed_depends_on_nothing_else_in_the_batch(wire, images):
    for row, seed in enumerate(SEEDS):
        assert_same(wire.predict("seeds", [seed]), images[row : row + 1])
    assert_same(wire.predict("seeds", [9, *SEEDS[::-1], 9])[1:-1], images[::-1])


def test_different_seeds_give_different_images(images):
    assert len({image.tobytes() for image in images}) == len(SEEDS)


@pytest.mark.parametrize("rows", [1, 4, 17, 64])
def test_batch_of_any_size_is_answered_row_for_row(wire, rows):
    seeds = range(100, 100 + rows)
    output = wire.predict("seeds", seeds)
    assert len(output) == rows
    assert_same(output[-1:], wire.predict("seeds", seeds[-1:]))


@pytest.mark.parametrize("signature", SIGNATURES)
def test_empty_batch_is_answered_with_no_rows(wire, signature, rough):
    output = wire.predict(signature, [])
    dims = wire.signatures[signature].outputs["png_bytes" if signature == "png" else "images"].tensor_shape.dim
    assert output.shape == (0, *[dim.size for dim in dims][1:])


def test_tensors_are_read_from_content_and_from_values(wire, images):
    content = tf.make_tensor_proto(np.array(SEEDS, np.int64))
    assert content.tensor_content
    values = tensor_pb2.TensorProto(dtype=content.dtype, tensor_shape=content.tensor_shape, int64_val=SEEDS)
    for proto in (content, values):
        assert_same(wire.predict("seeds", SEEDS, seeds=proto), images)
    latents = wire.inputs("uint8", SEEDS)["latents"]
    floats = tensor_pb2.TensorProto(
        dtype=tf.float32.as_datatype_enum,
        tensor_shape=tf.TensorShape(latents.shape).as_proto(),
        float_val=latents.ravel().tolist(),
    )
    assert_same(wire.predict("uint8", SEEDS, latents=floats), images)


def test_one_value_repeats_where_the_shape_asks_for_more(wire):
    proto = tensor_pb2.TensorProto(
        dtype=tf.int64.as_datatype_enum, tensor_shape=tf.TensorShape([3]).as_proto(), int64_val=[7]
    )
    output = wire.predict("seeds", [7, 7, 7], seeds=proto)
    assert_same(output, wire.predict("seeds", [7, 7, 7]))


def test_answer_names_model_signature_and_version(wire):
    spec = wire.answer(wire.request(**wire.inputs("", [1]))).model_spec
    assert (spec.name, spec.signature_name) == (wire.model, "serving_default")
    served = {entry.version for entry in wire.status().model_version_status if entry.state == entry.AVAILABLE}
    assert spec.version.value == max(served)


def test_version_can_be_asked_for_by_number(wire, images):
    version = wire.answer(wire.request("seeds", **wire.inputs("seeds", [1]))).model_spec.version.value
    response = wire.answer(wire.request("seeds", version=version, **wire.inputs("seeds", SEEDS)))
    assert response.model_spec.version.value == version
    assert_same(tf.make_ndarray(response.outputs["images"]), images)


def test_output_filter_that_names_the_output_changes_nothing(wire, images):
    response = wire.answer(wire.request("seeds", outputs=["images"], **wire.inputs("seeds", SEEDS)))
    assert_same(tf.make_ndarray(response.outputs["images"]), images)


def test_every_client_gets_its_own_images_under_load(wire):
    """Requests of several sizes at once: where the server batches, rows must come back to whoever sent them."""
    batches = [
        list(range(first, first + rows)) for first, rows in zip(range(0, 640, 10), [1, 2, 3, 5] * 16, strict=True)
    ]
    expected = wire.predict("seeds", range(64)), wire.predict("seeds", [batch[0] for batch in batches])
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda seeds: wire.predict("seeds", seeds), batches))
    assert [len(answer) for answer in answers] == [len(batch) for batch in batches]
    assert_same(np.concatenate([answer[:1] for answer in answers]), expected[1])
    assert_same(answers[3], expected[0][30:35])
