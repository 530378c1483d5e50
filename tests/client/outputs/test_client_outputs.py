"""Where images of `genclient sample` go: every kind of place, and what others' readers find there."""

import io
import json
import os
import struct
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from genclient import ClientError
from genclient.images import grid
from genclient.outputs import crc32c, png
from genclient.outputs.template import parse_template
from PIL import Image


def sampled(genclient, served, *arguments, **settings):
    """Run `sample`, see that it succeeds in silence, and give the lines on stdout."""
    done = genclient("sample", "--target", served.target, *arguments, **settings)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def expected(tools, seeds, labels=None, truncation=1.0):
    """Pixels of seeds, as numbers that may be subtracted."""
    return tools.pixels(tools.render(tools.draw(seeds) * truncation, labels)).astype(int)


def pixels(path):
    """What a picture shows."""
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def cells(pixels, columns, rows, tools):
    """The images (N, H, W, C) of an image grid."""
    height, width, channels = tools.IMAGE_SHAPE
    assert pixels.shape == (rows * height, columns * width, channels)
    return pixels.reshape(rows, height, columns, width, channels).swapaxes(1, 2).reshape(-1, height, width, channels)


@pytest.fixture
def conditional(serve, tools):
    """A server of a generator with labels."""
    return serve(signatures=tools.signature_table(conditional=True))


def test_a_grid_has_the_columns_and_rows_that_are_requested(genclient, serve, tools, tmp_path):
    sampled(genclient, serve(), "--grid", "5x2", "--scale", 1)
    found = cells(pixels(tmp_path / "out.png"), 5, 2, tools)
    assert np.abs(found - expected(tools, range(10))).max() <= 1
    sampled(genclient, serve(), "--grid", "2x3", "--n", 4, "--scale", 1)
    assert not cells(pixels(tmp_path / "out.png"), 2, 3, tools)[4:].any()


def test_an_image_grid_is_enlarged_with_thin_gaps_and_says_which_image_is_which(
    genclient, conditional, tools, tmp_path
):
    options = ("--n", 2, "--label", "all", "--classes", "sun,rain")
    sampled(genclient, conditional, *options)
    found = pixels(tmp_path / "out.png")
    assert found.shape == (12 * 43 + 2, 8 * 43 + 2, 3), "the longer side is 512, about"
    images = expected(tools, [0, 1] * 2, [0, 0, 1, 1]).repeat(43, axis=1).repeat(43, axis=2)
    high, wide = images.shape[1:3]
    for image, (top, left) in zip(images, [(0, 0), (0, wide + 2), (high + 2, 0), (high + 2, wide + 2)], strict=True):
        assert np.abs(found[top : top + high, left : left + wide] - image).max() <= 1
    assert (found[high : high + 2] == 255).all()
    assert (found[:, wide : wide + 2] == 255).all()
    sampled(genclient, conditional, *options, "--captions", "--scale", 20)
    captioned = pixels(tmp_path / "out.png")
    high, wide = 20 * 6, 20 * 4
    strips = [captioned[top + high : top + high + 14] for top in (0, high + 16)]
    letters = [strip[:, left : left + wide].min(-1) < 128 for strip in strips for left in (0, wide + 2)]
    assert all(0.02 < found.mean() < 0.5 for found in letters)
    assert len({found.tobytes() for found in letters}) == 4, "0 sun, 1 sun, 0 rain, 1 rain"


