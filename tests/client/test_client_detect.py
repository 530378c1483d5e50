"""Scores of picture files by a critic: which files, as which pixels, in which order."""

import io
import json

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genclient import Client, ClientError
from genexport.roles import preprocess
from gentrain.data.dataset import Frame
from gentrain.sources.pictures import square
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

FLOAT, STRING = types_pb2.DT_FLOAT, types_pb2.DT_STRING
FRAME = Frame(8, 3, background="#200000")


@pytest.fixture(scope="module")
def decode():
    """From files to pixels, in the graph that genexport publishes for a run with this frame."""
    frame = preprocess.Frame((8, 8, 3), background=FRAME.background_rgb)
    return tf.function(
        lambda files: preprocess.decoded(files, frame), input_signature=[tf.TensorSpec([None], tf.string)]
    )


@pytest.fixture
def critic(serve, tools, decode):
    """Serve `digits-critic`, whose score is an image's mean; it keeps the pixels that its graph sees."""

    def start(conditional=False, signature="encoded"):
        seen = []

        def answer(request, context):
            try:
                images = decode(tf.constant(tf.make_ndarray(request.inputs["image_bytes"]))).numpy()
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            seen.append(images)
            scores = images.mean((1, 2, 3))
            if conditional:
                scores = scores + tf.make_ndarray(request.inputs["labels"])
            response = predict_pb2.PredictResponse()
            response.outputs["scores"].CopyFrom(tools.as_values(scores.astype(np.float32)))
            return response

        inputs = {"image_bytes": (STRING, [-1])}
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


def photo():
    """A picture that is not square, fading to the right: RGBA."""
    y, x = np.mgrid[:60, :90]
    waves = np.stack([127 + 120 * np.sin(x / (7 + k) + y / 5) for k in range(3)] + [x * 255 / 89], axis=-1)
    return Image.fromarray(waves.astype(np.uint8))


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_the_critic_sees_the_pixels_that_training_saw_whatever_kind_the_file_is(genclient, critic, tmp_path):
    glass, solid = photo(), photo().convert("RGB")
    deep = Image.fromarray(np.asarray(solid.convert("L")).astype(np.uint16))
    half = Image.new("RGBA", (30, 30), (0, 0, 0, 128))
    table = {
        "half.png": (half, {}),
        "glass.png": (glass, {}),
        "glass.webp": (glass, {"lossless": True}),
        "glass.tif": (glass, {}),
        "glass.gif": (glass.quantize(32), {}),
        "palette.bmp": (solid.quantize(32), {}),
        "deep.png": (deep, {}),
        "deep.tif": (deep, {}),
        "dark.pgm": (deep, {}),
        "cmyk.jpg": (solid.convert("CMYK"), {}),
        "cmyk.tif": (solid.convert("CMYK"), {}),
        "turned.jpg": (solid, {"exif": turned()}),
        "turned.png": (solid, {"exif": turned()}),
        "turned.webp": (solid, {"exif": turned(), "lossless": True}),
        "bits.png": (solid.convert("1"), {}),
        "faint.png": (glass.convert("LA"), {}),
        "large.jpg": (solid.resize((900, 600)), {}),
    }
    for name, (picture, options) in table.items():
        picture.save(tmp_path / name, **options)
    target, seen = critic()
    done = genclient("detect", *table, "--target", target, "--sort", "none", "--format", "json")
    assert done.returncode == 0, done.stderr.decode()
    assert [row["path"] for row in json.loads(done.stdout)["images"]] == list(table)
    for name, pixels in zip(table, np.concatenate(seen), strict=True):
        expected = square(io.BytesIO((tmp_path / name).read_bytes()), FRAME, 8, 3)
        assert (name, np.abs(np.rint(pixels * 255) - expected).max() <= 2) == (name, True), (pixels, expected)


def test_files_are_scored_from_python_by_path_or_content(critic, tmp_path):
    target, _ = critic(conditional=True)
    save(tmp_path / "white.webp", "white")
    save(tmp_path / "black.png", "black")
    files = [tmp_path / "white.webp", str(tmp_path / "black.png"), (tmp_path / "black.png").read_bytes()]
    with Client(target) as client:
        np.testing.assert_allclose(client.score_files(files, label=[0, 1, 2]), [1, 1, 2], atol=0.01)
        with pytest.raises(ClientError, match=r"none\.png: No such file or directory"):
            client.score_files([tmp_path / "none.png"], label=0)
        with pytest.raises(ClientError, match="picture 0: not a picture that can be read"):
            client.score_files([b"no picture"], label=0)


def test_a_picture_that_only_the_server_cannot_read_does_not_spoil_the_others(genclient, serve, tools, tmp_path):
    def answer(request, context):
        files = tf.make_ndarray(request.inputs["image_bytes"])
        if any(b"secret" in file for file in files):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown image format")
        response = predict_pb2.PredictResponse()
        response.outputs["scores"].CopyFrom(tools.as_values(np.ones(len(files), np.float32)))
        return response

    signatures = {"encoded": ({"image_bytes": (STRING, [-1])}, {"scores": (FLOAT, [-1])})}
    target = serve(name="digits-critic", answer=answer, signatures=signatures).target
    for name in "abcde":
        save(tmp_path / f"{name}.png", "white")
    with (tmp_path / "d.png").open("ab") as file:
        file.write(b"secret")
    done = genclient("detect", ".", "--target", target, "--sort", "name")
    assert (done.returncode, done.stdout.count(b"1.0000")) == (1, 4)
    assert done.stderr == b"genclient: d.png: the server refuses it: unknown image format\n"


def test_many_pictures_are_scored_in_parts(genclient, critic, tmp_path):
    for number in range(260):
        save(tmp_path / f"all/{number:03}.png", (number % 256,) * 3, (2, 2))
    target, seen = critic()
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
    options = ("--discriminator", "digits-critic", "--model", "other", "--label", "rain", "--classes", "sun,snow,rain")
    done = genclient("detect", "white.png", "--target", target, *options)
    assert done.stdout == b"  3.0000  white.png\n", done.stderr.decode()


def test_wrong_usage_is_refused(refused, critic):
    target, _ = critic()
    for arguments, found in (
        ((), "Missing parameter: images"),
        (("a.png", "--label", "x"), "--label: found 'x', expected the index of a class"),
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
        (("white.png", "--discriminator-signature", "x"), 1, "has no signature 'x'"),
        (("white.png", "--critic", "no"), 69, "NOT_FOUND"),
        (("white.png", "--critic-signature", "y"), 1, "has no signature 'y'"),
    ):
        found_code, line = fails("detect", *arguments, "--target", target)
        assert (found_code, found in line) == (code, True), line
    assert (
        "takes no picture files"
        in fails("detect", "white.png", "--discriminator", "digits", "--target", serve().target)[1]
    )
    arrays = serve(
        name="digits-critic",
        signatures={"discriminate": ({"images": (FLOAT, [-1, 6, 4, 3])}, {"scores": (FLOAT, [-1])})},
    )
    assert (
        "takes no picture files: found discriminate: images float32 (N, 6, 4, 3)"
        in fails("detect", "white.png", "--target", arrays.target)[1]
    )
