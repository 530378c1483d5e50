"""The generator in a browser: the page is built from a version folder and driven in a headless Chromium.

What it shows is compared with the Python runner on the same file. The browser reaches nothing but the tests' server.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import re
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from genclient.device import DeviceGenerator
from genclient.seeds import latents
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = [tool for tool in ("node", "npm") if not shutil.which(tool)] + ([] if CHROMIUM else ["chromium"])
Z, HEIGHT, WIDTH = 5, 6, 4  # of the TFLite files in conftest.py
CLASSES = ["night", "dusk", "dawn", "day"]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: run tests/install-tools.sh")


class Page:
    """A page in Chromium; see client/web/test/driver.mjs."""

    def __init__(self, process):
        self.process = process

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, url, **options):
        """A fresh page; returns when it shows its images."""
        self.ask(open=url, options={"viewport": {"width": 1100, "height": 900}, **options})
        self.wait("#sheet[aria-busy=false], #error:not([hidden])")
        assert not self.ask(call="isVisible", args=["#error"]), self.text("#error")

    def open_broken(self, url):
        """A fresh page that cannot run; the message that is seen."""
        self.ask(open=url, options={})
        self.ask(call="waitForSelector", args=["#error:not([hidden])"])
        return self.text("#error")

    def wait(self, selector):
        self.ask(call="waitForSelector", args=[selector, {"state": "attached"}])

    def wait_for_images(self):
        self.wait("#sheet[aria-busy=false]")

    def evaluate(self, expression):
        return self.ask(call="evaluate", args=[expression])

    def press(self, *keys):
        for key in keys:
            self.ask(call="keyboard.press", args=[key])

    def click(self, selector):
        self.ask(call="click", args=[selector])

    def enter(self, selector, text):
        """Type into a field as a user does, and Enter."""
        self.ask(call="fill", args=[selector, text])
        self.press("Enter")

    def slide(self, selector, value):
        self.ask(call="fill", args=[selector, str(value)])

    def text(self, selector):
        return self.ask(call="innerText", args=[selector])

    def download(self, selector):
        saved = self.ask(download=selector)
        return saved["name"], Image.open(io.BytesIO(base64.b64decode(saved["content"])))

    def pixels(self, selector):
        """The pixels of one canvas, uint8 (H, W, 3); what it shows is opaque."""
        return self._pixels(f"[document.querySelector({json.dumps(selector)})]")[0]

    def sheet(self):
        """The pixels of the 16 samples, uint8 (16, H, W, 3)."""
        return self._pixels("[...document.querySelectorAll('#sheet canvas')]")

    def _pixels(self, canvases):
        shape, values = self.evaluate(
            f"""(() => {{
              const canvases = {canvases};
              const read = (c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
              return [[canvases[0].height, canvases[0].width], canvases.flatMap((c) => [...read(c)])];
            }})()"""
        )
        rgba = np.array(values, np.uint8).reshape(-1, *shape, 4)
        assert (rgba[..., 3] == 255).all()
        return rgba[..., :3]


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    """A copy of client/web with what package-lock.json names; `web(MODEL, OUT, …)` runs its build.sh."""
    root = tmp_path_factory.mktemp("web")
    copy = root / "client" / "web"
    shutil.copytree(ROOT / "client" / "web", copy, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "LICENSE", root)
    installed = subprocess.run(["npm", "ci"], cwd=copy, capture_output=True, text=True, timeout=300)
    if re.search("ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH", installed.stderr):
        pytest.skip("npm reaches no package registry")
    assert installed.returncode == 0, installed.stderr

    def build(*arguments, **options):
        command = [copy / "build.sh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    build.folder = copy
    return build


def write_version(folder, tflite, *, name="tiny", kind="dynamic", classes=(), directions=None):
    """A version of the model repository as far as the page needs it: contract 2."""
    content = tflite if isinstance(tflite, bytes) else Path(tflite).read_bytes()
    file = folder / "tflite" / f"{name}-{kind}.tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    digest = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {
        "name": name,
        "latent_size": Z,
        "image_shape": [HEIGHT, WIDTH, 3],
        "class_count": len(classes),
        "class_names": list(classes),
        "files": {f"tflite/{file.name}": digest},
    }
    if directions is not None:
        manifest["directions"] = [{"strength": 1.0, "latents": direction.tolist()} for direction in directions]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def directions():
    """Three directions at right angles, of unit length."""
    return np.linalg.qr(np.random.default_rng(3).normal(size=(Z, Z)))[0].T[:3].astype(np.float32)


@pytest.fixture(scope="session")
def site(web, tmp_path_factory, tflite, conditional_tflite, directions):
    """Built pages in a folder that a plain static server serves: plain/, classes/ and garbage/, at `site.url`."""
    models, root = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("site")
    write_version(models / "plain" / "9", b"an older version")
    write_version(models / "plain" / "10", tflite, directions=directions)
    write_version(models / "classes" / "1", conditional_tflite, classes=CLASSES)
    write_version(models / "garbage" / "1", bytes(range(256)) * 40)
    for name in ("plain", "classes", "garbage"):
        done = web(models / name, root / "under" / "a path" / name)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{root / 'under' / 'a path' / name}\n"

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.root, server.folder, server.models = root, root / "under" / "a path", models
    server.origin = f"http://127.0.0.1:{server.server_port}"
    server.url = f"{server.origin}/under/a%20path"
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser(web):
    process = subprocess.Popen(
        ["node", "test/driver.mjs", CHROMIUM],
        cwd=web.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Page(process)
    process.stdin.close()
    process.wait(timeout=30)


@pytest.fixture
def plain(browser, site):
    """The page of the generator without classes, with three directions."""
    browser.open(f"{site.url}/plain/#seed=0")
    return browser


@pytest.fixture
def classes(browser, site):
    browser.open(f"{site.url}/classes/")
    return browser


def python_images(path, seeds, **options):
    """The Python runner's pixels of seeds: uint8 (N, H, W, 3)."""
    batches = DeviceGenerator(str(path)).stream(seeds, **options)
    images = np.concatenate([batch.images for batch in batches])
    return np.broadcast_to(images, (*images.shape[:3], 3))


def python_image(path, z):
    """The pixels of latents (Z,): uint8 (H, W, 3)."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(path)).get_signature_runner("generate")
    return np.rint(np.clip(runner(latents=z[None].astype(np.float32))["images"][0], 0, 1) * 255).astype(np.uint8)


def assert_same(found, expected):
    """Of float32 files: no pixel differs by more than a rounding."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


def assert_differ(found, expected):
    assert np.abs(found.astype(float) - expected).mean() > 2


# The numbers


def test_latents_in_javascript_are_numpys(web):
    seeds = [0, 1, -1, 7, 2**31, 2**32, -(2**32), 2**53 + 1, 2**63 - 1, -(2**63)]
    seeds += np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 200).tolist()
    for size in (1, 5, 128):
        asked = json.dumps({"seeds": [str(seed) for seed in seeds], "size": size})
        done = subprocess.run(
            ["node", "test/latents.mjs"], cwd=web.folder, input=asked, capture_output=True, text=True, check=True
        )
        np.testing.assert_allclose(json.loads(done.stdout), latents(np.array(seeds), size), rtol=0, atol=1e-5)