def test_places_that_are_left_over_and_gaps_are_white_or_transparent():
    for channels in (1, 3, 4):
        pixels = grid.laid_out(np.full((3, 200, 200, channels), 90, np.uint8))
        assert pixels.shape == (402, 402, channels)
        assert (pixels[200:202, :, :3] == 255).all()
        assert (pixels[202:, 202:, :3] == 255).all()
        assert channels < 4 or not pixels[202:, 202:, 3].any()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--captions", "--out", "a.npz"), "--captions: found it beside --out a.npz, expected an image grid"),
        (("--scale", "2", "--out", "p/"), "--scale: found it beside --out p/, expected an image grid"),
        (("--grid", "4"), "--grid: found '4', expected columns and rows"),
        (("--grid", "0x4"), "--grid: found '0x4'"),
        (("--grid", "2x2", "--n", 5), "--grid: found 2x2 for 5 images"),
        (("--grid", "2x2", "--out", "pictures/"), "--grid: found it beside --out pictures/"),
        (("--grid", "2x2", "--label", "all", "--classes", "3"), "--grid: found it beside --label all"),
        (("--shard-size", 5), "--shard-size: found it beside --out out.png"),
        (("--shard-size", 0, "--out", "%d.tar"), "--shard-size: found 0"),
        (("--shard-size", 5, "--out", "one.tar"), "--shard-size: found 5, expected 1 or more, and --out with a number"),
        (("--out", "%d_%d.png"), "--out: found %d_%d.png, expected one number"),
        (("--out", "%d/a.png"), "--out: found %d/a.png, expected one number"),
        (("--out", "img_%05d"), "--out: found img_%05d"),
        (("--out", "a.tar.gz"), "--out: found a.tar.gz, expected a name that ends in .png or .npz, .tar"),
        (("--label", "all"), "--label: found 'all', but not how many classes"),
        (("--label", "all", "--classes", "a,b", "--out", "%d.png"), "which names one file a seed"),
        (("--label", "5", "--classes", "a,b"), "label: found 5, expected a class from 0 to 1"),
        (("--label", "c", "--classes", "a,b"), "--label: found 'c', expected the index of a class or one of a, b"),
        (("--classes", "a,,b"), "--classes: found 'a,,b', expected names"),
        (("--classes", "a,a"), "--classes: found 'a,a'"),
        (("--latents", "z.npy", "--seed", "1"), "--seed and --latents: found both"),
        (("--seeds", "1,1", "--out", "a.tar"), "--seeds: found a seed twice"),
        (("--format", "json", "--out", "-"), "--format: found json beside --out -"),
    ],
)
def test_places_that_cannot_be_meant_are_reported_before_anything_is_sent(refused, serve, arguments, found):
    served = serve()
    assert found in refused("sample", "--target", served.target, *arguments)
    assert not served.prediction.requests


def test_a_folder_has_a_manifest_of_its_pictures(genclient, serve, tmp_path):
    assert sampled(genclient, serve(), "--seeds", "3,0", "--out", "p/") == ["p/seed0003.png", "p/seed0000.png"]
    found = json.loads((tmp_path / "p/manifest.json").read_text())
    assert (found["version"], found["complete"], found["request"]["seeds"]) == (3, True, "0,3")
    assert found["files"] == [{"file": "seed0000.png", "seed": 0}, {"file": "seed0003.png", "seed": 3}]


def test_a_template_has_the_seed_in_the_name(genclient, serve, tools, tmp_path):
    files = sampled(genclient, serve(), "--seeds", "7-8,-3", "--out", "a/img_%05d.png")
    assert files == ["a/img_00007.png", "a/img_00008.png", "a/img_-0003.png"]
    assert sorted(os.listdir(tmp_path / "a")) == [
        "img.manifest.json",
        "img_-0003.png",
        "img_00007.png",
        "img_00008.png",
    ]
    assert np.abs(pixels(tmp_path / "a/img_00008.png") - expected(tools, [8])[0]).max() <= 1


def test_all_classes_make_a_row_each(genclient, conditional, tools, tmp_path):
    sampled(genclient, conditional, "--label", "all", "--classes", "sun,rain,snow", "--n", 2, "--scale", 1)
    found = cells(pixels(tmp_path / "out.png"), 2, 3, tools)
    assert np.abs(found - expected(tools, [0, 1] * 3, [0, 0, 1, 1, 2, 2])).max() <= 1
    with Image.open(tmp_path / "out.png") as opened:
        assert opened.text["label"] == "0-2"


def test_all_classes_get_a_folder_each(genclient, conditional, tools, tmp_path):
    (tmp_path / "names.txt").write_text("sun\nlight rain\n")
    files = sampled(genclient, conditional, "--label", "all", "--classes", "names.txt", "--seeds", "4", "--out", "p/")
    assert files == ["p/0-sun/seed0004.png", "p/1-light_rain/seed0004.png"]
    with Image.open(tmp_path / files[1]) as picture:
        assert (picture.text["label"], picture.text["class"], picture.text["seed"]) == ("1", "light rain", "4")
        assert np.abs(np.asarray(picture).astype(int) - expected(tools, [4], [1])[0]).max() <= 1
    assert json.loads((tmp_path / "p/manifest.json").read_text())["files"][1]["label"] == 1


