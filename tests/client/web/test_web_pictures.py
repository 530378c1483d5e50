"""The page translates pictures: whatever they come from, they are the pixels that the Python runner takes of them."""

from __future__ import annotations

import base64
import io
import json
import subprocess

import numpy as np
import pytest
import tinted
from ai_edge_litert.interpreter import Interpreter
from genclient import DeviceGenerator
from genclient.images.prepare import Preprocessing, fitted, prepared
from genclient.latents import latents
from PIL import Image
from web_page import NEEDS_BROWSER, Z

pytestmark = NEEDS_BROWSER

RED, BLUE = (210, 47, 39), (63, 127, 209)


def brought_to_size(web, cases):
    """The page's own pixels of pictures (h, w, 4), each with its frame."""
    images = [
        {
            "image": {"width": pixels.shape[1], "height": pixels.shape[0], "data": pixels.ravel().tolist()},
            "frame": frame,
        }
        for pixels, frame in cases
    ]
    given = json.dumps({"cases": images})
    command = ["node", "test/pictures.mjs"]
    done = subprocess.run(command, cwd=web.folder, input=given, capture_output=True, text=True, check=True, timeout=60)
    return [np.array(pixels) for pixels in json.loads(done.stdout)]


def test_pictures_of_any_size_become_the_very_pixels_of_pillow(web):
    random = np.random.default_rng(0)
    cases, expected = [], []
    for number in range(40):
        (high, wide), channels = random.integers(3, 220, 2), (1, 3, 4)[number % 3]
        height, width = random.choice([8, 16, 28, 64], 2)
        pixels = random.integers(0, 256, (high, wide, 4), np.uint8)
        if channels < 4:
            pixels[..., 3] = 255
            pixels[..., :3] = pixels[..., :channels]
        frame = {"width": int(width), "height": int(height), "channels": channels}
        cases.append((pixels, frame))
        expected.append(fitted(np.ascontiguousarray(pixels[..., :channels]), height, width))
    for found, reference, case in zip(brought_to_size(web, cases), expected, cases, strict=True):
        assert np.array_equal(found, reference.ravel()), (case[0].shape, case[1])


