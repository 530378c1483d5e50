"""The page in a browser shows what the Python runner gives for the same file: seeds, sliders, classes, the morph."""

from __future__ import annotations

import json
import subprocess

import numpy as np
from genclient.latents import latents
from genexport.tflite import metadata
from web_page import CLASSES, NEEDS_BROWSER, Z, assert_differ, assert_same, python_image, python_images, write_version

pytestmark = NEEDS_BROWSER


def test_latents_in_javascript_are_numpys(web):
    seeds = [0, 1, -1, 7, 2**31, 2**32, -(2**32), 2**53 + 1, 2**63 - 1, -(2**63)]
    seeds += np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 200).tolist()
    for size in (1, 5, 128):
        given = json.dumps({"seeds": [str(seed) for seed in seeds], "size": size})
        done = subprocess.run(
            ["node", "test/latents.mjs"], cwd=web.folder, input=given, capture_output=True, text=True, check=True
        )
        np.testing.assert_allclose(json.loads(done.stdout), latents(np.array(seeds), size), rtol=0, atol=1e-5)


def test_the_page_shows_the_same_pixels_as_the_python_runner_and_nothing_moves(plain, tflite):
    assert_same(plain.grid(), python_images(tflite, range(16)))
    assert_same(plain.pixels("#picked-canvas"), python_images(tflite, [0])[0])
    assert plain.text("#play") == "Play"
    assert plain.evaluate("document.getAnimations().length") == 0
    assert not plain.ask(call="isVisible", args=["#classes"]), "it has none"


def test_a_trained_and_quantised_generator_gives_the_same_pixels_too(web, site, browser, repository):
    done = web(repository / "digits", site.folder / "digits")
    assert done.returncode == 0, done.stderr
    browser.open(f"{site.url}/digits/#seed=41&truncation=0.8")
    file = repository / "digits" / "1" / "tflite" / "digits-dynamic.tflite"
    found, expected = browser.grid().astype(float), python_images(file, range(41, 57), truncation=0.8)
    assert np.abs(found - expected).mean(axis=(1, 2, 3)).max() < 2


def test_negative_and_large_seeds_give_their_images(plain, tflite):
    for seed in (-3, 2**40, -(2**63)):
        plain.enter("#seed", str(seed))
        plain.wait_for_images()
        assert_same(plain.grid(), python_images(tflite, range(seed, seed + 16)))


def test_the_largest_seed_is_picked_in_the_last_grid(plain, tflite):
    plain.enter("#seed", str(2**63 - 1))
    plain.wait_for_images()
    assert plain.text("#picked-title") == f"Seed {2**63 - 1}"
    assert_same(plain.pixels("#picked-canvas"), python_images(tflite, [2**63 - 1])[0])
    plain.click("#next")
    plain.wait_for_images()
    assert plain.text("#picked-title") == f"Seed {2**63 - 1}"


def test_what_is_no_seed_is_said_and_changes_nothing(plain):
    before = plain.grid()
    for seed in ("", "1.5", "0x10", "one", str(2**63), str(-(2**63) - 1)):
        plain.enter("#seed", seed)
        assert f"found “{seed}”, expected a whole number" in plain.text("#seed-problem")
        plain.wait_for_images()
        assert (plain.grid() == before).all()


def test_truncation_scales_the_latents(plain, tflite):
    plain.slide("#truncation", 0.35)
    plain.wait_for_images()
    assert_same(plain.grid(), python_images(tflite, range(16), truncation=0.35))
    assert_differ(plain.grid(), python_images(tflite, range(16)))


def test_sliders_move_along_the_directions_and_reset(plain, tflite, directions):
    plain.slide("#d2", 2.5)
    plain.wait_for_images()
    moved = python_image(tflite, latents(np.array([0]), Z)[0] + 2.5 * directions[1])
    assert_same(plain.grid()[0], moved)
    assert_differ(moved, python_images(tflite, [0])[0])
    plain.click("#reset")
    plain.wait_for_images()
    assert_same(plain.grid(), python_images(tflite, range(16)))


def test_a_slider_of_a_class_is_labelled_by_it(plain, tflite, directions):
    labels = "[...document.querySelectorAll('#sliders label')].map((label) => label.textContent)"
    assert plain.evaluate(labels) == ["Direction 1", "Direction 2", "Class owl"]
    assert "leads to a class" in plain.ask(call="innerText", args=["#directions"])
    plain.slide("#d3", 2)
    plain.wait_for_images()
    assert_same(plain.grid()[0], python_image(tflite, latents(np.array([0]), Z)[0] + 2 * directions[2]))


