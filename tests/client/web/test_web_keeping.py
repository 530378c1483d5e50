"""What is taken away from the page: saved images and grids, and links."""

from __future__ import annotations

import numpy as np
from PIL import ImageSequence
from web_page import HEIGHT, NEEDS_BROWSER, WIDTH, assert_same, python_images

pytestmark = NEEDS_BROWSER


def test_a_saved_image_has_its_pixels_and_says_its_seed(plain, tflite):
    plain.click("#grid [role=row]:nth-child(1) [role=gridcell]:nth-child(4)")
    name, picture = plain.download("#save-image")
    assert name == "tiny-seed0003.png"
    assert picture.mode == "RGB"
    assert (np.asarray(picture) == plain.grid()[3]).all()
    expected = {"seed": "3", "model": "tiny", "version": "10", "truncation": "1"}
    assert {key: str(value) for key, value in picture.text.items()} == expected


def test_an_image_enlarges_goes_on_by_keyboard_and_is_saved_larger(plain):
    plain.press("Tab", "Tab", "Enter")
    assert plain.text("#enlarged-title") == "Seed 0"
    for scale in (4, 8):
        plain.click(f"#x{scale}")
        assert (
            plain.evaluate("document.getElementById('enlarged-canvas').getBoundingClientRect().width") == scale * WIDTH
        )
    plain.press("ArrowRight")
    assert plain.text("#enlarged-title") == "Seed 1"
    name, picture = plain.download("#save-enlarged")
    assert name == "tiny-seed0001-x8.png"
    assert (np.asarray(picture) == plain.grid()[1].repeat(8, 0).repeat(8, 1)).all()
    assert picture.text["seed"] == "1"
    assert plain.text("#enlarged-status") == "Saved tiny-seed0001-x8.png"
    plain.press("Escape")
    assert not plain.ask(call="isVisible", args=["#enlarged"])
    plain.click("#picked .enlarge")
    assert plain.ask(call="isVisible", args=["#enlarged"])


def test_a_saved_morph_goes_there_and_back(plain, tflite):
    plain.slide("#speed", 1)
    name, picture = plain.download("#save-morph")
    assert (name, picture.n_frames, picture.info["loop"]) == ("tiny-morph0-1.png", 48, 0)
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]
    assert_same(np.stack([frames[0], frames[24]]), python_images(tflite, [0, 1]))
    assert all((frames[24 - i] == frames[24 + i]).all() for i in range(24))
    assert picture.info["duration"] in (62, 63)  # 62.5 ms, rounded by Pillow either way
    assert picture.text["seeds"] == "0,1"


def test_a_saved_grid_is_its_images_side_by_side(classes):
    classes.click("#class-buttons label:nth-child(3)")
    classes.wait_for_images()
    name, picture = classes.download("#save-grid")
    assert name == "tiny-seeds0-15.png"
    tiles = np.asarray(picture).reshape(4, HEIGHT, 4, WIDTH, 3).swapaxes(1, 2).reshape(16, HEIGHT, WIDTH, 3)
    assert (tiles == classes.grid()).all()
    assert (picture.text["seeds"], picture.text["label"]) == ("0-15", "1")


def test_the_address_reproduces_what_is_shown(browser, site, classes):
    classes.enter("#seed", "-20")
    classes.slide("#truncation", 0.6)
    classes.click("#class-buttons label:nth-child(5)")
    classes.click("#grid [role=row]:nth-child(4) [role=gridcell]:nth-child(4)")
    classes.ask(call="waitForURL", args=["**/#*pick=15*"])
    classes.wait_for_images()
    link, shown = classes.evaluate("location.href"), classes.grid()
    assert link.startswith(f"{site.url}/classes/#seed=-20&truncation=0.6&class=3")
    browser.open(link)
    assert (browser.grid() == shown).all()
    assert browser.text("#picked-title") == "Seed -5, class day"


def test_a_grid_of_another_size_is_in_the_address_and_saved_whole(browser, site, plain):
    plain.choose("#count", 36)
    plain.ask(call="waitForURL", args=["**/#*n=36*"])
    link = plain.evaluate("location.href")
    browser.open(link)
    name, picture = browser.download("#save-grid")
    assert (name, picture.size) == ("tiny-seeds0-35.png", (6 * WIDTH, 6 * HEIGHT))


def test_a_link_that_cannot_be_meant_is_said_and_shows_the_default(browser, site, tflite):
    browser.open(f"{site.url}/plain/#seed=many&truncation=9&d1=x&n=17")
    assert_same(browser.grid(), python_images(tflite, range(16)))
    for part in ("seed in the link", "truncation in the link", "d1 in the link", "n in the link"):
        assert part in browser.text("#status")