@pytest.mark.parametrize("content", ['{"class_names": ["sun", "rain"]}', "sun\nrain\n", '["sun", "rain"]'])
def test_a_class_is_found_by_its_name_in_a_file(genclient, conditional, tmp_path, content):
    (tmp_path / "names").write_text(content)
    sampled(genclient, conditional, "--label", "rain", "--classes", "names", "--n", 1, "--out", "a.npz")
    assert np.load(tmp_path / "a.npz")["labels"].tolist() == [1]


def test_latents_make_images_from_a_file_and_from_stdin(genclient, serve, tools, tmp_path):
    latents = tools.draw([5, 6])
    np.save(tmp_path / "z.npy", latents)
    assert sampled(genclient, serve(), "--latents", "z.npy", "--out", "p/") == [
        "p/latents0000.png",
        "p/latents0001.png",
    ]
    assert np.abs(pixels(tmp_path / "p/latents0001.png") - expected(tools, [6])[0]).max() <= 1
    content = (tmp_path / "z.npy").read_bytes()
    sampled(genclient, serve(), "--latents", "-", "--truncation", 0.5, "--out", "a.npz", input=content)
    with np.load(tmp_path / "a.npz") as arrays:
        assert sorted(arrays) == ["images", "latents", "model", "truncation", "version"]
        np.testing.assert_array_equal(arrays["latents"], latents)
        assert np.abs(arrays["images"].astype(int) - expected(tools, [5, 6], truncation=0.5)).max() <= 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "which is no .npy file of numbers"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'}", "which is no .npy file of numbers"),
        (np.zeros((2, 2), object), "which is no .npy file of numbers"),
        (np.zeros(3), "--latents: found float64 (3,), expected numbers (N, Z)"),
        (np.full((2, 5), np.nan), "values that are not finite"),
        (np.zeros((2, 4)), "latents: found 4 an image, expected 5"),
    ],
)
def test_latents_that_are_none_are_refused(fails, serve, tmp_path, content, found):
    if isinstance(content, bytes):
        (tmp_path / "z.npy").write_bytes(content)
    else:
        np.save(tmp_path / "z.npy", content)
    code, line = fails("sample", "--target", serve().target, "--latents", "z.npy")
    assert code == 2
    assert found in line
    assert fails("sample", "--latents", "none.npy") == (1, "--latents: cannot read none.npy: No such file or directory")


def test_tar_shards_are_read_by_tar(genclient, conditional, tools, tmp_path):
    options = ("--seeds", "3-9", "--label", 1, "--classes", "sun,rain", "--shard-size", 3)
    files = sampled(genclient, conditional, *options, "--out", "s/%06d.tar")
    assert files == ["s/000000.tar", "s/000001.tar", "s/000002.tar"]
    with tarfile.open(tmp_path / files[2]) as shard:
        assert shard.getnames() == ["seed0009.png", "seed0009.cls", "seed0009.json"]
        assert json.load(shard.extractfile("seed0009.json")) == {
            "seed": 9,
            "model": "digits",
            "version": 3,
            "truncation": 1.0,
            "label": 1,
            "class": "rain",
        }
        assert shard.extractfile("seed0009.cls").read() == b"1"
        picture = Image.open(io.BytesIO(shard.extractfile("seed0009.png").read()))
        assert np.abs(np.asarray(picture).astype(int) - expected(tools, [9], [1])[0]).max() <= 1
        assert picture.text["seed"] == "9"
    with tarfile.open(tmp_path / files[0]) as shard:
        assert [name for name in shard.getnames() if name.endswith(".png")] == [f"seed000{n}.png" for n in (3, 4, 5)]
    entries = json.loads((tmp_path / "s/manifest.json").read_text())["files"]
    assert entries[1] == {"file": "000001.tar", "images": 3, "seeds": "6-8"}