def test_pictures_are_cropped_and_laid_on_the_background_as_the_metadata_says(web):
    random = np.random.default_rng(1)
    cases, expected = [], []
    for crop in ("center", "none", "pad"):
        for background, resize in (("white", "lanczos"), ("#00ff80", "lanczos"), ("#000000", "nearest")):
            for (high, wide), channels in (((100, 61), 3), ((20, 99), 1)):
                pixels = random.integers(0, 256, (high, wide, 4), np.uint8)
                pixels[:, : wide // 2, 3] = 255
                how = {"crop": crop, "background": background, "resize": resize}
                cases.append((pixels, {"width": 12, "height": 8, "channels": channels, "preprocessing": how}))
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                expected.append(prepared(file.getvalue(), (8, 12, channels), Preprocessing.of(how)))
    for found, reference, case in zip(brought_to_size(web, cases), expected, cases, strict=True):
        assert np.abs(found - reference.ravel()).max() <= 1, (case[0].shape, case[1])


@pytest.fixture(scope="module")
def device(site):
    return DeviceGenerator(str(site.folder / "tinted" / "tinted-1-dynamic.tflite"))


@pytest.fixture
def page(browser, site):
    """The page of a model that shows the picture, as it takes it, and hints."""
    browser.open(f"{site.url}/tinted/", permissions=["clipboard-read", "clipboard-write"])
    return browser


def near(found, expected):
    """No pixel differs by more than 2 of 255."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_a_file_that_is_chosen_gives_the_pixels_of_the_python_runner(page, device, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, size, options in (
        ("a.png", (90, 61), {}),
        ("small.webp", (5, 7), {"lossless": True}),
        ("photo.jpg", (300, 200), {"quality": 95, "exif": turned}),
    ):
        tinted.waves(*size).save(tmp_path / name, **options)
        page.ask(call="click", args=["#clear", {"force": True}])  # at first there is nothing to clear
        page.choose_file(tmp_path / name)
        page.wait("#pad-words[hidden]")
        page.wait_for_translation()
        near(page.pixels("#made"), device.translate([tmp_path / name])[0])


GIVEN = """(async () => {
  const bytes = Uint8Array.from(atob("CONTENT"), (c) => c.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], "NAME", { type: "image/png" }));
  document.dispatchEvent(EVENT);
})()"""
EVENTS = (
    'new DragEvent("drop", { dataTransfer: given, cancelable: true })',
    'new ClipboardEvent("paste", { clipboardData: given })',
)


def test_a_picture_that_is_dropped_or_pasted_is_taken_and_what_is_none_is_said(page, device, tmp_path):
    tinted.waves(50, 44).save(tmp_path / "a.png")
    content = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    expected = device.translate([tmp_path / "a.png"])[0]
    for event in EVENTS:
        script = GIVEN.replace("EVENT", event)
        page.evaluate(script.replace("CONTENT", content).replace("NAME", "a.png"))
        page.wait("#pad-words[hidden]")
        page.wait_for_translation()
        near(page.pixels("#made"), expected)
        page.evaluate("document.getElementById('status').classList.remove('seen')")
        page.evaluate(script.replace("CONTENT", base64.b64encode(b"no picture").decode()).replace("NAME", "notes.png"))
        page.wait("#status.seen")
        assert "cannot be read, expected a picture" in page.text("#status")
        near(page.pixels("#made"), expected)
        page.click("#clear")
        page.wait("#pad-words:not([hidden])")


def drawn(page, device, **hints):
    """What the Python runner makes of what is on the canvas that is drawn on."""
    return device.translate(page.pixels_file("#pad"), **hints)[0]


def test_an_outline_that_is_drawn_is_translated_as_it_is_drawn_and_undone(page, device):
    empty = page.pixels("#made")
    assert (empty == 255).all()
    page.stroke((0.2, 0.2), (0.8, 0.3), (0.5, 0.8), (0.2, 0.2))
    outline = page.pixels("#made")
    assert outline.min() < 128
    near(outline, drawn(page, device))
    page.slide("#width", 2)
    page.stroke((0.5, 0.5))  # a tap is a point
    assert (page.pixels("#made") != outline).any()
    near(page.pixels("#made"), drawn(page, device))
    page.press("Control+z")
    page.wait_for_translation()
    assert (page.pixels("#made") == outline).all()
    page.click("#clear")
    page.wait_for_translation()
    assert (page.pixels("#made") == 255).all()
    page.click("#undo")
    page.wait_for_translation()
    assert (page.pixels("#made") == outline).all()
    page.click("#tool-choice [value=eraser]")
    page.stroke((0.2, 0.2), (0.8, 0.3))
    assert page.pixels("#made").astype(int).sum() > outline.astype(int).sum()
    near(page.pixels("#made"), drawn(page, device))


def test_dots_of_colour_are_the_hints_of_training_and_an_eraser_takes_them_away(page, device):
    page.stroke((0.1, 0.9), (0.9, 0.9))
    page.click("#colours [title=red]")  # which chooses the tool as well
    page.stroke((0.3, 0.3))
    page.slide("#colours input", "#3f7fd1")
    page.stroke((0.99, 0.01))
    dots = tinted.hints((2, 3, RED), (7, 0, BLUE))
    near(page.pixels("#made"), drawn(page, device, hints=dots))
    assert page.pixels("#made")[3, 2].tolist() == list(RED)
    page.click("#tool-choice [value=eraser]")
    page.stroke((0.3, 0.3))
    near(page.pixels("#made"), drawn(page, device, hints=tinted.hints((7, 0, BLUE))))
    page.click("#undo")
    page.wait_for_translation()
    assert page.pixels("#made")[3, 2].tolist() == list(RED)


def test_on_a_phone_a_finger_draws_nothing_overflows_and_all_has_a_name(browser, site, device):
    browser.open(f"{site.url}/tinted/", viewport={"width": 360, "height": 740}, isMobile=True, hasTouch=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    small = """[...document.querySelectorAll("#translate button, .choices label")].map((e) => e.getBoundingClientRect())
      .filter((box) => box.width && box.height < 44).length"""
    assert browser.evaluate(small) == 0
    browser.ask(call="tap", args=["#dots"])
    browser.wait_for_translation()
    assert browser.pixels("#made").min() < 192
    near(browser.pixels("#made"), drawn(browser, device))
    nameless = browser.evaluate(
        """[...document.querySelectorAll("#translate :is(button, input, select, canvas), #camera :is(button, video)")]
          .filter((element) => {
            const labelled = document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
            const name = element.getAttribute("aria-label") ?? labelled ?? element.labels?.[0]?.textContent
              ?? element.textContent;
            return !name?.trim() && !element.getAttribute("aria-hidden");
          }).map((element) => element.outerHTML)"""
    )
    assert nameless == []


def test_what_was_made_is_saved_and_copied_and_can_be_pasted(page, site, tmp_path, device):
    tinted.waves(70, 70).save(tmp_path / "a.png")
    page.choose_file(tmp_path / "a.png")
    page.wait("#pad-words[hidden]")
    name, saved = page.download("#save-made")
    assert (name, saved.mode) == ("tinted-translated.png", "RGB")
    assert saved.text == {"model": "tinted", "version": "1"}
    made = np.asarray(saved)
    near(made, device.translate([tmp_path / "a.png"])[0])
    page.click("#copy-made")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert page.text("#status") == "Copied the picture"
    page.click("#clear")
    page.click("#paste")
    page.wait("#pad-words[hidden]")
    page.wait_for_translation()
    near(page.pixels("#made"), made)  # it is of the model's size, so it stays what it is
    assert [url for url in page.ask(requests=True) if not url.removeprefix("blob:").startswith(f"{site.origin}/")] == []
    assert page.ask(complaints=True) == [], "and nothing of it has left the page"


def test_the_camera_gives_a_picture_and_one_that_is_refused_is_reported_in_a_line(page):
    page.click("#shoot")
    page.wait("#camera[open]")
    page.evaluate("new Promise((done) => document.getElementById('view').requestVideoFrameCallback(done))")
    page.click("#take")
    page.wait("#pad-words[hidden]")
    page.wait_for_translation()
    made = page.pixels("#made").astype(int)
    assert made[..., 1].mean() > made[..., 0].mean() + 50, "Chromium's own camera sees green"
    assert page.evaluate("document.getElementById('view').srcObject") is None
    refusals = {
        "Promise.reject(new DOMException('', 'NotAllowedError'))": "No picture: the camera was refused. Open a",
        "Promise.reject(new DOMException('', 'NotFoundError'))": "No picture: no camera was found. Open a",
    }
    for refusal, words in refusals.items():
        page.evaluate(f"void (navigator.mediaDevices.getUserMedia = () => {refusal})")
        page.click("#shoot")
        page.wait("#status.seen")
        page.evaluate("new Promise((done) => setTimeout(done, 100))")
        assert words in page.text("#status")
    page.evaluate("void Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.click("#shoot")
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert "browsers give the camera only to pages from https or localhost" in page.text("#status")


def test_a_model_with_latents_gives_another_answer_for_another_seed(browser, site, tmp_path, painter_tflite):
    browser.open(f"{site.url}/painter/")
    tinted.waves(40, 60).save(tmp_path / "a.png")
    browser.choose_file(tmp_path / "a.png")
    browser.wait("#pad-words[hidden]")
    runner = Interpreter(model_path=str(painter_tflite)).get_signature_runner("generate")
    image = prepared((tmp_path / "a.png").read_bytes(), (6, 4, 3))[None].astype(np.float32) / 255
    for seed in (0, -7):
        browser.enter("#answer", str(seed))
        browser.wait_for_translation()
        images = runner(latents=latents(np.array([seed]), Z), image=image)["images"][0]
        near(browser.pixels("#made"), np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8))
    browser.click("#other")
    browser.wait_for_translation()
    assert (browser.pixels("#made") != np.rint(images * 255)).any()
