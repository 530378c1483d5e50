"""The page for everyone: keyboard, screen readers, phones, contrast, the dark scheme."""

from __future__ import annotations

import re

import numpy as np
import pytest
from web_page import NEEDS_BROWSER, ROOT, assert_same, python_images

pytestmark = NEEDS_BROWSER


def test_the_keyboard_alone_reaches_everything_in_order_and_what_has_the_focus_is_outlined(plain):
    reached = []
    outline = (
        "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
    )
    for number in range(26):
        plain.press("Tab")
        assert number >= 20 or plain.evaluate(outline) == ["solid", "3px"]
        reached.append(plain.evaluate("document.activeElement.id || document.activeElement.getAttribute('role')"))
    expected = ["count", "gridcell", "previous", "next", "save-grid", "seed", "random", "truncation"]
    expected += ["save-image", "copy-link", "morph-from", "morph-to", "reset", "d1", "d2", "d3"]
    expected += ["from", "to", "position", "speed", "play"]
    assert [name for name in reached if name][: len(expected)] == expected


def test_arrow_keys_move_in_the_grid_and_pages_turn_it(plain, tflite):
    plain.press("Tab", "Tab", "ArrowRight", "ArrowDown")
    assert plain.text("#picked-title") == "Seed 5"
    plain.press("ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft")
    assert plain.text("#picked-title") == "Seed 0"
    plain.press("End")
    assert plain.text("#picked-title") == "Seed 15"
    assert plain.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    plain.press("PageDown")
    plain.wait_for_images()
    assert plain.text("#picked-title") == "Seed 31"
    assert_same(plain.grid(), python_images(tflite, range(16, 32)))


def test_the_keyboard_alone_works_the_controls(classes, conditional_tflite):
    classes.ask(call="focus", args=["#truncation"])
    classes.press("ArrowLeft", "ArrowLeft")
    classes.press("Tab", "ArrowRight", "ArrowRight")  # from each image another class to the second class
    classes.wait_for_images()
    assert_same(classes.grid(), python_images(conditional_tflite, range(16), truncation=0.9, label=1))
    classes.ask(call="focus", args=["#play"])
    classes.press("Space")
    assert classes.text("#play") == "Pause"


