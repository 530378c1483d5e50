"""The page plays clips: the frames that the Python runner makes, at the clips' own rate, until somebody pauses them."""

from __future__ import annotations

import clips
import numpy as np
import pytest
from genclient import DeviceGenerator
from PIL import Image, ImageSequence
from web_page import NEEDS_BROWSER, served

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def clip_site(web, clip_models, tmp_path_factory):
    """Built pages of clips from seeds, moving/, and of pictures that move, alive/."""
    root = tmp_path_factory.mktemp("clips")
    for name in ("moving", "alive"):
        done = web(clip_models / "models" / name, root / name, "--file", "float32")
        assert done.returncode == 0, done.stderr
    with served(root) as server:
        yield server


@pytest.fixture(scope="module")
def made(clip_site):
    """The Python runner's clips of seeds 0 to 15, uint8 (N, T, H, W, C)."""
    file = clip_site.root / "moving" / "moving-1-float32.tflite"
    return np.concatenate([batch.images for batch in DeviceGenerator(str(file)).stream(range(16))])


@pytest.fixture
def moving(browser, clip_site):
    """The page of clips from seeds, where the system asks for less motion: it waits at the first frame."""
    browser.open(f"{clip_site.origin}/moving/", reducedMotion="reduce")
    return browser


def near(found, expected):
    """No pixel differs by more than 2 of 255."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


def saved(page, selector):
    """The name of an animated PNG that is saved, its frames, and what it says."""
    name, picture = page.download(selector)
    return name, np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]), picture.info


def test_each_frame_of_each_clip_is_that_of_the_python_runner(moving, made):
    assert moving.text("#play-clip") == "Play"
    assert "6 frames, 8 a second, of 16×12 pixels from 8 numbers" in moving.text("#about")
    for frame in range(clips.FRAMES):
        moving.slide("#frame", frame + 1)
        near(moving.grid(), made[:, frame])
        near(moving.pixels("#picked-canvas"), made[0, frame])
        assert moving.text("#frame-value") == f"{frame + 1} of 6"
    assert np.ptp(made.astype(int), axis=1).max() > 10, "they move"


def test_clips_play_at_their_rate_and_pause(moving, made):
    moving.ask(call="clock.install", args=[])
    moving.ask(call="clock.pauseAt", args=["2100-01-01"])
    moving.click("#play-clip")
    moving.ask(call="clock.runFor", args=[62])  # so that what follows is seen in the middle of each frame
    seen = []
    for _ in range(7):
        moving.ask(call="clock.runFor", args=[125])
        seen.append(int(moving.evaluate("document.getElementById('frame').value")))
    assert seen == [2, 3, 4, 5, 6, 1, 2], "8 frames a second, and again from the first"
    near(moving.grid(), made[:, 1])
    moving.click("#play-clip")
    moving.ask(call="clock.runFor", args=[1000])
    near(moving.grid(), made[:, 1])
    assert moving.text("#play-clip") == "Play"


def test_clips_play_unasked_where_nobody_wants_less_motion(browser, clip_site):
    browser.open(f"{clip_site.origin}/moving/")
    assert browser.text("#play-clip") == "Pause"
    browser.wait_until("Number(document.getElementById('frame').value) > 2")
    browser.slide("#frame", 1)
    assert browser.text("#play-clip") == "Play", "who takes the slider holds it"


def test_a_clip_and_a_grid_of_them_are_saved_as_animated_png(moving, made):
    moving.click("#grid [role=row]:nth-child(1) [role=gridcell]:nth-child(4)")
    name, frames, said = saved(moving, "#save-image")
    assert name == "moving-seed0003.png"
    near(frames, made[3])
    assert (said["duration"], said["loop"], said["seed"]) == (125, 0, "3")
    name, frames, _ = saved(moving, "#save-grid")
    assert name == "moving-seeds0-15.png"
    high, wide = clips.SHAPE[:2]
    tiles = frames.reshape(clips.FRAMES, 4, high, 4, wide, 3).transpose(1, 3, 0, 2, 4, 5)
    near(tiles.reshape(made.shape), made)


def test_a_morph_goes_on_moving(moving, made):
    moving.slide("#frame", 4)
    for position, seed in ((0, 0), (1, 1)):
        moving.slide("#position", position)
        moving.wait(f"#morph-canvas[data-position='{position}']")
        near(moving.pixels("#morph-canvas"), made[seed, 3])
    moving.slide("#speed", 2)
    _, frames, said = saved(moving, "#save-morph")
    assert (len(frames), said["duration"]) == (12, 125), "there in 3/4 of a second, 6 frames, and back"
    near(frames[[0, 6]], made[[0, 1], 0])


def test_a_still_that_is_chosen_moves_and_is_saved(browser, clip_site, tmp_path):
    device = DeviceGenerator(str(clip_site.root / "alive" / "alive-1-float32.tflite"))
    Image.fromarray(clips.pictures(1, seed=5)[0]).resize((50, 40)).save(tmp_path / "a.png")
    expected = device.animate([tmp_path / "a.png"])[0]
    browser.open(f"{clip_site.origin}/alive/", reducedMotion="reduce")
    browser.choose_file(tmp_path / "a.png")
    browser.wait("#pad-words[hidden]")
    browser.wait_for_translation()
    for frame in range(clips.STILL_FRAMES):
        browser.slide("#frame", frame + 1)
        near(browser.pixels("#made"), expected[frame])
    name, frames, said = saved(browser, "#save-made")
    assert (name, said["duration"], said["model"]) == ("alive-animated.png", 83, "alive")
    near(frames, expected)


def test_a_page_of_ones_own_gets_frames_and_is_told_which_call_makes_them(moving, made):
    calls = """(async () => {
      const { Generator } = await import("./genline.js");
      const generator = await Generator.load("./");
      const frames = await generator.clip(3);
      const pixels = frames.map(({ data }) => [...data]);
      const refused = await generator.image(3).catch((error) => `${error}`);
      generator.close();
      return { pixels, refused, rate: generator.info.framesPerSecond };
    })()"""
    found = moving.evaluate(calls)
    pixels = np.array(found["pixels"], np.uint8).reshape(clips.FRAMES, *clips.SHAPE[:2], 4)
    near(pixels[..., :3], made[3])
    assert (
        found["refused"]
        == "RangeError: image: this generator makes clips, expected clip, runClip or animate to be called"
    )
    assert found["rate"] == clips.FPS