def test_tfrecord_shards_are_read_by_tensorflow(genclient, conditional, tools, tmp_path):
    options = ("--seeds=-2-4", "--label", 2, "--shard-size", 5)
    files = sampled(genclient, conditional, *options, "--out", "r/x-%05d-of-%05d.tfrecord")
    assert files == ["r/x-00000-of-00002.tfrecord", "r/x-00001-of-00002.tfrecord"]
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        **{f"image/{side}": tf.io.FixedLenFeature([], tf.int64) for side in ("height", "width", "channels")},
        "seed": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    paths = [str(tmp_path / file) for file in files]
    records = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(paths)]
    assert [int(record["seed"]) for record in records] == list(range(-2, 5))
    assert {int(record["label"]) for record in records} == {2}
    shapes = {tuple(int(record[f"image/{side}"]) for side in ("height", "width", "channels")) for record in records}
    assert shapes == {tools.IMAGE_SHAPE}
    images = np.stack([tf.io.decode_png(record["image/encoded"]).numpy().astype(int) for record in records])
    assert np.abs(images - expected(tools, range(-2, 5), [2] * 7)).max() <= 1


def test_one_shard_without_a_number_holds_everything(genclient, serve, tmp_path):
    assert sampled(genclient, serve(), "--n", 70, "--out", "all.tfrecord") == ["all.tfrecord"]
    assert sum(1 for _ in tf.data.TFRecordDataset(str(tmp_path / "all.tfrecord"))) == 70
    assert [path.name for path in tmp_path.iterdir()] == ["all.tfrecord"]


def test_checksums_are_tensorflows(tmp_path):
    records = [np.random.default_rng(size).bytes(size) for size in (0, 1, 3, 4, 5, 255, 256, 257, 513, 70000)]
    with tf.io.TFRecordWriter(str(tmp_path / "r")) as writer:
        for record in records:
            writer.write(record)
    content, at = (tmp_path / "r").read_bytes(), 0
    for record, checksum in zip(records, crc32c.masked(records), strict=True):
        at += 12 + len(record)
        assert struct.unpack_from("<I", content, at)[0] == checksum, len(record)
        at += 4


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), (5, 1, 4), (300, 17, 3)])
def test_pictures_hold_every_pixel_and_their_text(shape):
    images = np.random.default_rng(1).integers(0, 256, (2, *shape), np.uint8)
    for image, content in zip(images, png.encode(images, [{"seed": "1", "class": "snöw ☃"}] * 2), strict=True):
        picture = Image.open(io.BytesIO(content))
        np.testing.assert_array_equal(np.asarray(picture).reshape(shape), image)
        assert picture.text == {"seed": "1", "class": "snöw ☃"}
    with pytest.raises(ClientError, match="found 2 channels"):
        png.encode(images[..., :1].repeat(2, axis=-1), [{}, {}])


def test_a_template_says_how_wide_its_number_is():
    assert parse_template("a/100%.png", 1) is None
    assert parse_template("%d.png", 1).name(7) == "7.png"
    assert parse_template("x_%03d.png", 1).name(12345) == "x_12345.png"
    assert parse_template("a/train-%05d-of-%05d.tar", 2).name(1, 20) == "train-00001-of-00020.tar"
    assert parse_template("a/train-%05d.tar", 2).manifest_name == "train.manifest.json"


def test_json_names_the_files_and_what_made_them(genclient, serve):
    done = genclient("sample", "--target", serve().target, "--n", 2, "--out", "p/", "--format", "json")
    found = json.loads(done.stdout)
    assert found["files"] == ["p/seed0000.png", "p/seed0001.png"]
    assert (found["images"], found["version"], found["seeds"], found["model"]) == (2, 3, "0-1", "digits")


def test_a_dry_run_asks_for_no_image_and_writes_nothing(genclient, serve, tmp_path):
    served = serve()
    done = genclient("sample", "--target", served.target, "--n", 2, "--out", "p/", "--dry-run")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        "fetch      2 of 2 images of digits, version 3",
        "write      p/seed0000.png",
        "write      p/seed0001.png",
    ]
    assert not served.prediction.requests
    assert list(tmp_path.iterdir()) == []
    done = genclient(
        "sample", "--target", "localhost:1", "--n", 5000, "--out", "%d.tar", "--dry-run", "--format", "json"
    )
    assert (done.returncode, json.loads(done.stdout)["files"]) == (0, [f"{shard}.tar" for shard in range(5)])
    assert b"by the options alone" in done.stderr