def test_the_page_shows_the_same_pixels_as_the_python_runner(plain, tflite):
    assert_same(plain.sheet(), python_images(tflite, range(16)))
    assert_same(plain.pixels("#picked-canvas"), python_images(tflite, [0])[0])


def test_a_trained_and_quantised_generator_gives_the_same_pixels_too(web, site, browser, repository):
    done = web(repository / "digits", site.folder / "digits")
    assert done.returncode == 0, done.stderr
    browser.open(f"{site.url}/digits/#seed=41&truncation=0.8")
    file = repository / "digits" / "1" / "tflite" / "digits-dynamic.tflite"
    found, expected = browser.sheet().astype(float), python_images(file, range(41, 57), truncation=0.8)
    assert np.abs(found - expected).mean(axis=(1, 2, 3)).max() < 2


@pytest.mark.parametrize("seed", [-3, 2**40, -(2**63)])
def test_negative_and_large_seeds_give_their_images(plain, tflite, seed):
    plain.enter("#seed", str(seed))
    plain.wait_for_images()
    assert_same(plain.sheet(), python_images(tflite, range(seed, seed + 16)))


def test_the_largest_seed_is_picked_on_the_last_sheet(plain, tflite):
    plain.enter("#seed", str(2**63 - 1))
    plain.wait_for_images()
    assert plain.text("#picked-title") == f"Seed {2**63 - 1}"
    assert_same(plain.pixels("#picked-canvas"), python_images(tflite, [2**63 - 1])[0])
    plain.click("#next")
    plain.wait_for_images()
    assert plain.text("#picked-title") == f"Seed {2**63 - 1}"


