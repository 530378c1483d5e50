"""A built site, a server for it, and a headless Chromium that reaches nothing else."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from web_page import CHROMIUM, CLASSES, ROOT, Page, Z, write_version


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


@pytest.fixture(scope="session")
def directions():
    """Three directions at right angles, of unit length."""
    return np.linalg.qr(np.random.default_rng(3).normal(size=(Z, Z)))[0].T[:3].astype(np.float32)


@pytest.fixture(scope="session")
def site(web, tmp_path_factory, tflite, conditional_tflite, other_tflite, painter_tflite, directions):
    """Built pages in a folder that a plain static server serves, at `site.url`: plain/, classes/, many/ with
    1,000 classes, garbage/, other/, which takes no latents, and painter/, which takes an image too.
    """
    models, root = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("site")
    write_version(models / "plain" / "9", b"an older version")
    write_version(models / "plain" / "10", tflite, directions=directions, data={"licence": "CC0-1.0"})
    write_version(models / "many" / "1", conditional_tflite, classes=[f"bird {i}" for i in range(1000)])
    write_version(models / "other" / "1", other_tflite)
    write_version(models / "painter" / "1", painter_tflite)
    write_version(models / "classes" / "1", conditional_tflite, classes=CLASSES)
    write_version(models / "garbage" / "1", bytes(range(256)) * 40)
    for name in ("plain", "classes", "many", "garbage", "other", "painter"):
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


@contextmanager
def chromium(web, *flags):
    process = subprocess.Popen(
        ["node", "test/driver.mjs", CHROMIUM, *flags],
        cwd=web.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Page(process)
    process.stdin.close()
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser(web):
    with chromium(web, "--disable-gpu") as page:
        yield page


@pytest.fixture(scope="module")
def gpu_browser(web):
    """A browser with WebGPU, on a graphics card that SwiftShader emulates."""
    with chromium(web, "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader") as page:
        yield page


@pytest.fixture
def plain(browser, site):
    """The page of the generator without classes, with three directions."""
    browser.open(f"{site.url}/plain/#seed=0")
    return browser


@pytest.fixture
def classes(browser, site):
    browser.open(f"{site.url}/classes/")
    return browser