def test_of_many_classes_one_is_chosen_and_what_is_moved_stays(web, site, browser, tflite):
    along = np.eye(Z, dtype=np.float32)[np.arange(15) % Z]
    named = {k: f"owl {k}" for k in range(2, 15)}
    version = write_version(site.models / "owls" / "1", tflite, directions=along, named=named)
    assert web(version, site.folder / "owls").returncode == 0
    browser.open(f"{site.url}/owls/#seed=0&d8=-1")

    def shown():
        sliders = "[...document.querySelectorAll('#sliders input')].filter((one) => one.checkVisibility())"
        return browser.evaluate(f"{sliders}.map((one) => one.id)")

    assert shown() == ["d1", "d2", "d3", "d8"], "the first class is chosen, and the link moves another"
    options = "[...document.querySelectorAll('#direction-class option')].map((option) => option.textContent)"
    assert browser.evaluate(options) == list(named.values())
    browser.ask(call="selectOption", args=["#direction-class", "owl 13"])
    assert shown() == ["d1", "d2", "d8", "d14"]
    browser.wait("#d14-most[data-made]")
    made = browser.evaluate("document.querySelectorAll('[data-made]').length")
    assert made <= 2 * 5, "of those hidden there are none"
    browser.slide("#d14", 2)
    browser.wait_for_images()
    assert_same(browser.grid()[0], python_image(tflite, latents(np.array([0]), Z)[0] - along[7] + 2 * along[13]))
    browser.click("#reset")
    assert shown() == ["d1", "d2", "d14"]


def test_the_ends_of_the_sliders_show_what_the_picked_image_becomes_there(plain, tflite, directions):
    plain.slide("#d1", 1)
    plain.click("#grid [role=row]:nth-child(1) [role=gridcell]:nth-child(3)")
    z = latents(np.array([2]), Z)[0]
    ends = {"d1-most": z + 4 * directions[0], "d2-least": z + directions[0] - 4 * directions[1]}
    for end, moved in ends.items():
        others = "0,0,0" if end.startswith("d1") else "1,0,0"
        plain.wait(f'#{end}[data-made="2,1,-1,{others}"]')
        assert_same(plain.pixels(f"#{end}"), python_image(tflite, moved))
    plain.click("#d2-least")
    assert plain.ask(call="inputValue", args=["#d2"]) == "-4"


def test_a_grid_has_as_many_images_as_are_chosen(plain, tflite):
    for count in (4, 36, 64):
        plain.enter("#seed", "0")
        plain.choose("#count", count)
        plain.wait_for_images()
        assert_same(plain.grid(), python_images(tflite, range(count)))
        plain.ask(call="focus", args=["#count"])
        plain.press("Tab", "End")
        assert plain.text("#picked-title") == f"Seed {count - 1}"
        plain.press("ArrowUp")
        assert plain.text("#picked-title") == f"Seed {count - 1 - count**0.5:g}"
        plain.click("#next")
        plain.wait_for_images()
        assert plain.text("#range") == f"Seeds {count} to {2 * count - 1}"


def test_a_larger_grid_keeps_what_is_picked(plain, tflite):
    plain.enter("#seed", str(2**63 - 3))
    plain.choose("#count", 64)
    plain.wait_for_images()
    assert plain.text("#range") == f"Seeds {2**63 - 64} to {2**63 - 1}"
    assert plain.text("#picked-title") == f"Seed {2**63 - 3}"
    plain.choose("#count", 4)
    plain.wait_for_images()
    assert plain.text("#picked-title") == f"Seed {2**63 - 61}"  # it has gone: the last that is left
    assert_same(plain.grid(), python_images(tflite, range(2**63 - 64, 2**63 - 60)))


def test_truncation_goes_as_far_as_the_integers_of_the_file(web, site, browser, tmp_path, quantised_tflite):
    described = {"latents": {"truncation_at_most": 0.8}}
    version = write_version(tmp_path / "1", metadata.add(quantised_tflite.read_bytes(), described), kind="int8")
    done = web(version, site.folder / "integers", "--file", "int8")
    assert done.returncode == 0, done.stderr
    browser.open(f"{site.url}/integers/#truncation=1")
    assert browser.text("#status") == "truncation in the link: found “1”, expected 0 to 0.8"
    assert_same(browser.grid(), python_images(quantised_tflite, range(16), truncation=0.8))
    browser.ask(call="focus", args=["#truncation"])
    browser.press("End")
    assert browser.text("#truncation-value") == "0.80"


