"""A built site, a server for it, and a headless Chromium that reaches nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import tinted
from web_page import CLASSES, Z, chromium, installed, served, write_version


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    """A copy of client/web with what package-lock.json names; `web(MODEL, OUT, …)` runs its build.sh."""
    return installed(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def directions():
    """Three directions at right angles, of unit length."""
    return np.linalg.qr(np.random.default_rng(3).normal(size=(Z, Z)))[0].T[:3].astype(np.float32)


@pytest.fixture(scope="session")
def tinted_tflite(tmp_path_factory):
    """A file that makes pictures of pictures."""
    return tinted.write(tmp_path_factory.mktemp("tinted"))


@pytest.fixture(scope="session")
def site(web, tmp_path_factory, tflite, conditional_tflite, other_tflite, painter_tflite, tinted_tflite, directions):
    """Built pages in a folder that a plain static server serves, at `site.url`: plain/, classes/, many/ with
    1,000 classes, garbage/, other/, which makes no images, painter/, which makes them of latents and an image, and
    tinted/, which makes them of an image and hints.
    """
    models, root = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("site")
    write_version(models / "plain" / "9", b"an older version")
    licence = {"licence": "CC0-1.0"}
    write_version(models / "plain" / "10", tflite, directions=directions, named={2: "owl"}, data=licence)
    write_version(models / "many" / "1", conditional_tflite, classes=[f"bird {i}" for i in range(1000)])
    write_version(models / "other" / "1", other_tflite)
    write_version(models / "painter" / "1", painter_tflite)
    write_version(models / "tinted" / "1", tinted.described(tinted_tflite), name="tinted", latent_size=0)
    write_version(models / "classes" / "1", conditional_tflite, classes=CLASSES)
    write_version(models / "garbage" / "1", bytes(range(256)) * 40)
    for name in ("plain", "classes", "many", "garbage", "other", "painter", "tinted"):
        done = web(models / name, root / "under" / "a path" / name)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{root / 'under' / 'a path' / name}\n"

    with served(root) as server:
        server.folder, server.models = root / "under" / "a path", models
        server.url = f"{server.origin}/under/a%20path"
        yield server


@pytest.fixture(scope="session")
def browser(web):
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(web, "--disable-gpu", *camera) as page:
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
