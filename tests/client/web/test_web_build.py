"""client/web/build.sh: from a version of the model repository to a folder."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from web_page import NEEDS_BROWSER, ROOT, write_version

pytestmark = NEEDS_BROWSER


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
    inputs = {"serving_default": {"inputs": {"image": {}, "tokens": {}}}}
    painter = write_version(tmp_path / "painter" / "1", tflite, signatures=inputs)
    assert "this model takes image and tokens, expected a detector, or a generator" in fails(painter, out)
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


def test_two_builds_at_once_leave_one_of_them_whole(web, site, tmp_path):
    out = tmp_path / "site" / "out"
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: web(site.models / "plain", out), "ab"))
    assert [(build.returncode, build.stderr) for build in done] == [(0, "")] * 2
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert {"index.html", "genline.js", "model.json", "litert"} <= {path.name for path in out.iterdir()}
