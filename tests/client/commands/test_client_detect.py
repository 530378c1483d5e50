"""Scores of picture files by a critic: which files, as which pixels, in which order."""

import dataclasses
import io
import json
import struct

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genclient import Client, ClientError
from genclient.images import pictures
from genexport.roles import preprocess
from gentrain.data.dataset import Frame
from gentrain.sources.pictures import deep_extremes, fitted
from gentrain.sources.values import Extremes, Ranges
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
        expected = fitted(io.BytesIO((tmp_path / name).read_bytes()), FRAME, 8, 3)
        assert (name, np.abs(np.rint(pixels * 255) - expected).max() <= 2) == (name, True), (pixels, expected)


def deep_tiff(path, values, **tags):
    Image.fromarray(values).save(path, **tags)
    return path


@pytest.fixture(scope="module")
def numbers():
    """Values (40, 60) from 0 to 1 that fade to the right."""
    y, x = np.mgrid[:40, :60]
    return 0.5 + 0.5 * np.sin(x / 9 + y / 14)


def test_numbers_of_32_bits_and_floats_are_seen_in_the_range_that_training_took(genclient, critic, tmp_path, numbers):
    """What the picture of numbers becomes, by gentrain's own reading of a data set with that range."""
    table = {
        "float.tif": (numbers * 3.2 - 1).astype(np.float32),
        "integer.tif": (numbers * 4095).astype(np.int32),
        "turned.tif": (numbers * 4095).astype(np.int32),
    }
    for name, values in table.items():
        deep_tiff(tmp_path / name, values, **({"exif": turned()} if name == "turned.tif" else {}))
    ranges = {"floating point images": {"taken": [-1, 2.2]}, "32-bit images": {"taken": [0, 4095]}}
    (tmp_path / "dataset.json").write_text(json.dumps({"value_ranges": ranges}))
    preprocessing = {"image": None, "images": {"value_ranges": ranges}}
    tensors = [{"name": name, "preprocessing": of} for name, of in preprocessing.items()]
    (tmp_path / "manifest.json").write_text(json.dumps({"interface": {"inputs": tensors, "outputs": []}}))
    target, seen = critic()
    for where in ("dataset.json", "manifest.json", "."):
        done = genclient("detect", *table, "--target", target, "--value-range", where)
        assert done.returncode == 0, done.stderr.decode()
    for name, low, high in (("float.tif", -1, 2.2), ("integer.tif", 0, 4095), ("turned.tif", 0, 4095)):
        frame = dataclasses.replace(FRAME, value_range=f"{low}:{high}")
        with (tmp_path / name).open("rb") as file:
            kind, met = deep_extremes(file, frame)
            expected = fitted(file, frame, 8, 3, Ranges(frame, lambda kind=kind, met=met: [(kind, met)]))
        for pixels in np.concatenate(seen).reshape(3, 3, 8, 8, 3)[:, list(table).index(name)]:
            assert (name, np.abs(np.rint(pixels * 255) - expected).max() <= 2) == (name, True)
    assert genclient("detect", "float.tif", "--target", target, "--value-range", "-1:2.2").returncode == 0
    np.testing.assert_array_equal(seen[-1][0], seen[0][0])
    with Client(target) as client:
        client.score_files([tmp_path / "integer.tif"], value_range=(0, 4095))
        np.testing.assert_array_equal(seen[-1][0], seen[0][1])
        with pytest.raises(ClientError, match=r"float\.tif: floating point pixels: their range is unknown"):
            client.score_files([tmp_path / "float.tif"])
        with pytest.raises(ClientError, match="value_range: found 4095"):
            client.score_files([tmp_path / "float.tif"], value_range=4095)


def test_numbers_of_an_unknown_range_are_refused_and_the_rest_goes_on(genclient, refused, critic, tmp_path, numbers):
    deep_tiff(tmp_path / "float.tif", numbers.astype(np.float32))
    deep_tiff(tmp_path / "small.tif", (numbers * 255).astype(np.int32))  # 8 bits by their values, 32 by the file
    deep_tiff(tmp_path / "hole.tif", np.where(numbers > 0.9, np.nan, numbers).astype(np.float32))
    save(tmp_path / "white.png", "white")
    target, _ = critic()
    done = genclient("detect", "float.tif", "small.tif", "white.png", "--target", target)
    assert (done.returncode, done.stdout) == (1, b"  1.0000  white.png\n")
    for kind, line in zip(("floating point", "32-bit"), done.stderr.decode().splitlines(), strict=True):
        assert f"{kind} pixels: their range is unknown; --value-range LOW:HIGH says what is black" in line
    done = genclient("detect", "hole.tif", "--value-range", "0:1", "--target", target)
    assert done.stderr == b"genclient: hole.tif: has values that are not finite\n"