@pytest.mark.parametrize("seed", ["", "1.5", "0x10", "one", str(2**63), str(-(2**63) - 1)])
def test_what_is_no_seed_is_said_and_changes_nothing(plain, seed):
    before = plain.sheet()
    plain.enter("#seed", seed)
    assert f"found “{seed}”, expected a whole number" in plain.text("#seed-problem")
    plain.wait_for_images()
    assert (plain.sheet() == before).all()


def test_truncation_scales_the_latents(plain, tflite):
    plain.slide("#truncation", 0.35)
    plain.wait_for_images()
    assert_same(plain.sheet(), python_images(tflite, range(16), truncation=0.35))
    assert_differ(plain.sheet(), python_images(tflite, range(16)))


def test_sliders_move_along_the_directions_and_reset(plain, tflite, directions):
    plain.slide("#d2", 2.5)
    plain.wait_for_images()
    moved = python_image(tflite, latents(np.array([0]), Z)[0] + 2.5 * directions[1])
    assert_same(plain.sheet()[0], moved)
    assert_differ(moved, python_images(tflite, [0])[0])
    plain.click("#reset")
    plain.wait_for_images()
    assert_same(plain.sheet(), python_images(tflite, range(16)))


def test_classes_have_buttons_that_work(classes, conditional_tflite):
    labels = classes.evaluate("[...document.querySelectorAll('#class-buttons label')].map((label) => label.innerText)")
    assert labels == ["Each", *CLASSES]
    each = [python_images(conditional_tflite, [seed], label=seed % 4)[0] for seed in range(16)]
    assert_same(classes.sheet(), np.stack(each))
    classes.click("#class-buttons label:nth-child(4)")
    classes.wait_for_images()
    assert_same(classes.sheet(), python_images(conditional_tflite, range(16), label=2))
    assert classes.text("#picked-title") == "Seed 0, class dawn"


def test_a_generator_without_classes_has_no_class_buttons(plain):
    assert not plain.ask(call="isVisible", args=["#classes"])


def test_random_seeds_differ(plain):
    seeds = set()
    for _ in range(3):
        plain.click("#random")
        seeds.add(plain.ask(call="inputValue", args=["#seed"]))
    assert len(seeds) == 3


# The morph


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


def test_the_morph_goes_in_still_steps_where_less_motion_is_asked_for(plain):
    plain.ask(call="emulateMedia", args=[{"reducedMotion": "reduce"}])
    plain.slide("#speed", 2)
    assert plain.evaluate(POSITIONS.replace("UNTIL", "seen.length > 1")) == [0.125, 0.25]


def test_nothing_moves_until_it_is_played(plain):
    assert plain.text("#play") == "Play"
    assert plain.evaluate("document.getAnimations().length") == 0


def test_the_picked_image_can_be_an_end_of_the_morph(plain, tflite):
    plain.click("#sheet [role=row]:nth-child(2) [role=gridcell]:nth-child(3)")
    plain.click("#morph-to")
    plain.slide("#position", 1)
    plain.wait('#morph-canvas[data-position="1"]')
    assert plain.ask(call="inputValue", args=["#to"]) == "6"
    assert_same(plain.pixels("#morph-canvas"), python_images(tflite, [6])[0])


