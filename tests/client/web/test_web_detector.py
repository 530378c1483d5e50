"""The page of a detector as `genexport publish` and `client/web/build.sh` make it by default."""

from __future__ import annotations

import base64
import json

import detector
import numpy as np
import pytest
from click.testing import CliRunner
from genclient import DeviceGenerator
from genexport.cli import cli
from PIL import Image
from web_page import NEEDS_BROWSER, served

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    run = detector.run(folder / "run")
    done = CliRunner().invoke(cli, ["publish", str(run), "--repository", str(folder / "models"), "--name", "det"])
    assert done.exit_code == 0, done.output
    return folder / "models" / "det" / "1"


@pytest.fixture(scope="module")
def origin(web, version, tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    done = web(version.parent, root / "det")
    assert done.returncode == 0, done.stderr
    with served(root) as server:
        yield f"{server.origin}/det"


def saved(folder, name, colour, ending="png"):
    """Larger than the detector's pictures and wider than high; how red it is changes from left to right."""
    ramp = np.linspace(0.4, 1, 60)[None, :, None] * np.array(colour)
    Image.fromarray(np.broadcast_to(ramp, (40, 60, 3)).astype(np.uint8)).save(folder / f"{name}.{ending}")
    return folder / f"{name}.{ending}"


def shown(page, name):
    page.wait_until(f"document.getElementById('judged-name').textContent === {json.dumps(name)}")
    return float(page.text("#probability").removesuffix("%")) / 100, page.text("#verdict")


def test_a_chosen_picture_has_the_probability_and_the_verdict_of_the_python_runner(browser, origin, version, tmp_path):
    browser.open(origin)
    device = DeviceGenerator(str(version / "tflite" / "det-float32.tflite"))
    for name, colour in (("red", (250, 20, 10)), ("blue", (10, 30, 240)), ("between", (120, 60, 180))):
        picture = saved(tmp_path, name, colour)
        expected = device.detect([picture])
        browser.ask(call="setInputFiles", args=["#judge-file-choice", str(picture)])
        probability, verdict = shown(browser, f"{name}.png")
        assert probability == pytest.approx(1 - float(expected.scores[0]), abs=6e-4)
        assert verdict == ("Generated" if expected.generated[0] else "Real")
    assert "so are 5.0% of real ones (from 3.0% to 8.0%)" in browser.text("#alarms")
    assert browser.text("#accelerator") == "a picture"


def test_a_dropped_jpeg_is_judged_and_what_is_no_picture_leaves_the_last_verdict(browser, origin, tmp_path):
    browser.open(origin)
    content = base64.b64encode(saved(tmp_path, "blue", (10, 30, 240), "jpg").read_bytes()).decode()
    drop = """(() => {
        const given = new DataTransfer();
        const bytes = Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0));
        given.items.add(new File([bytes], "%s"));
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: given, cancelable: true }));
    })()"""
    browser.evaluate(drop % (content, "blue.jpg"))
    assert shown(browser, "blue.jpg")[1] == "Generated"
    browser.evaluate(drop % (base64.b64encode(b"no picture").decode(), "thesis.pdf"))
    browser.wait_until("document.getElementById('status').textContent.startsWith('thesis.pdf cannot be read')")
    assert browser.text("#verdict") == "Generated"
    assert browser.ask(complaints=True) == []


def test_a_page_of_ones_own_gets_scores_and_a_generator_has_none(browser, origin, site):
    ask = "import('./genline.js').then(({ Generator }) => Generator.load('./')).then((g) => g.%s)"
    browser.open(origin)
    answer = browser.evaluate(ask % "detect(new ImageData(20, 20))")
    assert 0 < answer["score"] < 1
    assert answer["generated"] == (answer["score"] < detector.THRESHOLD)
    refused = browser.evaluate(f"{ask % 'image(0)'}.catch(String)")
    assert "this is a detector: it makes no images" in refused
    browser.open(f"{site.url}/plain/#seed=0")
    assert "it has no scores" in browser.evaluate(f"{ask % 'detect(new ImageData(20, 20))'}.catch(String)")