def test_classes_have_buttons_that_work(classes, conditional_tflite):
    labels = classes.evaluate("[...document.querySelectorAll('#class-buttons label')].map((label) => label.innerText)")
    assert labels == ["Each", *CLASSES]
    assert not classes.ask(call="isVisible", args=["#class-search"]), "they are few"
    each = [python_images(conditional_tflite, [seed], label=seed % 4)[0] for seed in range(16)]
    assert_same(classes.grid(), np.stack(each))
    classes.click("#class-buttons label:nth-child(4)")
    classes.wait_for_images()
    assert_same(classes.grid(), python_images(conditional_tflite, range(16), label=2))
    assert classes.text("#picked-title") == "Seed 0, class dawn"


def test_a_seed_has_its_class_wherever_it_stands(browser, site, classes, conditional_tflite):
    for link, seed in [("seed=0&pick=6", 6), ("seed=6", 6), ("seed=-3&pick=1", -2)]:
        browser.open(f"{site.url}/classes/#{link}")
        assert browser.text("#picked-title") == f"Seed {seed}, class dawn"
        assert_same(browser.pixels("#picked-canvas"), python_images(conditional_tflite, [seed], label=2)[0])
    for position, seed in [(0, 6), (1, 7)]:
        browser.enter("#from", "6")
        browser.enter("#to", "7")
        browser.slide("#position", position)
        browser.wait(f'#morph-canvas[data-position="{position}"]')
        assert_same(browser.pixels("#morph-canvas"), python_images(conditional_tflite, [seed], label=seed % 4)[0])


def test_random_seeds_differ(plain):
    seeds = set()
    for _ in range(3):
        plain.click("#random")
        seeds.add(plain.ask(call="inputValue", args=["#seed"]))
    assert len(seeds) == 3


def test_the_morph_goes_along_the_sphere_between_two_seeds(plain, tflite):
    plain.enter("#from", "3")
    plain.enter("#to", "-8")
    first, last = latents(np.array([3, -8]), Z).astype(float)
    angle = np.arccos(first @ last / np.linalg.norm(first) / np.linalg.norm(last))
    for position in (0, 0.3, 1):
        plain.slide("#position", position)
        plain.wait(f'#morph-canvas[data-position="{position}"]')
        z = (np.sin((1 - position) * angle) * first + np.sin(position * angle) * last) / np.sin(angle)
        assert_same(plain.pixels("#morph-canvas"), python_image(tflite, z))


POSITIONS = """new Promise((done) => {
  const seen = [];
  new MutationObserver(() => {
    seen.push(Number(document.getElementById("morph-canvas").dataset.position));
    if (UNTIL) done(seen);
  }).observe(document.getElementById("morph-canvas"), { attributeFilter: ["data-position"] });
  document.getElementById("play").click();
})"""


def test_the_morph_plays_there_and_back_and_pauses(plain):
    plain.slide("#speed", 2)
    assert plain.text("#speed-value") == "4×"
    seen = plain.evaluate(
        POSITIONS.replace("UNTIL", "seen.includes(Math.max(...seen)) && Math.max(...seen) > seen.at(-1)")
    )
    assert max(seen) > 0.5
    assert plain.text("#play") == "Pause"
    plain.click("#play")
    assert plain.text("#play") == "Play"


def test_the_morph_goes_in_still_steps_where_less_motion_is_preferred(plain):
    plain.ask(call="emulateMedia", args=[{"reducedMotion": "reduce"}])
    plain.slide("#speed", 2)
    assert plain.evaluate(POSITIONS.replace("UNTIL", "seen.length > 1")) == [0.125, 0.25]


def test_the_picked_image_can_be_an_end_of_the_morph(plain, tflite):
    plain.click("#grid [role=row]:nth-child(2) [role=gridcell]:nth-child(3)")
    plain.click("#morph-to")
    plain.slide("#position", 1)
    plain.wait('#morph-canvas[data-position="1"]')
    assert plain.ask(call="inputValue", args=["#to"]) == "6"
    assert_same(plain.pixels("#morph-canvas"), python_images(tflite, [6])[0])