# Taking away


def test_a_saved_image_has_its_pixels_and_says_its_seed(plain, tflite):
    plain.click("#sheet [role=row]:nth-child(1) [role=gridcell]:nth-child(4)")
    name, picture = plain.download("#save-image")
    assert name == "tiny-seed0003.png"
    assert picture.mode == "RGB"
    assert (np.asarray(picture) == plain.sheet()[3]).all()
    expected = {"seed": "3", "model": "tiny", "version": "10", "truncation": "1"}
    assert {key: str(value) for key, value in picture.text.items()} == expected


def test_a_saved_sheet_is_its_images_side_by_side(classes):
    classes.click("#class-buttons label:nth-child(3)")
    classes.wait_for_images()
    name, picture = classes.download("#save-sheet")
    assert name == "tiny-seeds0-15.png"
    tiles = np.asarray(picture).reshape(4, HEIGHT, 4, WIDTH, 3).swapaxes(1, 2).reshape(16, HEIGHT, WIDTH, 3)
    assert (tiles == classes.sheet()).all()
    assert (picture.text["seeds"], picture.text["label"]) == ("0-15", "1")


def test_the_address_reproduces_what_is_shown(browser, site, classes):
    classes.enter("#seed", "-20")
    classes.slide("#truncation", 0.6)
    classes.click("#class-buttons label:nth-child(5)")
    classes.click("#sheet [role=row]:nth-child(4) [role=gridcell]:nth-child(4)")
    classes.ask(call="waitForURL", args=["**/#*pick=15*"])
    classes.wait_for_images()
    link, shown = classes.evaluate("location.href"), classes.sheet()
    assert link.startswith(f"{site.url}/classes/#seed=-20&truncation=0.6&class=3")
    browser.open(link)
    assert (browser.sheet() == shown).all()
    assert browser.text("#picked-title") == "Seed -5, class day"


def test_a_link_that_cannot_be_meant_is_said_and_shows_the_default(browser, site, tflite):
    browser.open(f"{site.url}/plain/#seed=many&truncation=9&d1=x")
    assert_same(browser.sheet(), python_images(tflite, range(16)))
    for part in ("seed in the link", "truncation in the link", "d1 in the link"):
        assert part in browser.text("#status")


# Everyone


def test_the_keyboard_alone_reaches_everything_in_order(plain):
    reached = []
    for _ in range(25):
        plain.press("Tab")
        reached.append(plain.evaluate("document.activeElement.id || document.activeElement.getAttribute('role')"))
    expected = ["gridcell", "previous", "next", "save-sheet", "seed", "random", "truncation"]
    expected += ["save-image", "copy-link", "morph-from", "morph-to", "reset", "d1", "d2", "d3"]
    expected += ["from", "to", "position", "speed", "play"]
    assert [name for name in reached if name][: len(expected)] == expected


def test_what_has_the_focus_is_outlined(plain):
    for _ in range(20):
        plain.press("Tab")
        style = (
            "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
        )
        assert plain.evaluate(style) == ["solid", "3px"]


def test_arrow_keys_move_on_the_sheet_and_pages_turn_it(plain, tflite):
    plain.press("Tab", "ArrowRight", "ArrowDown")
    assert plain.text("#picked-title") == "Seed 5"
    plain.press("ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft")
    assert plain.text("#picked-title") == "Seed 0"
    plain.press("End")
    assert plain.text("#picked-title") == "Seed 15"
    assert plain.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    plain.press("PageDown")
    plain.wait_for_images()
    assert plain.text("#picked-title") == "Seed 31"
    assert_same(plain.sheet(), python_images(tflite, range(16, 32)))


def test_the_keyboard_alone_works_the_controls(classes, conditional_tflite):
    classes.ask(call="focus", args=["#truncation"])
    classes.press("ArrowLeft", "ArrowLeft")
    classes.press("Tab", "ArrowRight", "ArrowRight")  # from each image another class to the second class
    classes.wait_for_images()
    assert_same(classes.sheet(), python_images(conditional_tflite, range(16), truncation=0.9, label=1))
    classes.ask(call="focus", args=["#play"])
    classes.press("Space")
    assert classes.text("#play") == "Pause"


