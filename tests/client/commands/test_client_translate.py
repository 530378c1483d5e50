"""Pictures made of pictures: a small model on a real genserve and in a .tflite file, by the command and the library."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from genclient import DeviceGenerator, UsageError
from genexport.tflite import metadata
from gentrain.data.dataset import Frame
from gentrain.sources.pictures import fitted
from negatives import SIDE, near, negative, photo, read, save
from PIL import Image, ImageSequence

MADE = {"a": "a.png", "b": "b.jpg", "c": "c.png", "c.webp": "c.webp", "d": "d.bmp", "deep/a": "deep/a.png"}


def test_a_folder_of_pictures_becomes_a_folder_of_pictures_and_a_second_run_makes_what_is_missing(
    genclient, address, photos, tmp_path
):
    run = ("translate", "photos", "--target", address, "--model", "negative", "--out", "made/")
    done = genclient(*run)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"genclient: 3 of 6 pictures are brought to 8\xc3\x978 pixels: by the model\n"
    names = {f"{name}.png" for name in MADE}
    assert {str(p.relative_to(tmp_path / "made")) for p in (tmp_path / "made").rglob("*.png")} == names
    for name, original in MADE.items():
        assert (name, near(read(tmp_path / f"made/{name}.png"), negative(photos / original))) == (name, True)
    with Image.open(tmp_path / "made/b.png") as picture:
        assert picture.info["original"] == "b.png"
        assert (picture.info["model"], picture.info["version"]) == ("negative", "1")
    manifest = json.loads((tmp_path / "made/manifest.json").read_text())
    assert (manifest["complete"], len(manifest["files"])) == (True, 6)

    (tmp_path / "made/a.png").write_bytes(b"damaged")
    save(photos / "new.png", shift=6)
    save(photos / "d.bmp", shift=9)  # another picture of the same name
    before = (tmp_path / "made/b.png").stat().st_mtime_ns
    done = genclient(*run)
    assert (done.returncode, sorted(done.stdout.decode().split())) == (0, ["made/a.png", "made/d.png", "made/new.png"])
    assert b"4 of 7 images are in made/ already" in done.stderr
    assert (tmp_path / "made/b.png").stat().st_mtime_ns == before
    for name, original in {"a": "a.png", "d": "d.bmp", "new": "new.png"}.items():
        assert near(read(tmp_path / f"made/{name}.png"), negative(photos / original))
    assert b"all 7 images are in made/ already" in genclient(*run).stderr


def test_a_grid_shows_each_picture_beside_what_is_made_of_it(genclient, address, photos, tmp_path):
    run = ("translate", "photos/a.png", "photos/c.png", "--target", address, "--model", "negative")
    done = genclient(*run, "--scale", 1)
    assert (done.returncode, done.stdout) == (0, b"out.png\n"), done.stderr.decode()
    grid = read(tmp_path / "out.png")
    for column, name in enumerate(("a", "c")):
        cell = grid[:, column * (2 * SIDE + 2) :][:, : 2 * SIDE + 2]
        assert near(cell[:, :SIDE], read(photos / f"{name}.png"))
        assert near(cell[:, SIDE + 2 :], negative(photos / f"{name}.png"))
    done = genclient(*run, "--scale", 1, "--no-beside", "--grid", "1x2", "--out", "plain.png")
    assert (done.returncode, read(tmp_path / "plain.png").shape) == (0, (2 * SIDE, SIDE, 3))
    done = genclient(*run, "--out", "all.npz")
    with np.load(tmp_path / "all.npz") as made:
        assert (made["names"].tolist(), str(made["model"]), int(made["version"])) == (["a.png", "c.png"], "negative", 1)
        assert near(made["images"][1], negative(photos / "c.png"))


def test_a_picture_goes_from_stdin_to_stdout(genclient, address, photos):
    run = ("translate", "-", "--target", address, "--model", "negative", "--out", "-")
    done = genclient(*run, input=(photos / "b.jpg").read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    assert near(read(io.BytesIO(done.stdout)), negative(photos / "b.jpg"))


def test_shards_of_pictures_resume_and_are_the_same_bytes(genclient, address, photos, tmp_path):
    run = ("translate", "photos", "--target", address, "--model", "negative", "--shard-size", 4, "--format", "quiet")
    done = genclient(*run, "--out", "shards/%03d.tar")
    assert done.stdout.split() == [b"shards/000.tar", b"shards/001.tar"], done.stderr.decode()
    with tarfile.open(tmp_path / "shards/001.tar") as shard:
        members = {member.name: shard.extractfile(member).read() for member in shard}
    assert list(members) == ["000004_d.png", "000004_d.json", "000005_deep_a.png", "000005_deep_a.json"]
    assert json.loads(members["000005_deep_a.json"])["original"] == "deep/a.png"
    assert near(read(io.BytesIO(members["000004_d.png"])), negative(photos / "d.bmp"))
    whole = (tmp_path / "shards/000.tar").read_bytes()
    (tmp_path / "shards/000.tar").write_bytes(whole[:-1600])
    assert genclient(*run, "--out", "shards/%03d.tar").stdout == b"shards/000.tar\n"
    assert (tmp_path / "shards/000.tar").read_bytes() == whole
    assert genclient(*run, "--out", "records/%03d.tfrecord").returncode == 0
    records = tf.data.TFRecordDataset(str(tmp_path / "records/001.tfrecord"))
    features = {"image/encoded": tf.io.FixedLenFeature([], tf.string), "picture": tf.io.FixedLenFeature([], tf.int64)}
    made = [tf.io.parse_single_example(record, features) for record in records]
    assert [int(example["picture"]) for example in made] == [4, 5]


def test_pictures_that_cannot_be_read_are_named_and_the_others_made(genclient, fails, address, photos, tmp_path):
    (photos / "bad.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(photos / "float.tif")
    run = ("translate", "photos", "--target", address, "--model", "negative", "--out", "made/")
    done = genclient(*run, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["images"]) == (1, 6)
    lines = done.stderr.decode()
    assert "photos/bad.png: not a picture that can be read" in lines
    assert "photos/float.tif: floating point pixels: their range is unknown; --value-range" in lines
    done = genclient(*run, "--value-range", "0:1")
    assert (done.returncode, done.stdout) == (1, b"made/float.png\n")
    assert (read(tmp_path / "made/float.png") == 255).all()
    done = genclient("translate", "photos/bad.png", "--target", address, "--model", "negative")
    assert (done.returncode, b"found no picture that can be read, of 1" in done.stderr) == (1, True)


def test_no_picture_of_the_user_is_replaced(refused, genclient, address, photos, tmp_path):
    run = ("translate", "photos", "--target", address, "--model", "negative")
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    for out, found in (("photos", "would replace photos/a.png"), ("photos/a.png", "would replace photos/a.png")):
        done = genclient(*run, "--out", out)
        assert (done.returncode, found in done.stderr.decode()) == (2, True), done.stderr.decode()
    save(tmp_path / "other/a.png", shift=8)
    done = genclient(*run, "--out", "other")
    assert (done.returncode, b"found other/a.png, which is not this command's" in done.stderr) == (2, True)
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before
    assert genclient(*run, "--out", "other", "--overwrite").returncode == 0
    assert near(read(tmp_path / "other/a.png"), negative(photos / "a.png"))
    # What an earlier run put below the pictures is no picture of the user.
    for _ in range(2):
        assert genclient(*run, "--out", "photos/made/").returncode == 0
    assert len(list((photos / "made").rglob("*.png"))) == 6


def test_another_model_or_other_hints_are_distinguished_from_the_same(genclient, address, photos, tmp_path):
    run = ("translate", "photos", "--target", address, "--out", "made/")
    assert genclient(*run, "--model", "hinted").returncode == 0
    done = genclient(*run, "--model", "negative")
    assert (done.returncode, b'found a set with model "hinted", expected "negative"' in done.stderr) == (2, True)
    dots = np.zeros((SIDE, SIDE, 4), np.uint8)
    dots[2, 3] = 10, 200, 30, 255
    Image.fromarray(dots).save(tmp_path / "dots.png")
    done = genclient(*run, "--model", "hinted", "--hints", "dots.png")
    assert (done.returncode, b"found a set with hints_sha256" in done.stderr) == (2, True)
    done = genclient(*run, "--model", "hinted", "--hints", "dots.png", "--overwrite")
    assert done.returncode == 0, done.stderr.decode()
    made, plain = read(tmp_path / "made/a.png"), negative(photos / "a.png")
    assert made[2, 3].tolist() == [10, 200, 30]
    made = np.where(np.arange(SIDE * SIDE).reshape(SIDE, SIDE, 1) == 2 * SIDE + 3, plain, made)
    assert near(made, plain)


def test_a_file_on_this_machine_makes_the_same_pictures(genclient, negatives, photos, tmp_path):
    run = ("translate", "photos", "--tflite", negatives / "negative.tflite", "--out", "made/")
    done = genclient(*run)
    assert done.returncode == 0, done.stderr.decode()
    assert b"3 of 6 pictures are brought to 8\xc3\x978 pixels: their middle, resized here" in done.stderr
    for name, original in MADE.items():
        assert (name, near(read(tmp_path / f"made/{name}.png"), negative(photos / original))) == (name, True)
    assert b"all 6 images are in made/ already" in genclient(*run).stderr
    with pytest.raises(UsageError, match="run genclient translate PICTURE"):
        next(DeviceGenerator(str(negatives / "negative.tflite")).stream([1]))


@pytest.mark.parametrize(("crop", "note"), [("none", "squeezed here"), ("pad", "all of each, resized here")])
def test_a_file_says_how_training_brought_pictures_to_size(genclient, negatives, photos, tmp_path, crop, note):
    said = {"crop": crop, "background": "#20a0ff", "resize": "lanczos"}
    interface = {"inputs": [{"role": "latents"}, {"role": "image", "preprocessing": said}]}
    content = metadata.add((negatives / "negative.tflite").read_bytes(), {"name": "n", "interface": interface})
    (tmp_path / "n.tflite").write_bytes(content)
    with Image.open(photos / "c.webp") as picture:
        picture.putalpha(picture.convert("L"))
        picture.save(photos / "c.webp", lossless=True)
    frame = Frame(SIDE, 3, crop=crop, background=said["background"])
    done = genclient("translate", "photos", "--tflite", "n.tflite", "--out", "made/")
    assert note in done.stderr.decode()
    for name in ("a", "b", "c.webp"):
        expected = 255 - fitted(str(photos / MADE[name]), frame, SIDE, 3)
        assert near(read(tmp_path / f"made/{name}.png"), expected), name


def test_an_animation_becomes_an_animation(genclient, fails, address, photos, tmp_path):
    frames = [photo(20, 20, shift) for shift in range(3)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=[50, 120, 300], loop=0)
    run = ("translate", "in.gif", "--target", address, "--model", "negative", "--scale", 1)
    for options, width in (((), SIDE), (("--beside",), 2 * SIDE + 2), (("--tile",), 20)):
        done = genclient(*run, "--out", "out.gif", *options)
        assert (done.returncode, done.stdout) == (0, b"out.gif\n"), done.stderr.decode()
        with Image.open(tmp_path / "out.gif") as made:
            shown = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(made)]
            times = [frame.info["duration"] for frame in ImageSequence.Iterator(made)]
            assert (made.width, made.info["loop"], times) == (width, 0, [50, 120, 300])
    with Image.open(tmp_path / "in.gif") as original:
        for found, frame in zip(shown, ImageSequence.Iterator(original), strict=True):
            expected = 255 - np.asarray(frame.convert("RGB")).astype(int)
            assert np.abs(found - expected).mean() < 8, "256 colours a frame"
    assert genclient("translate", "photos", *run[2:], "--out", "all.webp").returncode == 0
    with Image.open(tmp_path / "all.webp") as made:
        assert (made.n_frames, made.size) == (6, (SIDE, SIDE))
    lines = genclient(*run, "--out", "none.gif", "--dry-run").stdout.decode().splitlines()
    assert (lines[0].split()[:2], (tmp_path / "none.gif").exists()) == (["fetch", "3"], False)
    code, line = fails(*run, "--out", "in.gif", "--tile")
    assert (code, "would replace in.gif" in line) == (2, True)
    code, line = fails(*run, "--out", "out.gif", "--captions")
    assert (code, "--captions: found it beside --out out.gif" in line) == (2, True)


def test_info_status_and_bench_know_such_a_model(genclient, address, negatives):
    where = ("--target", address, "--model", "negative")
    data = json.loads(genclient("info", *where, "--format", "json").stdout)
    assert (data["image"], data["images"], data["latents"]) == ([SIDE, SIDE, 3], [SIDE, SIDE, 3], None)
    assert data["probe"]["milliseconds"] > 0
    said = {"interface": {"inputs": [{"role": "image", "preprocessing": {"crop": "pad", "background": "#20a0ff"}}]}}
    file = negatives / "described.tflite"
    file.write_bytes(metadata.add((negatives / "negative.tflite").read_bytes(), said))
    lines = genclient("info", "--tflite", file).stdout.decode().splitlines()
    assert lines[1:4] == ["image      8 × 8 × 3", "hints      no", "images     8 × 8 × 3"]
    assert lines[-1] == "size       of pictures: crop pad, background #20a0ff, resize lanczos"
    lines = genclient("info", "--target", address, "--model", "varied").stdout.decode().splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["model", "version", "image", "hints", "latents", "images"]
    assert "ms for an image of" in lines[-1]
    assert genclient("status", *where).stdout == b"1 AVAILABLE\n"
    load = ("bench", "--target", address, "--concurrency", 2, "--duration", 0.3, "--warm-up", 0, "--format", "json")
    for model, signature in (("negative", "auto"), ("hinted", "auto"), ("hinted", "png"), ("varied", "auto")):
        done = genclient(*load, "--model", model, "--signature", signature)
        assert done.returncode == 0, done.stderr.decode()
        (level,) = json.loads(done.stdout)["levels"]
        assert (level["images"] > 0, level["errors"]) == (True, {})


def test_which_version_and_signature_are_called_and_what_is_shown_can_be_said(
    genclient, fails, address, negatives, photos
):
    where = ("--target", address, "--model", "negative")
    run, content = ("translate", "-", *where, "--out", "-"), (photos / "b.jpg").read_bytes()
    for options in (("--version-label", "stable"), ("--model-version", 1), ("--signature", "uint8", "--show")):
        done = genclient(*run, *options, input=content)
        assert done.returncode == 0, done.stderr.decode()
        assert near(read(io.BytesIO(done.stdout)), negative(photos / "b.jpg"))
    assert "\u2580" in done.stderr.decode()
    assert b"their middle, resized here" in done.stderr
    beside = read(io.BytesIO(genclient(*run, "--beside", "--scale", 1, input=content).stdout))
    captioned = read(io.BytesIO(genclient(*run, "--beside", "--scale", 1, "--captions", input=content).stdout))
    assert near(beside[:, SIDE + 2 :], negative(photos / "b.jpg"))
    assert captioned.shape[0] > beside.shape[0] == SIDE
    for options, found in (
        (("--model-version", 7), "NOT_FOUND"),
        (("--version-label", "x"), "x"),
        (("--signature", "y"), "has no signature 'y'"),
        (("--threads", 2), "--threads: found 2 without --tflite"),
    ):
        assert found in fails("translate", photos / "a.png", *where, *options)[1]
    file = ("--tflite", negatives / "negative.tflite", "--threads", 2)
    assert genclient("translate", photos / "a.png", *file, "--out", photos / "one.npz").returncode == 0


def test_a_dry_run_says_what_would_be_made(genclient, fails, address, photos, tmp_path):
    run = ("translate", "photos", "--target", address, "--model", "negative", "--out", "made/", "--dry-run")
    lines = genclient(*run).stdout.decode().splitlines()
    assert lines[0].split() == ["fetch", "6", "of", "6", "images", "of", "negative,", "version", "1"]
    assert len(lines) == 7
    assert os.listdir(tmp_path) == ["photos"]
    code, line = fails("translate", "none.png", "--target", address, "--model", "negative")
    assert (code, "none.png: found no such file or folder" in line) == (1, True)
