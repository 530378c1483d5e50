"""What the tests of the page in a browser share: the page as they drive it, the versions it is built from, and the
Python runner's pixels, which its own are compared with.
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
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from genclient.device import DeviceGenerator
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = [tool for tool in ("node", "npm") if not shutil.which(tool)] + ([] if CHROMIUM else ["chromium"])
NEEDS_BROWSER = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: run tests/install-tools.sh")
Z, HEIGHT, WIDTH = 5, 6, 4  # of the TFLite files in tests/client/conftest.py
CLASSES = ["night", "dusk", "dawn", "day"]


def installed(root):
    """A copy of client/web in a folder, with what package-lock.json names; gives a function that runs its build.sh."""
    copy = root / "client" / "web"
    shutil.copytree(ROOT / "client" / "web", copy, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "LICENSE", root)
    done = subprocess.run(["npm", "ci"], cwd=copy, capture_output=True, text=True, timeout=300)
    if re.search("ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH", done.stderr):
        pytest.skip("npm reaches no package registry")
    assert done.returncode == 0, done.stderr

    def build(*arguments, **options):
        command = [copy / "build.sh", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    build.folder = copy
    return build


@contextmanager
def served(root):
    """A plain static server of a folder, with its `root` and `origin`."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.root, server.origin = root, f"http://127.0.0.1:{server.server_port}"
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium(web, *flags):
    """A browser with these flags of Chromium, and a page in it."""
    command = ["node", "test/driver.mjs", CHROMIUM, *flags]
    process = subprocess.Popen(command, cwd=web.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Page(process)
    process.stdin.close()
    process.wait(timeout=30)


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
        self.wait("#grid[aria-busy=false], #made[aria-busy=false], #judge:not([hidden]), #error:not([hidden])")
        assert not self.ask(call="isVisible", args=["#error"]), self.text("#error")

    def open_broken(self, url):
        """A fresh page that cannot run; the message that is seen."""
        self.ask(open=url, options={})
        self.ask(call="waitForSelector", args=["#error:not([hidden])"])
        return self.text("#error")

    def wait(self, selector):
        self.ask(call="waitForSelector", args=[selector, {"state": "attached"}])

    def wait_for_images(self):
        self.wait("#grid[aria-busy=false]")

    def wait_until(self, expression):
        """Until JavaScript holds. Asked from outside again and again: what asks inside the page needs `unsafe-eval`."""
        for _ in range(300):
            if self.evaluate(expression):
                return
            self.ask(call="waitForTimeout", args=[100])
        raise AssertionError(f"not within 30 seconds: {expression}")

    def wait_for_address(self, part):
        self.wait_until(f"location.hash.includes({json.dumps(part)})")

    def wait_for_translation(self):
        self.wait("#made[aria-busy=false]")

    def stroke(self, *points):
        """Press at the first of some points of the canvas that is drawn on, shares of its sides, and move on."""
        box = self.evaluate("document.getElementById('dots').getBoundingClientRect().toJSON()")
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.ask(call="mouse.move", args=places[0])
        self.ask(call="mouse.down", args=[])
        for place in places[1:]:
            self.ask(call="mouse.move", args=place)
        self.ask(call="mouse.up", args=[])
        self.wait_for_translation()

    def choose_file(self, path):
        """Choose a picture as with the browser's dialog."""
        self.ask(call="setInputFiles", args=["#file-choice", str(path)])

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

    def choose(self, selector, value):
        self.ask(call="selectOption", args=[selector, str(value)])

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

    def pixels_file(self, selector):
        """The same as a list of one PNG file, as the Python runner takes pictures of any size."""
        address = self.evaluate(f"document.querySelector({json.dumps(selector)}).toDataURL()")
        return [base64.b64decode(address.partition(",")[2])]

    def grid(self):
        """The pixels of the samples, uint8 (N, H, W, 3)."""
        return self._pixels("[...document.querySelectorAll('#grid canvas')]")

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


def write_version(folder, tflite, *, name="tiny", kind="dynamic", classes=(), directions=None, named=None, **more):
    """A version of the model repository as far as the page needs it: contract 2; `more` is for its manifest.

    Of the directions `named` says which leads to what class.
    """
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
        **more,
    }
    if directions is not None:
        manifest["directions"] = [{"strength": 1.0, "latents": direction.tolist()} for direction in directions]
        for number, name in (named or {}).items():
            manifest["directions"][number]["class"] = name
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


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
