"""Images again: of latents whose classes differ, and of a picture by what is written in it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image


@pytest.fixture
def conditional(serve, tools):
    return serve(signatures=tools.signature_table(conditional=True))


@pytest.fixture
def archive(tools, tmp_path):
    """Latents of three pictures, each of its own class, as `gentrain project` and `genclient invert` write them."""
    latents, labels = tools.draw([5, 6, 7]), np.array([2, 0, 2], np.int32)
    np.savez(tmp_path / "z.npz", latents=latents, labels=labels, files=np.array(["a", "b", "c"]))
    return latents, labels


def near(found, expected):
    return np.abs(np.asarray(found).astype(int) - expected.astype(int)).max() <= 1


def test_each_latents_of_an_archive_keep_their_class(genclient, conditional, tools, archive, tmp_path):
    expected = tools.pixels(tools.render(*archive))
    for out in ("a.npz", "p/", "out.png"):
        done = genclient("sample", "--target", conditional.target, "--latents", "z.npz", "--out", out)
        assert (done.returncode, done.stderr) == (0, b"")
    with np.load(tmp_path / "a.npz") as found:
        assert near(found["images"], expected)
        assert found["labels"].tolist() == [2, 0, 2]
    assert json.loads((tmp_path / "p/manifest.json").read_text())["request"]["label"] == [2, 0, 2]
    for number in range(3):
        with Image.open(tmp_path / f"p/latents000{number}.png") as picture:
            assert near(picture, expected[number])
            assert picture.info["label"] == str(archive[1][number])
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.info["label"] == "2,0,2"
    genclient("sample", "--target", conditional.target, "--latents", "z.npz", "--label", 1, "--out", "b.npz")
    with np.load(tmp_path / "b.npz") as found:
        assert near(found["images"], tools.pixels(tools.render(archive[0], [1, 1, 1])))


def test_two_pictures_of_two_classes_are_no_rows_of_the_same_latents(genclient, conditional, tools, tmp_path):
    latents = tools.draw([1, 2])
    np.savez(tmp_path / "two.npz", latents=latents, labels=np.array([0, 1]))
    genclient("sample", "--target", conditional.target, "--latents", "two.npz", "--out", "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert near(found["images"], tools.pixels(tools.render(latents, [0, 1])))


def test_a_walk_and_a_traversal_keep_the_classes_of_their_keyframes(genclient, conditional, tools, archive, tmp_path):
    options = ("--target", conditional.target, "--latents", "z.npz", "--scale", 1)
    done = genclient("interpolate", *options, "--frames", 1, "--out", "w/")
    assert done.returncode == 0, done.stderr
    expected = tools.pixels(tools.render(*archive))
    frames = sorted((tmp_path / "w").glob("*.png"))
    assert len(frames) == 3
    for number, file in enumerate(frames):
        assert near(Image.open(file), expected[number])
    done = genclient("interpolate", *options, "--walks", 3, "--frames", 1, "--out", "v/")
    assert b"not the same in each of 3 walks" in done.stderr
    direction = {"strength": 1.0, "latents": [1.0, 0, 0, 0, 0]}
    (tmp_path / "manifest.json").write_text(json.dumps({"directions": [direction]}))
    along = ("--direction", 1, "--directions", "manifest.json", "--image-grid", "--from", 0, "--to", 1, "--frames", 1)
    done = genclient("interpolate", *options, *along, "--out", "d.png", "--format", "json")
    assert json.loads(done.stdout)["label"] == "2,0,2", done.stderr
    sent = tf.make_ndarray(conditional.prediction.requests[-1].inputs["labels"])
    assert sent.tolist() == [2, 0, 2, 2, 0, 2], "frame after frame"


@pytest.mark.parametrize(
    "options",
    [
        ("--seeds", "7", "--label", 2, "--truncation", 0.5, "--out", "p/"),
        ("--seeds", "9,3-4", "--label", "all", "--classes", 2, "--out", "p.png"),
    ],
)
def test_a_picture_is_made_again_from_what_is_written_in_it(options, genclient, conditional, tmp_path):
    source = ("--target", conditional.target)
    assert genclient("sample", *source, *options).returncode == 0
    made = tmp_path / ("p.png" if options[-1] == "p.png" else "p/seed0007.png")
    out = ("--out", "again.png") if made.name == "p.png" else ("--out", "again/")
    done = genclient("sample", *source, "--like", made, *out)
    assert (done.returncode, done.stderr) == (0, b"")
    again = tmp_path / ("again.png" if made.name == "p.png" else "again/seed0007.png")
    assert again.read_bytes() == made.read_bytes()
    genclient("sample", *source, "--like", made, "--truncation", 0, "--out", "other.npz")
    with np.load(tmp_path / "other.npz") as other:
        assert other["truncation"] == 0


def test_what_cannot_be_repeated_is_said_in_one_line(genclient, conditional, serve, archive, tmp_path):
    source = ("--target", conditional.target)
    assert genclient("sample", *source, "--label", 1, "--n", 1, "--out", "out.png").returncode == 0
    assert genclient("sample", *source, "--latents", "z.npz", "--out", "latents.png").returncode == 0
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    other = serve(name="cats", signatures=conditional.prediction.signatures)
    for arguments, found in (
        ((*source, "--like", "plain.png"), "which does not say how it was made"),
        ((*source, "--like", "latents.png"), "made of given latents, which are not in it"),
        ((*source, "--like", "text.png"), "not a picture that can be read"),
        ((*source, "--like", "none.png"), "No such file"),
        ((*source, "--like", "out.png", "--seed", 3), "--seed and --like: found both"),
        (("--target", other.target, "--model", "cats", "--like", "out.png"), "of the model digits, expected cats"),
    ):
        done = genclient("sample", *arguments, "--out", "x.png")
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1
        assert found in done.stderr.decode()
    newer = serve(version=4, signatures=conditional.prediction.signatures)
    done = genclient("sample", "--target", newer.target, "--like", "out.png", "--out", "x.png")
    assert done.returncode == 0
    assert b"out.png is of version 3: version 4 may draw something else" in done.stderr