def test_a_value_range_is_two_numbers_or_a_file_that_has_it(fails, tmp_path):
    (tmp_path / "dataset.json").write_text('{"value_ranges": {"16-bit images": {"taken": [0, 4095]}}}')
    (tmp_path / "notes.json").write_text("[]")
    for text, code, found in (
        ("5:1", 2, "--value-range: found 5:1, expected the lower number first"),
        ("0:nan", 2, "--value-range: found 0:nan"),
        ("0:x", 2, "--value-range: found '0:x', expected two numbers such as 0:4095"),
        ("none.json", 1, "--value-range: cannot read none.json"),
        ("notes.json", 2, "--value-range: found notes.json, expected two numbers"),
        (".", 2, "--value-range: found no range of 32-bit or floating point images in dataset.json"),
    ):
        assert fails("detect", "a.png", "--value-range", text) == (code, Containing(found))


class Containing(str):
    """Equal to every text that has it."""

    def __eq__(self, other):
        return self in other

    __hash__ = str.__hash__


def test_colours_of_sixteen_bits_are_brightened_as_training_brightened_them(genclient, serve, tools, tmp_path, numbers):
    """Of such TIFF files Pillow has the upper 8 bits; the graph knows what they meant in training."""
    numbers = numbers[:8, ::8]  # of the discriminator's size, so that they are compared as they are
    colours = np.stack([numbers * 4095, numbers * 2000, 4095 - numbers * 4095], axis=-1).astype("<u2")
    (tmp_path / "deep.tif").write_bytes(colour_tiff(colours))
    frame = preprocess.Frame((8, 8, 3), deep=((0, 65535), (0, 4095)))
    seen = []

    def answer(request, context):
        seen.append(preprocess.decoded(tf.constant(tf.make_ndarray(request.inputs["image_bytes"])), frame).numpy())
        response = predict_pb2.PredictResponse()
        response.outputs["scores"].CopyFrom(tools.as_values(np.ones(1, np.float32)))
        return response

    signatures = {"encoded": ({"image_bytes": (STRING, [-1])}, {"scores": (FLOAT, [-1])})}
    target = serve(name="digits-critic", answer=answer, signatures=signatures).target
    done = genclient("detect", "deep.tif", "--target", target)
    assert done.returncode == 0, done.stderr.decode()
    plain = Frame(8, 3, value_range="0:4095")
    with (tmp_path / "deep.tif").open("rb") as file:
        expected = fitted(file, plain, 8, 3, Ranges(plain, lambda: [("16-bit colour", Extremes(0, 4095, True))]))
    assert expected.max() > 200
    np.testing.assert_array_equal(np.rint(seen[0][0] * 255), expected)


def colour_tiff(colours):
    """A TIFF file of 16 bits a channel, uncompressed, of uint16 colours (H, W, 3), little-endian."""
    height, width, _ = colours.shape
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 2), (273, 4, 14), (277, 3, 3)]
    tags += [(278, 4, height), (279, 4, colours.nbytes)]
    start = 14 + colours.nbytes
    bits = start + 2 + 12 * len(tags) + 4
    entries = [(tag, kind, 3 if tag == 258 else 1, bits if tag == 258 else value) for tag, kind, value in tags]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", start) + bytes(6)
    return head + colours.tobytes() + directory + bytes(4) + struct.pack("<3H", 16, 16, 16)


def test_whole_numbers_without_a_sign_are_read_to_their_end(tmp_path):
    """Pillow takes those above 2³¹ for negative ones."""
    values = np.linspace(0, 2**32 - 1, 64).reshape(8, 8).astype("<u4")
    Image.fromarray(values.view(np.int32)).save(tmp_path / "large.tif")
    content = (tmp_path / "large.tif").read_bytes()
    signed = struct.pack("<HHIH", 339, 3, 1, 2)  # the tag SampleFormat: integers with a sign
    assert content.count(signed) == 1
    given = pictures.portable(content.replace(signed, struct.pack("<HHIH", 339, 3, 1, 1)), {"32-bit": (0, 2**32 - 1)})
    expected = np.rint(values / (2**32 - 1) * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(given))), expected)


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
