"""What the tests of the page in a browser share: the page as they drive it, the versions it is built from, and the
Python runner's pixels, which its own are compared with.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
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

    def sheet(self):
        """The pixels of the samples, uint8 (N, H, W, 3)."""
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


def write_version(folder, tflite, *, name="tiny", kind="dynamic", classes=(), directions=None, **more):
    """A version of the model repository as far as the page needs it: contract 2; `more` is for its manifest."""
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
