"""Clips: the same from a server and from a file, written as what `--out` says."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import clips
import numpy as np
import pytest
from genclient.aio import AsyncClient
from genclient.client.client import Client
from genclient.device.generator import DeviceGenerator
from genclient.errors import ClientError, UsageError
from genclient.model.signature import ModelInfo, SignatureSpec, TensorSpec
from PIL import Image, ImageSequence
from real_server import genserve


@pytest.fixture(scope="module")
def address(clip_models: Path) -> Iterator[str]:
    """A server with both models."""
    config, models = clip_models / "served.config", ("moving", "alive")
    entries = (
        f'config {{ name: "{name}" base_path: "{clip_models}/models/{name}" model_platform: "tensorflow" }}'
        for name in models
    )
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    with genserve("--model_config_file", config, models=models) as address:
        yield address


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two pictures of the model's size, and what they hold as they sort."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(clips.pictures(2, seed=7)):
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def frames_of(file: Path | io.BytesIO) -> np.ndarray:
    with Image.open(file) as opened:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)])


def milliseconds_of(file: io.BytesIO) -> int:
    total = 0
    with Image.open(file) as opened:
        for number in range(opened.n_frames):
            opened.seek(number)
            opened.load()
            total += opened.info["duration"]
    return total


def near(a: np.ndarray, b: np.ndarray) -> bool:
    """Alike but for rounding."""
    return a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 1


def test_a_seed_is_one_clip_by_every_signature_on_a_server_and_in_a_file(address: str, moving: str) -> None:
    with Client(address, "moving", batch_size=2) as client:
        expected = client.sample(5, seed=3)
        assert (expected.dtype, expected.shape) == (np.uint8, (5, *(clips.FRAMES, *clips.SHAPE)))
        for signature in ("seeds", "png", "serving_default"):
            assert near(client.sample(5, seed=3, signature=signature), expected), signature
        assert np.array_equal(next(client.iter_sample(1, seed=4)), expected[1])
        assert client.grid(2, seed=3, scale=1).pixels.shape == (2 * 12, 6 * (16 + 2) - 2, 3)
        outputs = client.run(seeds=[3])
    assert np.array_equal(outputs["images"][0], expected[0])
    device = DeviceGenerator(moving)
    made = np.concatenate([batch.images for batch in device.stream(range(3, 8))])
    assert near(made, expected)
    assert device.frames_per_second == clips.FPS
    assert np.ptp(expected.astype(int), axis=1).max() > 10, "clips move"


def test_a_picture_is_one_clip_on_a_server_and_in_a_file(address: str, alive: str, photos: Path) -> None:
    files = sorted(photos.iterdir())
    with Client(address, "alive") as client:
        expected = client.animate(clips.pictures(2, seed=7))
        assert np.array_equal(client.animate(files), expected)
        with pytest.raises(UsageError, match=r"^image: found none.* genclient animate PICTURE"):
            client.sample(1)
        with pytest.raises(ClientError, match=r"makes clips of pictures; run genclient animate PICTURE"):
            client.translate(files)

    async def awaited() -> np.ndarray:
        async with AsyncClient(address, "alive") as client:
            return await client.animate(files)

    assert np.array_equal(asyncio.run(awaited()), expected)
    assert expected.shape == (2, clips.STILL_FRAMES, 16, 16, 3)
    assert near(DeviceGenerator(alive).animate(files), expected)
    with pytest.raises(ClientError, match=r"makes clips of pictures; run genclient animate"):
        DeviceGenerator(alive).translate(files)


@pytest.mark.parametrize("out", ["a.webp", "a.apng", "a.gif", "f%02d.png"])
def test_clips_play_side_by_side(run: Callable[..., clips.Done], out: str, moving: str, tmp_path: Path) -> None:
    expected = np.concatenate([batch.images for batch in DeviceGenerator(moving).stream(range(4))])
    result = run("sample", "--n", 4, "--tflite", moving, "--out", f"{tmp_path}/{out}", "--scale", 1, "--grid", "4x1")
    files = [Path(line) for line in result.stdout.split()]
    row = expected.transpose(1, 2, 0, 3, 4).reshape(6, 12, 4 * 16, 3)
    if out in ("a.webp", "a.apng", "a.gif"):
        with Image.open(files[0]) as opened:
            assert opened.n_frames == 6
            opened.seek(1)
            opened.load()
            assert opened.info["duration"] in (125, 120, 130)
        found = frames_of(files[0])
    else:
        assert len(files) == 6
        found = np.stack([np.asarray(Image.open(file)) for file in files])
    if out in ("a.gif", "a.webp"):  # 256 colours; what an eye hardly sees is gone
        assert found.shape == row.shape
        assert np.abs(found.astype(int) - row).mean() < 12
    else:
        assert np.array_equal(found, row)


def test_a_picture_an_archive_and_shards_hold_every_clip(
    run: Callable[..., clips.Done], address: str, moving: str, tmp_path: Path
) -> None:
    where = ("--target", address, "--model", "moving", "--n", 3)
    with Client(address, "moving") as client:
        expected = client.sample(3)
    run("sample", *where, "--out", tmp_path / "a.png", "--scale", 1)
    assert np.asarray(Image.open(tmp_path / "a.png")).shape == (3 * 12, 6 * 18 - 2, 3)
    run("sample", *where, "--out", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert np.array_equal(archive["clips"], expected)
        assert archive["seeds"].tolist() == [0, 1, 2]
    again = ("sample", *where, "--out", f"{tmp_path}/s/%03d.tar", "--shard-size", 2)
    assert len(run(*again).stdout.split()) == 2
    with tarfile.open(tmp_path / "s" / "000.tar") as tar:
        names = tar.getnames()
        assert names == ["seed0000.webp", "seed0000.json", "seed0001.webp", "seed0001.json"]
        content = io.BytesIO(tar.extractfile("seed0001.webp").read())  # type: ignore[union-attr]
    assert np.array_equal(frames_of(content), expected[1])
    assert milliseconds_of(content) == 500, "6 frames at 12 a second, as nobody said otherwise"
    (tmp_path / "s" / "001.tar").unlink()
    resumed = run(*again)
    assert resumed.stdout.split() == [f"{tmp_path}/s/001.tar"]
    assert "2 of 3 images" in resumed.stderr


def test_pictures_are_animated_into_one_file(
    run: Callable[..., clips.Done], alive: str, photos: Path, tmp_path: Path
) -> None:
    expected = DeviceGenerator(alive).animate(sorted(photos.iterdir()))
    (photos / "broken.png").write_text("no picture")
    result = run("animate", photos, "--tflite", alive, "--out", tmp_path / "a.apng", "--scale", 1, "--fps", 4)
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
    assert np.array_equal(frames_of(tmp_path / "a.apng"), np.concatenate(list(expected), axis=2))
    with Image.open(tmp_path / "a.apng") as opened:
        assert opened.info["duration"] == 250
    run("animate", photos / "p1.png", "--tflite", alive, "--out", f"{tmp_path}/%02d.tar")
    with tarfile.open(tmp_path / "00.tar") as tar:
        assert tar.getnames() == ["000000_p1.webp", "000000_p1.json"]
    planned = run("animate", photos / "p0.png", "--tflite", alive, "--out", "x.gif", "--dry-run")
    assert planned.stdout.splitlines()[1] == "write      x.gif"
    shutil.rmtree(photos)


def test_a_walk_goes_on_moving(run: Callable[..., clips.Done], moving: str, tmp_path: Path) -> None:
    run("interpolate", "--tflite", moving, "--seeds", "0,0", "--frames", 8, "--scale", 1, "--out", f"{tmp_path}/w/",
        "--no-loop")  # fmt: skip
    found = np.stack([np.asarray(Image.open(file)) for file in sorted((tmp_path / "w").glob("*.png"))])
    clip = next(DeviceGenerator(moving).stream([0])).images[0]
    assert len(found) == 9
    assert near(found, clip[np.arange(9) % 6]), "between equal clips the clip itself plays, again and again"


def test_info_says_frames_and_rate(run: Callable[..., clips.Done], address: str, moving: str) -> None:
    assert {"clips      6 frames of 12 × 16 × 3", "rate       8 frames a second"} <= {
        *run("info", "--tflite", moving).stdout.splitlines()
    }
    told = json.loads(run("info", "--target", address, "--model", "alive", "--format", "json").stdout)
    assert (told["clips"], told["images"]) == ([4, 16, 16, 3], None)
    assert "milliseconds" in told["probe"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "--tflite", "{alive}"), "run genclient animate PICTURE"),
        (("translate", "{photo}", "--tflite", "{alive}"), "makes clips of pictures; run genclient animate PICTURE"),
        (("animate", "{photo}", "--tflite", "{moving}"), "takes no pictures"),
        (("sample", "--tflite", "{moving}", "--out", "a.tfrecord"), "--out: found a.tfrecord, expected a name that"),
        (("sample", "--tflite", "{moving}", "--out", "a.npz", "--scale", "2"), "--scale: found it beside --out a.npz"),
        (("sample", "--tflite", "{moving}", "--out", "a.gif", "--fps", "0"), "--fps: found 0"),
        (("sample", "--tflite", "{moving}", "--out", "a.gif", "--shard-size", "2"), "--shard-size: found it beside"),
        (("sample", "--tflite", "{moving}", "--out", "a/", "--grid", "2x8"), "--grid: found it beside --out a/"),
        (("sample", "--tflite", "{moving}", "--out", "%d.mp4"), "found %d.mp4, expected .webp, .gif, .apng where each"),
        (("sample", "--tflite", "{moving}", "--out", "%d.gif", "--fps", "60"), "--fps: found 60, expected at most 50"),
    ],
)
def test_what_does_not_fit_is_one_line(
    run: Callable[..., clips.Done], arguments: tuple[str, ...], message: str, moving: str, alive: str, photos: Path
) -> None:
    filled = [text.format(moving=moving, alive=alive, photo=photos / "p0.png") for text in arguments]
    with pytest.raises(ClientError) as raised:
        run(*filled)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_requests_of_large_clips_are_small() -> None:
    from genclient.client.base import _example_bytes
    from genclient.model.clip_roles import CLIPS
    from genclient.tasks import VIDEO_GENERATION

    spec = SignatureSpec(
        {"latents": TensorSpec("float32", (None, 8))}, {"clips": TensorSpec("float32", (None, 64, 256, 256, 3))}
    )
    info = ModelInfo("large", 1, {"serving_default": spec})
    binding = VIDEO_GENERATION.bind(info, "auto", {})
    assert binding.outputs["clips"] is CLIPS
    assert _example_bytes(binding) == 4 * 64 * 256 * 256 * 3


def test_animate_takes_what_translate_takes(
    run: Callable[..., clips.Done], address: str, alive: str, photos: Path, tmp_path: Path
) -> None:
    out, where = tmp_path / "a.apng", ("--target", address, "--model", "alive")
    out.write_text("another file")
    plain = ("animate", photos, *where, "--scale", 1, "--overwrite", "--out", out)
    shown = run(*plain, "--signature", "png", "--model-version", 1, "--value-range", "0:255", "--show")
    assert "▀" in shown.stdout
    served = frames_of(out)
    run(*plain, "--captions")
    assert frames_of(out).shape[1] > served.shape[1], "names stand below the clips"
    run("animate", photos, "--tflite", alive, "--threads", 2, "--scale", 1, "--out", out)
    assert near(frames_of(out), served)
    with pytest.raises(UsageError, match=r"^--version-label: found it beside --model-version"):
        run(*plain, "--model-version", 1, "--version-label", "stable")