def test_every_control_has_a_name(classes):
    nameless = classes.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, [role=gridcell]")].filter((element) => {
          if (element.ariaHidden) return false;
          const labelled = element.getAttribute("aria-labelledby");
          const name = element.getAttribute("aria-label") ?? document.getElementById(labelled)?.innerText
            ?? element.labels?.[0]?.innerText ?? element.firstElementChild?.getAttribute("aria-label")
            ?? element.innerText;
          return !name?.trim();
        }).map((element) => element.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("page", ["plain", "many"])
def test_nothing_overflows_on_a_phone(browser, site, page):
    link = f"{site.url}/{page}/#seed=-9223372036854775808&from=-9223372036854775808&d1=-4"
    browser.open(link, viewport={"width": 360, "height": 740}, isMobile=True, hasTouch=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    assert browser.evaluate("document.documentElement.clientWidth") == 360
    beyond = (
        "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > 361).map((e) => e.id)"
    )
    assert browser.evaluate(beyond) == []
    small = """[...document.querySelectorAll("button, select, [type=text], [type=search], #class-buttons label")]
      .map((e) => e.getBoundingClientRect()).filter((box) => box.width && box.height < 44).length"""
    assert browser.evaluate(small) == 0


def test_on_a_phone_the_picked_image_is_in_view_at_every_slider(browser, site):
    browser.open(f"{site.url}/plain/", viewport={"width": 320, "height": 640}, isMobile=True, hasTouch=True)
    for slider in ("truncation", "d1", "d3", "position"):
        browser.evaluate(f"document.getElementById('{slider}').scrollIntoView({{block: 'center'}})")
        top, bottom, preview_top, preview_bottom = browser.evaluate(
            f"""["{slider}", "picked-canvas"].map((id) => document.getElementById(id).getBoundingClientRect())
              .flatMap((box) => [box.top, box.bottom])"""
        )
        assert 0 <= preview_top < preview_bottom <= 640
        assert preview_bottom <= top or bottom <= preview_top


def test_on_a_phone_the_words_of_the_preview_stay_on_one_line(browser, site):
    for page in ("plain/#seed=-9223372036854775808", "many/#seed=999"):
        browser.open(f"{site.url}/{page}", viewport={"width": 320, "height": 640}, isMobile=True, hasTouch=True)
        shown = "'#picked h3, #picked .buttons:not([hidden]) button'"
        heights = f"[...document.querySelectorAll({shown})].map((e) => e.offsetHeight)"
        assert browser.evaluate(heights) == [24, 44, 44, 44, 44]
        beyond = "[...document.querySelectorAll('#picked button')].some((e) => e.scrollWidth > e.clientWidth)"
        assert not browser.evaluate(beyond)


@pytest.mark.parametrize("page", ["plain", "classes"])
def test_few_directions_leave_no_column_half_empty(browser, site, page):
    browser.open(f"{site.url}/{page}/")
    last = "directions" if page == "plain" else "picked"
    left, right, morph, main = browser.evaluate(
        f"""["samples", "{last}", "morph", "main"].map((id) =>
          document.getElementById(id).getBoundingClientRect().toJSON())"""
    )
    assert abs(left["bottom"] - right["bottom"]) < 1
    assert (morph["left"], morph["right"]) == (main["left"], main["right"])


def test_many_classes_are_searched(browser, site):
    browser.open(f"{site.url}/many/#class=500")
    shown = (
        "[...document.querySelectorAll('#class-buttons label')].filter((e) => e.offsetHeight).map((e) => e.innerText)"
    )
    box, chip = browser.evaluate(
        """[document.getElementById("class-buttons"), document.querySelector("#class-buttons label:has(:checked)")]
          .map((e) => e.getBoundingClientRect().toJSON())"""
    )
    assert box["top"] <= chip["top"] < chip["bottom"] <= box["bottom"]  # the class of the link is in view
    assert len(browser.evaluate(shown)) == 1001
    browser.ask(call="fill", args=["#class-search", "BIRD 77"])
    chosen = "bird 500"  # stays, since by keyboard the others are reached from there
    assert browser.evaluate(shown) == ["Each", "bird 77", chosen, *(f"bird 77{i}" for i in range(10))]
    assert browser.text("#status") == "11 of 1000 classes"
    browser.ask(call="focus", args=["#class-search"])
    browser.press("Tab", "ArrowRight")  # from the class that is chosen to the next one that is shown
    assert browser.text("#picked-title") == "Seed 0, class bird 770"
    browser.ask(call="focus", args=["#class-search"])
    browser.press("Enter")
    assert browser.text("#picked-title") == "Seed 0, class bird 77"
    browser.enter("#class-search", "cat")
    assert browser.evaluate(shown) == ["Each", "bird 77"]
    assert browser.text("#class-none") == "No class has that in its name."
    assert browser.text("#picked-title") == "Seed 0, class bird 77"
    browser.ask(call="fill", args=["#class-search", ""])
    assert len(browser.evaluate(shown)) == 1001


def test_the_card_says_kind_size_and_licence_of_the_file(browser, site, plain, tflite):
    kilobytes = round(tflite.stat().st_size / 1000)
    file = f"tiny-10-dynamic.tflite · 8-bit weights · {kilobytes} kB"
    assert plain.text("#file") == f"{file} · licence of the data: CC0-1.0"
    browser.open(f"{site.url}/classes/")
    assert "licence" not in browser.text("#file")  # it was not stated


def test_what_was_done_is_said_in_view_of_what_was_clicked(plain):
    plain.click("#morph-to")
    plain.wait("#status.seen")
    assert plain.text("#status") == "The morph ends with seed 0"
    box = plain.evaluate("document.getElementById('status').getBoundingClientRect().toJSON()")
    assert 0 < box["top"] < box["bottom"] <= 900


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_enough_in_both_schemes(scheme):
    blocks = re.findall(r":root \{(.*?)\}", (ROOT / "client/web/src/page.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[scheme]))

    def contrast(one, other):
        lower, higher = sorted([luminance(colours[one]), luminance(colours[other])])
        return (higher + 0.05) / (lower + 0.05)

    for text, grounds in {
        "text": ["ground", "card", "problem-ground"],
        "quiet": ["ground", "card"],
        "accent": ["card"],
        "on-accent": ["accent"],
        "problem": ["card"],
    }.items():
        assert min(contrast(text, ground) for ground in grounds) >= 4.5
    assert contrast("control", "card") >= 3


def test_the_dark_scheme_is_followed_and_timings_are_shown(plain):
    grounds = []
    for scheme in ("light", "dark"):
        plain.ask(call="emulateMedia", args=[{"colorScheme": scheme}])
        grounds.append(plain.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 246, 244)", "rgb(18, 20, 24)"]
    assert re.fullmatch(r"\d+\.\d ms", plain.text("#milliseconds"))
    assert re.fullmatch(r"\d+\.\d\d s", plain.text("#load-time"))


def test_what_changes_is_announced_to_screen_readers(plain):
    assert plain.text("#status") == "Ready"
    plain.click("#next")
    plain.wait_for_images()
    assert plain.text("#status") == "Seeds 16 to 31"
    assert plain.evaluate("document.getElementById('status').getAttribute('aria-live')") == "polite"