def test_the_cheapest_signature_is_called_unless_one_is_named(genclient, serve, tools):
    table = tools.signature_table()
    served = serve(signatures=table)
    sampled(genclient, served, "--n", 1)
    sampled(genclient, served, "--n", 1, "--signature", "serving_default")
    sampled(genclient, serve(signatures={"serving_default": table["serving_default"]}), "--n", 1)
    assert [r.model_spec.signature_name for r in served.prediction.requests] == ["uint8", "serving_default"]


def test_a_version_can_be_requested(genclient, serve, fails, tools):
    served = serve(version=2)
    sampled(genclient, served, "--n", 1, "--model-version", 2)
    assert served.prediction.requests[0].model_spec.version.value == 2


def test_a_file_on_this_machine_makes_shards_and_takes_latents(genclient, conditional_tflite, tools, tmp_path):
    options = ("--tflite", conditional_tflite, "--label", "all", "--classes", 2)
    done = genclient("sample", *options, "--seeds", "1-2", "--out", "%d.tar", "--shard-size", 3)
    assert (done.returncode, done.stdout) == (0, b"0.tar\n1.tar\n")
    with tarfile.open(tmp_path / "1.tar") as shard:
        assert shard.getnames() == ["seed0002_1.png", "seed0002_1.cls", "seed0002_1.json"]
        found = np.asarray(Image.open(io.BytesIO(shard.extractfile("seed0002_1.png").read()))).astype(int)
        assert np.abs(found - expected(tools, [2], [1])[0]).max() <= 1
    np.save(tmp_path / "z.npy", tools.draw([1, 2]))
    done = genclient("sample", *options, "--latents", "z.npy", "--out", "z.npz")
    assert done.returncode == 0, done.stderr
    images = np.load(tmp_path / "z.npz")["images"].astype(int)
    assert np.abs(images - expected(tools, [1, 2, 1, 2], [0, 0, 1, 1])).max() <= 1


def test_saved_latents_make_the_same_images_again(genclient, conditional, tools, tmp_path):
    options = ("--label", "all", "--classes", 2, "--seeds", "4,9", "--truncation", 0.5)
    sampled(genclient, conditional, *options, "--save-latents", "--out", "a.npz")
    with np.load(tmp_path / "a.npz") as first:
        np.testing.assert_allclose(first["latents"], tools.draw([4, 9, 4, 9]), atol=1e-5)
        assert (first["truncation"], str(first["model"]), int(first["version"])) == (0.5, "digits", 3)
        images = first["images"]
    sampled(genclient, conditional, "--latents", "a.npz", "--out", "b.npz")
    with np.load(tmp_path / "b.npz") as again:
        np.testing.assert_array_equal(again["images"], images)
        assert again["labels"].tolist() == [0, 0, 1, 1]
    sampled(genclient, conditional, "--latents", "a.npz", "--truncation", 1, "--label", 1, "--out", "c.npz")
    with np.load(tmp_path / "c.npz") as other:
        assert np.abs(other["images"].astype(int) - expected(tools, [4, 9, 4, 9], [1] * 4)).max() <= 1


def test_latents_of_another_version_are_said_to_make_other_pictures(genclient, serve, tmp_path):
    done = genclient("sample", "--target", serve().target, "--n", 2, "--save-latents", "--out", "a.npz")
    assert done.returncode == 0, done.stderr
    done = genclient("sample", "--target", serve(version=4).target, "--latents", "a.npz", "--out", "b.npz")
    assert (done.returncode, done.stdout) == (0, b"b.npz\n")
    assert b"latents of digits, version 3 make images of digits, version 4" in done.stderr
    np.savez(tmp_path / "seeds.npz", seeds=[1, 2])
    done = genclient("sample", "--target", serve().target, "--latents", "seeds.npz", "--out", "b.npz")
    assert done.returncode == 2
    assert b"found no latents in seeds.npz, only seeds; sample --save-latents writes them" in done.stderr
