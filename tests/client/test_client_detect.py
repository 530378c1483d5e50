"""Scores of picture files by a critic: which files, brought to which size, in which order."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

FLOAT = types_pb2.DT_FLOAT


@pytest.fixture
def critic(serve, tools):
    """Serve `digits-critic`, whose score is an image's mean; it keeps what it is given."""

    def start(channels=3, conditional=False, size=(6, 4), signature="discriminate"):
        seen = []

        def answer(request, context):
            images = tf.make_ndarray(request.inputs["images"])
            seen.append(images)
            scores = images.mean((1, 2, 3))
            if conditional:
                scores = scores + tf.make_ndarray(request.inputs["labels"])
            response = predict_pb2.PredictResponse()
            response.outputs["scores"].CopyFrom(tools.as_values(scores.astype(np.float32)))
            return response

        inputs = {"images": (FLOAT, [-1, *size, channels])}
        if conditional:
            inputs["labels"] = (types_pb2.DT_INT32, [-1])
        served = serve(name="digits-critic", answer=answer, signatures={signature: (inputs, {"scores": (FLOAT, [-1])})})
        return served.target, seen

    return start


def save(path, colour, size=(4, 6), mode="RGB"):
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_pictures_of_files_and_folders_are_listed_the_best_first(genclient, critic, tmp_path):
    target, _ = critic()
    save(tmp_path / "dark.png", (51, 51, 51))
    save(tmp_path / "folder/deep/light.JPG", (255, 255, 255), (40, 60))
    save(tmp_path / "folder/middle.bmp", (102, 102, 102))
    (tmp_path / "folder/notes.txt").write_text("no picture")
    done = genclient("detect", "dark.png", "folder", "folder/middle.bmp", "--target", target)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        "  1.0000  folder/deep/light.JPG",
        "  0.4000  folder/middle.bmp",
        "  0.2000  dark.png",
    ]
    arguments = ("detect", "dark.png", "folder", "--target", target)
    assert genclient(*arguments, "--top", 1, "--format", "quiet").stdout == b"1.0000\tfolder/deep/light.JPG\n"
    data = json.loads(genclient(*arguments, "--sort", "name", "--format", "json").stdout)
    assert data["model"] == "digits-critic"
    assert [row["path"] for row in data["images"]] == ["dark.png", "folder/deep/light.JPG", "folder/middle.bmp"]
    assert data["images"][0]["score"] == pytest.approx(0.2, abs=1e-6)


def test_pictures_are_brought_to_the_critics_size_and_channels(genclient, critic, tmp_path):
    left = Image.new("RGB", (60, 30), "white")
    left.paste((0, 0, 0), (0, 0, 20, 30))  # a third is black, which the middle of 4:6 leaves out
    left.save(tmp_path / "wide.png")
    save(tmp_path / "clear.png", (0, 0, 0, 0), mode="RGBA")
    save(tmp_path / "grey16.png", 65535, mode="I;16")
    turned = Image.new("L", (6, 4), 0)
    turned.paste(255, (0, 0, 3, 4))  # lies on its side: the white half comes to the top
    turned.save(tmp_path / "turned.jpg", exif=_orientation(6), quality=100)
    target, seen = critic(channels=1)
    names = ("wide.png", "clear.png", "grey16.png", "turned.jpg")
    done = genclient("detect", *names, "--target", target, "--sort", "none")
    assert done.returncode == 0, done.stderr.decode()
    (images,) = seen
    assert images.shape == (4, 6, 4, 1)
    assert images[:3].min() == 1
    assert images[3, :2].min() > 0.8
    assert images[3, 4:].max() < 0.2
    genclient("detect", "wide.png", "--target", target, "--fit", "stretch")
    assert seen[-1][0, :, 0].max() < 0.1
    genclient("detect", "wide.png", "--target", target, "--fit", "pad")
    assert seen[-1][0, 0].min() == 1
    assert seen[-1].min() < 0.1


def _orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_many_pictures_are_scored_in_parts(genclient, critic, tmp_path):
    for number in range(260):
        save(tmp_path / f"all/{number:03}.png", (number % 256,) * 3, (2, 2))
    target, seen = critic(size=(2, 2))
    done = genclient("detect", "all", "--target", target, "--sort", "name", "--batch-size", 32, "--format", "json")
    scores = [row["score"] for row in json.loads(done.stdout)["images"]]
    np.testing.assert_allclose(scores, [number % 256 / 255 for number in range(260)], atol=1e-6)
    assert max(len(images) for images in seen) == 32


def test_a_picture_that_cannot_be_read_is_reported_after_the_others(genclient, critic, tmp_path):
    save(tmp_path / "good.png", "white")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:50])
    target, _ = critic()
    done = genclient("detect", ".", "--target", target)
    assert (done.returncode, done.stdout) == (1, b"  1.0000  good.png\n")
    bad, cut = sorted(done.stderr.decode().splitlines())
    assert bad == "genclient: bad.png: not a picture that can be read"
    assert cut.startswith("genclient: cut.png: ")
    data = json.loads(genclient("detect", "bad.png", "--target", target, "--format", "json").stdout)
    assert data["images"] == []
    assert data["failed"] == [{"path": "bad.png", "error": "not a picture that can be read"}]


def test_the_critic_its_signature_and_a_label_can_be_named(genclient, critic, tmp_path):
    save(tmp_path / "white.png", "white")
    target, _ = critic(conditional=True, signature="serving_default")
    options = ("--critic", "digits-critic", "--model", "other", "--label", "rain", "--classes", "sun,snow,rain")
    done = genclient("detect", "white.png", "--target", target, *options)
    assert done.stdout == b"  3.0000  white.png\n", done.stderr.decode()


def test_wrong_usage_is_refused(refused, critic):
    target, _ = critic()
    for arguments, found in (
        ((), "Missing parameter: images"),
        (("a.png", "--label", "x"), "--label: found 'x', expected the index of a class"),
        (("a.png", "--fit", "squeeze"), "'squeeze' is not one of"),
        (("a.png", "--top", "0"), "0 is not in the range"),
    ):
        assert found in refused("detect", *arguments, "--target", target)


def test_what_cannot_be_scored_is_one_line(fails, critic, serve, tmp_path):
    save(tmp_path / "white.png", "white")
    (tmp_path / "empty").mkdir()
    target, _ = critic()
    for arguments, code, found in (
        (("none.png",), 1, "none.png: found no such file or folder, expected pictures"),
        (("empty",), 1, "empty: found no pictures in it"),
        (("white.png", "--label", "1"), 2, "label: found 1, expected none"),
        (("white.png", "--critic-signature", "x"), 1, "has no signature 'x'"),
        (("white.png", "--critic", "no"), 69, "NOT_FOUND"),
    ):
        found_code, line = fails("detect", *arguments, "--target", target)
        assert (found_code, found in line) == (code, True), line
    assert "is not a critic" in fails("detect", "white.png", "--critic", "digits", "--target", serve().target)[1]
    sizeless, _ = critic(size=(-1, -1))
    assert "expected a size" in fails("detect", "white.png", "--target", sizeless)[1]
