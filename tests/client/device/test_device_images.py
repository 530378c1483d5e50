"""A TFLite file on this machine, run by the real LiteRT: the images are those of the server for the same seeds."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from genclient import ClientError, DeviceGenerator, UsageError
from tflite_files import SEEDS, distance, dynamic, float16, made, with_metadata


def test_a_file_makes_the_images_that_a_server_makes(tflite, tools):
    generator = DeviceGenerator(str(tflite))
    batches = list(generator.stream(np.arange(40, dtype=np.int64), truncation=0.8))
    images = np.concatenate([batch.images for batch in batches])
    expected = tools.pixels(tools.render(tools.draw(range(40)) * 0.8))
    assert images.dtype == np.uint8
    assert len(batches) > 1
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert generator.notes == []


@pytest.mark.parametrize(("set_up", "limit"), [(float16, 1), (dynamic, 4)])
def test_files_with_smaller_weights_make_nearly_the_same_images(converted, tools, set_up, limit):
    file = converted(lambda model, latents: {"images": model(latents)}, set_up, latents=(1, 5))
    assert distance(made(file), tools.pixels(tools.render(tools.draw(range(40))))) <= limit


def test_a_file_of_integers_alone_gets_its_latents_in_its_own_scale(converted, tools):
    def whole(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tools.draw([seed])] for seed in range(100))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    file = converted(lambda model, latents: {"images": model(latents)}, whole, latents=(1, 5))
    assert DeviceGenerator(str(file)).info().signatures["generate"].inputs["latents"].dtype == "int8"
    assert np.abs(made(file).astype(int) - tools.pixels(tools.render(tools.draw(range(40))))).mean() < 8


def test_a_file_whose_output_is_pixels_gives_them(converted, tools):
    def pixels(model, latents):
        return {"images": tf.cast(tf.round(model(latents) * 255), tf.uint8)}

    assert distance(made(converted(pixels, latents=(1, 5))), tools.pixels(tools.render(tools.draw(range(40))))) <= 1


def test_a_file_with_labels_asks_for_one(conditional_tflite, tools):
    generator = DeviceGenerator(str(conditional_tflite))
    batch = next(generator.stream(np.array([3]), label=2))
    assert np.abs(batch.images.astype(int) - tools.pixels(tools.render(tools.draw([3]), [2]))).max() <= 1
    with pytest.raises(UsageError, match=r"^label: found none"):
        generator.stream(np.array([3]))


def test_a_file_whose_output_is_quantised_gives_its_pixels(quantised_tflite, tools):
    generator = DeviceGenerator(str(quantised_tflite))
    assert generator.info().signatures["generate"].outputs["images"].dtype == "uint8"
    images = next(generator.stream(np.arange(8))).images
    expected = tools.pixels(tools.render(tools.draw(range(8))))[: len(images)]
    assert np.abs(images.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_makes_the_same_pixels_in_the_same_order(tflite, threads):
    seeds = np.random.default_rng(1).integers(-(2**63), 2**63, 300)
    batches = list(DeviceGenerator(str(tflite), threads=threads).stream(seeds))
    np.testing.assert_array_equal(np.concatenate([batch.seeds for batch in batches]), seeds)
    alone = made(tflite, seeds, threads=1)
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), alone)
    np.testing.assert_array_equal(alone[7], made(tflite, seeds[7:8])[0])


def test_a_long_stream_needs_no_more_memory_than_a_short_one(tflite):
    generator = DeviceGenerator(str(tflite), threads=2)
    next(generator.stream([0]))
    tracemalloc.start()
    try:
        for _ in generator.stream(np.arange(20_000, dtype=np.int64)):
            pass
        seeds = 20_000 * 8
        assert tracemalloc.get_traced_memory()[1] < 4 * seeds  # the images alone have nine times as much
    finally:
        tracemalloc.stop()


def test_a_stream_that_is_left_early_leaves_no_thread_behind(tflite):
    before = threading.active_count()
    stream = DeviceGenerator(str(tflite), threads=3).stream(np.arange(1_000_000, dtype=np.int64))
    assert next(stream).seeds[0] == 0
    stream.close()
    assert threading.active_count() == before


def test_a_file_without_signature_is_read_by_its_shapes_and_says_so(foreign_tflite, genclient, tmp_path, tools):
    expected = tools.pixels(tools.render(tools.draw(range(40))))
    assert distance(made(foreign_tflite), expected) <= 1
    done = genclient("sample", "--tflite", foreign_tflite, "--n", 40, "--out", "images.npz")
    reading, pixels = done.stderr.decode().splitlines()
    assert reading.startswith("genclient: generator.tflite: no signature: taken by shape, latents = 'generate_noise")
    assert pixels == "genclient: generator.tflite: pixels lie in [-1, 1], by the images of 4 seeds"
    with np.load(tmp_path / "images.npz") as arrays:
        assert distance(arrays["images"], expected) <= 1
    lines = genclient("info", "--tflite", foreign_tflite).stdout.decode().splitlines()
    assert lines[1:4] == ["latents    5", "images     6 × 4 × 3", "labels     no"]
    assert lines[4].startswith("signature  none  generate_noise")
    assert lines[5].startswith("note       generator.tflite: no signature: taken by shape")


def test_a_file_that_takes_any_batch_runs_as_batches(converted, tools):
    file = converted(lambda model, latents: {"images": model(latents)}, latents=(None, 5))
    generator = DeviceGenerator(str(file), threads=2)
    assert generator.generator().inputs["latents"].shape == (None, 5)
    batches = list(generator.stream(SEEDS))
    assert [len(batch.seeds) for batch in batches] == [16, 16, 8]
    images = np.concatenate([batch.images for batch in batches])
    assert distance(images, tools.pixels(tools.render(tools.draw(range(40))))) <= 1


def test_layouts_of_other_frameworks_are_understood(converted, tools):
    def generate(model, kind, z):
        images = model(tf.reshape(z, (4, 5))) * 0.5 + 0.1 * tf.cast(tf.reshape(kind, (4, 1, 1, 1)), tf.float32)
        return {"output": tf.transpose(images[:, :, :2], (0, 3, 1, 2)) * 255}

    file = converted(generate, kind=(4, 1), z=(4, 5, 1, 1))
    generator = DeviceGenerator(str(file))
    assert generator.generator().image_shape == (6, 2, 3)
    images = np.concatenate([batch.images for batch in generator.stream(SEEDS[:10], label=1)])
    assert distance(images, tools.pixels(tools.render(tools.draw(range(10)), [1] * 10))[:, :, :2]) <= 1
    assert "kind" in generator.notes[0]
    assert "[0, 255]" in generator.notes[1]


def test_a_class_can_be_given_by_its_name(named_tflite, genclient, fails, tmp_path, tools):
    for label, arguments in ((1, ("--label", "rain")), (2, ("--label", "snöw")), (2, ("--label", 2))):
        done = genclient("sample", "--tflite", named_tflite, "--n", 3, *arguments, "--out", "images.npz")
        assert (done.returncode, done.stderr) == (0, b"")
        with np.load(tmp_path / "images.npz") as arrays:
            assert arrays["labels"].tolist() == [label] * 3
            assert distance(arrays["images"], tools.pixels(tools.render(tools.draw(range(3)), [label] * 3))) <= 1
    code, line = fails("sample", "--tflite", named_tflite, "--label", "hail")
    assert (code, line) == (2, "--label: found 'hail', expected the index of a class or one of sun, rain, snöw")
    code, line = fails("sample", "--tflite", named_tflite, "--label", 3)
    assert (code, line) == (2, "label: found 3, expected a class from 0 to 2")
    with pytest.raises(UsageError, match="label: found 3, expected a class from 0 to 2"):
        DeviceGenerator(str(named_tflite)).stream([0], label=3)


def test_info_lists_the_classes_of_a_file(genclient, named_tflite):
    lines = genclient("info", "--tflite", named_tflite).stdout.decode().splitlines()
    assert lines[-3:] == ["class      0  sun", "class      1  rain", "class      2  snöw"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{not json", "found 9 bytes that are no JSON"),
        (b"\xff" * 9, "found 9 bytes that are no JSON"),
        (b"[" * 100_000, "found 100000 bytes that are no JSON"),
        (b"[]", "expected class_names, a list of names"),
        (b'{"class_names": [1]}', "expected class_names, a list of names"),
        (b'{"class_names": ["a"], "class_count": 2}', "found class_count 2, 1 class_names"),
        (b'{"class_count": "many"}', "found class_count 'many', 0 class_names"),
    ],
)
def test_metadata_that_makes_no_sense_is_named(tflite, changed, content, found):
    file = changed(tflite, with_metadata(content))
    with pytest.raises(ClientError) as raised:
        DeviceGenerator(str(file))
    assert str(raised.value) == f"{file}: metadata 'genline': {found}"


def test_a_file_that_is_no_generator_is_described(other_tflite):
    with pytest.raises(ClientError, match=r"signature 'generate' is x float32 \(1, 3\) → y float32 \(1, 3\); expected"):
        DeviceGenerator(str(other_tflite)).stream(np.array([0]))
