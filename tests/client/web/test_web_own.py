"""A picture of the user's among the samples of the page: its latents, found by the encoder, take a seed's place."""

from __future__ import annotations

import base64
import json

import encoders
import numpy as np
import pytest
from genclient import DeviceGenerator
from genexport import kinds
from genexport.kinds.kind import Source
from genexport.options import Options
from genexport.publish import publish
from PIL import Image
from web_page import NEEDS_BROWSER, served

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    run = encoders.run_of(folder / "run")
    _, model = kinds.load(Source(run))
    return publish(model, folder / "models", "blots", run=run, options=Options(files=("float32",), onnx=False))


@pytest.fixture(scope="module")
def origin(web, version, tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    done = web(version, root / "blots", "--file", "float32")
    assert done.returncode == 0, done.stderr
    with served(root) as server:
        yield f"{server.origin}/blots"


@pytest.fixture
def page(browser, origin):
    browser.open(f"{origin}/#seed=0&pick=2&n=4")
    return browser


@pytest.fixture
def picture(tmp_path):
    """Larger than the model's pictures, and wider than high."""
    fields = np.kron(np.random.default_rng(8).integers(0, 256, (8, 10)), np.ones((5, 5))).astype(np.uint8)
    Image.fromarray(fields).save(tmp_path / "mine.png")
    return tmp_path / "mine.png"


@pytest.fixture
def found(version, picture):
    return DeviceGenerator(str(version / "tflite" / "blots-invert-float32.tflite")).invert([picture])


@pytest.fixture
def drawn(version):
    """Pixels of latents (Z,) and a class, by the same file on this machine."""
    device = DeviceGenerator(str(version / "tflite" / "blots-float32.tflite"))

    def draw(latents, label):
        given = np.asarray(latents, np.float32)[None]
        return next(device.stream(latents=given, label=[int(label)])).images[0].astype(int)

    return draw


def near(pixels, expected):
    return np.abs(pixels[..., :1].astype(int) - expected).max() <= 2


def until(page, holds):
    """Wait for what no selector tells."""
    for _ in range(300):
        if holds():
            return
        page.ask(call="waitForTimeout", args=[100])
    raise AssertionError("it does not come")


def taken(page):
    page.wait("#own-remove:enabled")
    page.wait_for_images()


def test_a_chosen_picture_is_drawn_in_place_of_the_seed_and_moved_as_seeds_are(page, picture, found, drawn, version):
    before = page.grid()
    page.ask(call="setInputFiles", args=["#own-file-choice", str(picture)])
    taken(page)
    latents, label = found.latents[0], found.labels[0]
    after = page.grid()
    assert near(after[2], drawn(latents, label))
    assert not near(after[2], before[2].astype(int)[..., :1])
    assert near(after[1], before[1].astype(int)[..., :1]), "other seeds stay"
    assert page.text("#picked-title") == f"mine.png, class {label}"
    direction = json.loads((version / "manifest.json").read_text())["directions"][0]["latents"]
    page.slide("#truncation", 0.5)
    page.slide("#d1", 2)
    page.wait_for_images()
    moved = 0.5 * latents + 2 * np.array(direction)
    assert near(page.grid()[2], drawn(moved, label))
    assert page.evaluate("document.getElementById('from').value") == "2"
    until(page, lambda: near(page.pixels("#morph-canvas"), drawn(moved, label)))
    name, saved = page.download("#save-image")
    assert (name, saved.info["picture"]) == ("blots-picture.png", "mine.png")
    assert "seed" not in saved.info
    page.click("#own-remove")
    page.wait_for_images()
    assert page.text("#picked-title").startswith("Seed 2")
    assert not near(page.grid()[2], drawn(moved, label))


def test_a_picture_can_be_dropped_and_pasted(page, picture, found, drawn):
    content = base64.b64encode(picture.read_bytes()).decode()
    for event in (
        'new DragEvent("drop", { dataTransfer: given, cancelable: true })',
        'new ClipboardEvent("paste", { clipboardData: given })',
    ):
        page.evaluate(
            f"""(() => {{
              const given = new DataTransfer();
              const bytes = Uint8Array.from(atob("{content}"), (c) => c.charCodeAt(0));
              given.items.add(new File([bytes], "mine.png", {{ type: "image/png" }}));
              document.dispatchEvent({event});
            }})()"""
        )
        taken(page)
        assert near(page.grid()[2], drawn(found.latents[0], found.labels[0]))
        page.click("#own-remove")
        page.wait_for_images()
        assert not near(page.grid()[2], drawn(found.latents[0], found.labels[0]))


def test_an_encoder_that_cannot_be_fetched_is_said_and_the_samples_stay(browser, web, version, tmp_path, picture):
    assert web(version, tmp_path / "blots", "--file", "float32").returncode == 0
    for file in (tmp_path / "blots").glob("blots-invert-*.tflite"):
        file.write_bytes(b"damaged")
    with served(tmp_path) as server:
        browser.open(f"{server.origin}/blots/#seed=0")
        before = browser.grid()
        browser.ask(call="setInputFiles", args=["#own-file-choice", str(picture)])
        until(
            browser,
            lambda: "mine.png cannot be drawn: blots-invert-1-float32.tflite is damaged" in browser.text("#status"),
        )
        np.testing.assert_array_equal(browser.grid(), before)


def test_a_page_without_an_encoder_offers_nothing_of_it(plain):
    assert not plain.ask(call="isVisible", args=["#own"])