def test_every_control_has_a_name(classes):
    nameless = classes.evaluate(
        """[...document.querySelectorAll("button, input, canvas, [role=gridcell]")].filter((element) => {
          const labelled = element.getAttribute("aria-labelledby");
          const name = element.getAttribute("aria-label") ?? document.getElementById(labelled)?.innerText
            ?? element.labels?.[0]?.innerText ?? element.firstElementChild?.getAttribute("aria-label")
            ?? element.innerText;
          return !name?.trim();
        }).map((element) => element.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("page", ["plain", "classes"])
def test_nothing_overflows_on_a_phone(browser, site, page):
    link = f"{site.url}/{page}/#seed=-9223372036854775808&from=-9223372036854775808&d1=-4"
    browser.open(link, viewport={"width": 360, "height": 740}, isMobile=True, hasTouch=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    assert browser.evaluate("document.documentElement.clientWidth") == 360
    beyond = (
        "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > 361).map((e) => e.id)"
    )
    assert browser.evaluate(beyond) == []
    small = """[...document.querySelectorAll("button, input[type=text], #class-buttons label")]
      .map((e) => e.getBoundingClientRect()).filter((box) => box.width && box.height < 44).length"""
    assert browser.evaluate(small) == 0


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


def test_the_dark_scheme_is_followed(plain):
    grounds = []
    for scheme in ("light", "dark"):
        plain.ask(call="emulateMedia", args=[{"colorScheme": scheme}])
        grounds.append(plain.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 246, 244)", "rgb(18, 20, 24)"]


def test_what_changes_is_told_to_screen_readers(plain):
    assert plain.text("#status") == "Ready"
    plain.click("#next")
    plain.wait_for_images()
    assert plain.text("#status") == "Seeds 16 to 31"
    assert plain.evaluate("document.getElementById('status').getAttribute('aria-live')") == "polite"


def test_timings_are_shown(plain):
    assert re.fullmatch(r"\d+\.\d ms", plain.text("#milliseconds"))
    assert re.fullmatch(r"\d+\.\d\d s", plain.text("#load-time"))


# The world


def test_no_request_leaves_the_server_it_came_from_and_nothing_complains(browser, site, classes):
    classes.click("#random")
    classes.wait_for_images()
    requests = classes.ask(requests=True)
    assert {"model.json", "litert.wasm.gz", "tiny-1-dynamic.tflite"} <= {url.split("/")[-1] for url in requests}
    # A saved picture's address, of the page itself, is blob:http://127.0.0.1….
    assert [url for url in requests if not url.removeprefix("blob:").startswith(f"{site.origin}/")] == []
    assert classes.ask(complaints=True) == []


def test_the_policy_of_the_page_forbids_other_servers_and_inline_code(site):
    page = (site.folder / "plain" / "index.html").read_text()
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"unsafe-inline|'unsafe-eval'|https?:|\*", policy)


def test_no_file_names_another_server(site):
    for file in (site.folder / "plain").rglob("*"):
        if file.suffix in (".html", ".css", ".json") or file.name in ("page.js", "genline.js"):
            assert not re.search(r"https?://(?!www\.w3\.org/)", file.read_text()), file


def test_a_damaged_file_gives_a_visible_message(browser, site):
    folder = shutil.copytree(site.folder / "plain", site.folder / "damaged")
    content = bytearray((folder / "tiny-10-dynamic.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "tiny-10-dynamic.tflite").write_bytes(content)
    assert "tiny-10-dynamic.tflite is damaged" in browser.open_broken(f"{site.url}/damaged/")
    (folder / "tiny-10-dynamic.tflite").unlink()
    assert "cannot fetch tiny-10-dynamic.tflite: status 404" in browser.open_broken(f"{site.url}/damaged/")


def test_a_file_that_is_no_model_gives_a_visible_message(browser, site):
    message = browser.open_broken(f"{site.url}/garbage/")
    assert "tiny-1-dynamic.tflite is not a generator that this browser can run" in message


def test_the_runtime_for_browsers_without_relaxed_simd_gives_the_same_pixels(browser, site, tflite):
    folder = shutil.copytree(site.folder / "plain", site.folder / "compatible")
    for suffix in (".js", ".wasm.gz"):
        (folder / "litert" / f"litert-compat{suffix}").replace(folder / "litert" / f"litert{suffix}")
    browser.open(f"{site.url}/compatible/")
    assert_same(browser.sheet(), python_images(tflite, range(16)))


def test_a_server_that_marks_gz_files_as_encoded_is_understood(browser, site):
    class Encoding(SimpleHTTPRequestHandler):
        def end_headers(self):
            if self.path.endswith(".gz"):
                self.send_header("Content-Encoding", "gzip")
            super().end_headers()

        def log_message(self, *_):
            pass

    handler = functools.partial(Encoding, directory=site.folder / "plain")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        assert browser.text("#status") == "Ready"
        server.shutdown()


def test_the_page_of_the_documentation_runs(browser, site, tflite):
    example = re.search("```html\n(.*?)```", (ROOT / "docs" / "web.md").read_text(), re.DOTALL)[1]
    folder = site.root / "own"
    shutil.copytree(site.folder / "plain", folder / "digits")
    (folder / "index.html").write_text(example)
    browser.ask(open=f"{site.origin}/own/", options={})
    browser.wait("canvas[title]")
    assert_same(browser.pixels("canvas"), python_images(tflite, [7], truncation=0.7)[0])


# The build


@pytest.fixture
def fails(web):
    """Build, see that it fails in one line and leaves nothing, and return that line."""

    def run(model, out, *options):
        before = sorted(out.parent.rglob("*"))
        done = web(model, out, *options)
        assert done.returncode == (2 if options else 1)
        assert not done.stdout
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert sorted(out.parent.rglob("*")) == before
        return done.stderr

    return run


def test_a_model_that_cannot_be_built_is_one_line(fails, tmp_path, tflite):
    out = tmp_path / "out"
    assert "none: no such folder" in fails(tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    assert "empty: no version in it" in fails(tmp_path / "empty", out)
    version = write_version(tmp_path / "model" / "1", tflite, kind="float32")
    assert "tiny-dynamic.tflite: no such file" in fails(version, out)
    assert "--file: found int4, expected dynamic" in fails(version, out, "--file", "int4")
    (version / "manifest.json").write_text("{")
    assert "manifest.json: it is not JSON" in fails(version, out)


def test_a_damaged_version_is_not_built(fails, tmp_path, tflite):
    version = write_version(tmp_path / "model" / "1", tflite)
    file = version / "tflite" / "tiny-dynamic.tflite"
    file.write_bytes(file.read_bytes()[:-1])
    assert "tiny-dynamic.tflite: damaged" in fails(version, tmp_path / "out")


def test_a_folder_with_other_things_in_it_is_not_replaced(fails, site, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert "found other files in it" in fails(site.models / "plain", tmp_path / "out")


def test_a_build_replaces_an_older_one_and_takes_other_files_by_kind(web, site, tmp_path, tflite):
    version = write_version(tmp_path / "model" / "2", tflite, kind="float32")
    out = tmp_path / "out"
    assert web(site.models / "plain", out).returncode == 0
    assert web(version, out, "--file", "float32").returncode == 0
    assert [file.name for file in out.glob("*.tflite")] == ["tiny-2-float32.tflite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


def test_without_node_the_build_says_so_in_one_line(web, tmp_path):
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = web("models/digits", "out", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.startswith("client/web: node not found, expected node 20 or newer")
    assert len(done.stderr.splitlines()) == 1


def test_the_lock_file_names_no_package_registry():
    assert not re.search(r"https?://|resolved", (ROOT / "client/web/package-lock.json").read_text())
