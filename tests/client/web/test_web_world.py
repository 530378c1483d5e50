"""The page and the world: no other server, damaged files, other browsers and servers, a page of one's own."""

from __future__ import annotations

import functools
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from web_page import NEEDS_BROWSER, ROOT, assert_same, python_images

pytestmark = NEEDS_BROWSER


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


def test_a_file_that_takes_something_else_gives_a_visible_message(browser, site):
    message = browser.open_broken(f"{site.url}/other/")
    assert "is not a generator of images or clips: it does x float32 (1, 3) → y float32 (1, 3)" in message
    assert "this page shows latents float32 (1, Z)" in message
    assert not browser.ask(call="isVisible", args=["#main"])


def test_by_webgpu_the_page_shows_the_same_images(gpu_browser, site, tflite):
    gpu_browser.open(f"{site.url}/plain/?accelerator=webgpu#seed=5")
    assert gpu_browser.text("#accelerator") == "an image, by WebGPU"
    assert_same(gpu_browser.grid(), python_images(tflite, range(5, 21)))


LOST = """
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await request.call(this, descriptor);
    let jobs = 0;
    self.addEventListener("message", ({ data }) => data.job && (jobs += 1) === 5 && device.destroy());
    return device;
  };"""
BLACK = """
  const map = GPUBuffer.prototype.getMappedRange;
  GPUBuffer.prototype.getMappedRange = function (...range) {
    const mapped = map.apply(this, range);
    if (this.usage & GPUBufferUsage.MAP_READ) new Float32Array(mapped).fill(0);
    return mapped;
  };"""


WOKEN = """
  GPU.prototype.requestAdapter = () => setTimeout(() => { throw new Error("the card was woken"); });"""


@pytest.fixture
def patched(site, tmp_path):
    """The page plain/ with a script before its worker's own; gives its address."""

    def patch(script):
        folder = shutil.copytree(site.folder / "plain", site.folder / tmp_path.name)
        worker = folder / "genline-worker.js"
        worker.write_text(script + worker.read_text())
        return f"{site.url}/{tmp_path.name}/"

    return patch


@pytest.mark.parametrize("fault", [LOST, BLACK], ids=["lost on the way", "of other images"])
def test_a_card_that_fails_leaves_the_processor_to_it(gpu_browser, patched, tflite, fault):
    gpu_browser.open(f"{patched(fault)}?accelerator=webgpu")
    assert gpu_browser.text("#accelerator") == "an image"
    assert_same(gpu_browser.grid(), python_images(tflite, range(16)))


def test_where_the_processor_is_quick_the_card_is_left_asleep(gpu_browser, patched):
    address = patched(WOKEN)
    assert "the card was woken" in gpu_browser.open_broken(f"{address}?accelerator=webgpu")
    gpu_browser.open(address)
    assert gpu_browser.text("#accelerator") == "an image"


def test_without_webgpu_the_processor_does_it(browser, site, tflite):
    browser.open(f"{site.url}/plain/?accelerator=webgpu")
    assert browser.text("#accelerator") == "an image"
    assert_same(browser.grid(), python_images(tflite, range(16)))
    assert "accelerator: found “npu”, expected auto, wasm, webgpu" in browser.open_broken(
        f"{site.url}/plain/?accelerator=npu"
    )


def test_the_runtime_for_browsers_without_relaxed_simd_gives_the_same_pixels(browser, site, tflite):
    folder = shutil.copytree(site.folder / "plain", site.folder / "compatible")
    for suffix in (".js", ".wasm.gz"):
        (folder / "litert" / f"litert-compat{suffix}").replace(folder / "litert" / f"litert{suffix}")
    browser.open(f"{site.url}/compatible/")
    assert_same(browser.grid(), python_images(tflite, range(16)))


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
