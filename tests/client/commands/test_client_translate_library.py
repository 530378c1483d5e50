"""Pictures made of pictures as the library and the command do it alike: arrays and files, tiles, several answers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import tensorflow as tf
from genclient import AsyncClient, Client, ClientError, DeviceGenerator, UsageError
from genclient.images.tiles import Tiles
from genclient.latents import latents
from negatives import SIDE, near, negative, photo, read, save, varied
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2


def ways(address, negatives, name, batch_size):
    """`translate` of all that have it: over gRPC, the same awaited, and in a .tflite file."""

    async def later(*arguments, **settings):
        async with AsyncClient(address, name) as client:
            return await client.translate(*arguments, **settings)

    with Client(address, name, batch_size=batch_size) as client:
        yield client.translate
        yield lambda *arguments, **settings: asyncio.run(later(*arguments, **settings))
        yield DeviceGenerator(str(negatives / f"{name}.tflite")).translate


def test_the_library_takes_arrays_and_files(negatives, address, photos):
    files = [photos / "a.png", str(photos / "b.jpg"), (photos / "c.webp").read_bytes()]
    expected = [negative(photos / name) for name in ("a.png", "b.jpg", "c.webp")]
    array = np.stack([255 - image for image in expected])
    for translate in ways(address, negatives, "negative", batch_size=2):
        for images in (files, array, array / 255):
            made = translate(images)
            assert (made.dtype, made.shape) == (np.uint8, (3, SIDE, SIDE, 3))
            assert near(made, np.stack(expected))
        assert near(translate(array[0]), np.stack(expected[:1]))
    with Client(address, "negative", batch_size=2) as client:
        assert near(client.translate(files, signature="uint8"), np.stack(expected))
        for images, message in (
            (array[:, :4], r"image: found \(4, 8, 3\), expected \(8, 8, 3\)"),
            (array * 2.0, "image: found floats from"),
            ([photos / "none.png"], "none.png: No such file"),
        ):
            with pytest.raises(ClientError, match=message):
                client.translate(images)
        with pytest.raises(UsageError, match="run genclient translate PICTURE"):
            client.sample(2)
        hints = np.zeros((SIDE, SIDE, 4), np.uint8)
        hints[1, 1] = 255, 0, 0, 255
        made = client.translate(array, hints=hints, model="hinted")
        assert made[:, 1, 1].tolist() == [[255, 0, 0]] * 3
        assert near(client.translate(array, model="hinted"), np.stack(expected))
        with pytest.raises(UsageError, match="hints: found some, expected none"):
            client.translate(array, hints=hints)


def test_a_large_picture_is_translated_as_large_as_it_is(genclient, fails, address, negatives, photos, tmp_path):
    """The model changes each pixel alone, so the right answer is known; tiles are of 8×8."""
    save(tmp_path / "large.png", 45, 26)
    large = 255 - read(tmp_path / "large.png").astype(int)
    where = ("--target", address, "--model", "negative")
    for source in (where, ("--tflite", negatives / "negative.tflite")):
        done = genclient("translate", "large.png", *source, "--tile", "--no-beside", "--scale", 1)
        assert (done.returncode, done.stderr) == (0, b""), "nothing is brought to size"
        assert np.abs(read(tmp_path / "out.png") - large).max() <= 1
    done = genclient("translate", "large.png", "photos", *where, "--tile", "--out", "made/")
    assert done.returncode == 0, done.stderr.decode()
    assert near(read(tmp_path / "made/large.png"), large)
    assert near(read(tmp_path / "made/b.png"), 255 - read(photos / "b.jpg").astype(int))
    code, line = fails("translate", "large.png", "photos", *where, "--tile")
    assert (code, "found pictures of 5 sizes, expected one in out.png; a folder takes any" in line) == (2, True), line
    code, line = fails("translate", "large.png", *where, "--tile", "--hints", "large.png")
    assert (code, "found it beside --tile" in line) == (2, True)

    files = [tmp_path / "large.png"] * 2
    for translate in ways(address, negatives, "negative", batch_size=None):
        for images in (files, np.stack([255 - large] * 2).astype(np.uint8)):
            assert near(translate(images, tile=True), np.stack([large] * 2))
    with Client(address, "negative") as client, pytest.raises(UsageError, match="pictures of several sizes"):
        client.translate([*files, photos / "a.png"], tile=True)


@pytest.mark.parametrize("shape", [(5, 3), (8, 12), (12, 8), (13, 40), (41, 37)])
def test_tiles_give_back_the_picture_and_show_no_seams(shape):
    """A model whose tiles are 40 darker at one border than at the other leaves no step between them."""
    image = np.asarray(photo(*shape[::-1]))
    tiles = Tiles(image, (8, 12))
    np.testing.assert_array_equal(tiles.joined(tiles.pixels), image)
    doubled = tiles.joined(tiles.pixels.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_array_equal(doubled, image.repeat(2, axis=0).repeat(2, axis=1))
    grey = np.full_like(tiles.pixels, 100) + np.linspace(-20, 20, 12).astype(int)[:, None]
    steps = np.abs(np.diff(tiles.joined(grey.astype(np.uint8)).astype(int), axis=1))
    assert steps.max(initial=0) <= 10, "where tiles lie side by side it would be 40"
    with pytest.raises(ClientError, match="found pictures of 12×9 made of tiles of 12×8"):
        tiles.joined(np.zeros((1, 9, 12, 3), np.uint8))


def test_a_model_with_latents_makes_several_pictures_of_one(genclient, fails, address, negatives, photos, tmp_path):
    drawn = latents(np.arange(5, 8), 2)
    run = ("translate", "photos/a.png", "photos/b.jpg", "--target", address, "--model", "varied")
    done = genclient(*run, "--seed", 5, "--n", 3, "--out", "made/")
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.split()) == 6
    for name, original in (("a", "a.png"), ("b", "b.jpg")):
        for seed, each in zip((5, 6, 7), drawn, strict=True):
            assert near(read(tmp_path / f"made/{name}-seed{seed}.png"), varied(photos / original, each))
    done = genclient(*run, "--seed", 5, "--n", 4, "--out", "made/")
    assert done.stdout.split() == [b"made/a-seed8.png", b"made/b-seed8.png"], "what is there is not made again"
    np.save(tmp_path / "latents.npy", drawn[::-1])
    assert genclient(*run, "--latents", "latents.npy", "--out", "all.npz").returncode == 0
    with np.load(tmp_path / "all.npz") as made:
        assert made["names"].tolist()[:2] == ["a-latents0.png", "a-latents1.png"]
        assert near(made["images"][3], varied(photos / "b.jpg", drawn[2]))
    assert genclient(*run, "--n", 2, "--scale", 1, "--grid", "1x2").returncode == 0
    grid, first = read(tmp_path / "out.png"), latents(np.arange(2), 2)
    assert grid.shape == (2 * SIDE, 3 * SIDE + 4, 3), "a row is a picture and its variations"
    for row, name in enumerate(("a.png", "b.jpg")):
        cells = [grid[row * SIDE :][:SIDE, k * (SIDE + 2) :][:, :SIDE] for k in range(3)]
        expected = [255 - negative(photos / name), *(varied(photos / name, each) for each in first)]
        assert all(near(cell, right) for cell, right in zip(cells, expected, strict=True))
    code, line = fails(*run[:-1], "negative", "--n", 2)
    assert (code, "this model makes one picture of each" in line) == (2, True)
    code, line = fails(*run, "--n", 2, "--latents", "latents.npy")
    assert (code, "--latents: found it beside --n or --seed" in line) == (2, True)

    files = [photos / "a.png", photos / "b.jpg"]
    array = np.stack([255 - negative(file) for file in files])
    expected = np.stack([varied(file, each) for file in files for each in drawn])
    for translate in ways(address, negatives, "varied", batch_size=4):
        for images in (files, array):
            assert near(translate(images, n=3, seed=5), expected)
            assert near(translate(images, latents=drawn), expected)
        assert near(translate(array, n=3, seed=5, tile=True), expected)
        wide = np.concatenate([array, 255 - array[::-1]], axis=2)
        alone = [translate(wide, latents=each, tile=True) for each in drawn]
        assert near(translate(wide, n=3, seed=5, tile=True), np.stack(alone, axis=1).reshape(6, SIDE, 2 * SIDE, 3))
        assert near(translate(files), np.stack([varied(file, first[0]) for file in files]))
        with pytest.raises(UsageError, match="expected 1 or more"):
            translate(files, n=0)


def test_a_model_that_takes_any_size_gets_pictures_of_one_size(serve, tools, photos):
    def answer(request, context):
        images = tf.make_ndarray(request.inputs["image"])
        response = predict_pb2.PredictResponse()
        response.outputs["images"].CopyFrom(tools.as_values(1 - images))
        return response

    any_size = (types_pb2.DT_FLOAT, [-1, -1, -1, 3])
    signatures = {"serving_default": ({"image": any_size}, {"images": any_size})}
    served = serve(name="any", answer=answer, signatures=signatures)
    with Client(served.target, "any") as client:
        made = client.translate([photos / "c.webp"])
        assert near(made[0], 255 - read(photos / "c.webp").astype(int))
        with pytest.raises(UsageError, match="image: found pictures of 2 sizes, expected one"):
            client.translate([photos / "a.png", photos / "b.jpg"])
