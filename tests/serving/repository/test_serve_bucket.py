"""Base paths in a bucket, on servers of Amazon's and Google's APIs: found, fetched whole, checked, loaded, removed."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

import boto3
import grpc
import numpy as np
import pytest
from gcp_storage_emulator.server import create_server
from genserve.errors import ServeError
from genserve.loading.loader import Loader
from genserve.models.model import Model
from genserve.models.states import Retries, State
from genserve.options.flags import Flags
from genserve.repository import cache
from genserve.repository import versions as repository
from genserve.repository.bucket import s3_options
from moto.server import ThreadedMotoServer

BASE = "s3://models/toy"


class Bucket:
    """Writes to a bucket called `models`, as whoever publishes does."""

    def __init__(self, client):
        self.client = client

    def put(self, key, body=b"abc"):
        self.client.put_object(Bucket="models", Key=key, Body=body)

    def upload(self, folder, key, names=None):
        """A folder's files, or those that are named."""
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and (names is None or name in names):
                self.put(f"{key}/{name}", path.read_bytes())

    def delete(self, prefix=""):
        for entry in self.client.list_objects_v2(Bucket="models", Prefix=prefix).get("Contents", []):
            self.client.delete_object(Bucket="models", Key=entry["Key"])


@pytest.fixture(scope="module")
def s3():
    """An S3 server, and the variables by which everybody finds it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield Bucket(client)
    server.stop()


@pytest.fixture
def bucket(s3):
    """The bucket, empty."""
    s3.delete()
    return s3


@pytest.fixture(scope="module")
def versions(save_counter, tmp_path_factory):
    """Folders of versions 1 and 2 of a model that answers its number."""
    root = tmp_path_factory.mktemp("versions")
    return {number: save_counter(root / str(number), number) for number in (1, 2)}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def copies(folder):
    """The copies that a server keeps under its folder for temporary files."""
    return list(folder.glob("genserve-*/version-*"))


def test_server_follows_a_bucket_and_leaves_nothing_on_disk(genserve, bucket, versions, values, until, tmp_path):
    def answer():
        return values(server.predict(x=np.zeros(2, np.float32)))["y"].tolist()

    bucket.upload(versions[1], "toy/1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path))
        server = genserve(f"{BASE}/").ready()
    assert answer() == [1, 1]
    assert len(copies(tmp_path)) == 1
    bucket.upload(versions[2], "toy/2")
    until(lambda: server.states() == {1: State.END, 2: State.AVAILABLE}, 60)
    assert answer() == [2, 2]
    assert len(copies(tmp_path)) == 1
    bucket.delete("toy/2")
    until(lambda: server.states() == {1: State.AVAILABLE, 2: State.END}, 60)
    assert answer() == [1, 1]
    bucket.delete()
    until(lambda: f"could not read base path {BASE} for toy: No such file or directory" in server.log.read_text(), 60)
    assert answer() == [1, 1]
    assert server.stop(signal.SIGTERM) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def model():
    """A model of this process, with the real loader, for a base path."""
    loader = Loader(Flags(model_base_path="unused"))
    opened = []

    def make(base_path=BASE):
        opened.append(Model("toy", repository.place(base_path), loader, Retries(count=3, seconds=60)))
        return opened[-1]

    yield make
    for one in opened:
        one.retire()
        one.poll()
    loader.close()


def test_half_uploaded_version_displaces_nothing_and_serves_once_it_is_whole(bucket, versions, model):
    bucket.upload(versions[1], "toy/1")
    bucket.upload(versions[2], "toy/2", ["saved_model.pb"])
    toy = model()
    toy.poll()
    assert toy.statuses()[2].state == State.LOADING
    assert "variables" in toy.statuses()[2].error.message
    bucket.delete("toy/2")
    toy.poll()
    assert toy.available() == [1]
    bucket.upload(versions[2], "toy/2", ["saved_model.pb"])
    toy.poll()
    assert toy.available() == [1]
    bucket.upload(versions[2], "toy/2")
    for _ in range(3):  # changed, then still for a look
        toy.poll()
    assert toy.available() == [2]


@pytest.mark.parametrize(
    ("digest", "message"),
    [
        (None, "variables/more is in manifest.json, but not there (yet)"),
        ("0" * 64, "variables/more is not the file of which manifest.json has the SHA-256"),
    ],
)
def test_version_of_genexport_is_compared_with_its_manifest(bucket, tmp_path, monkeypatch, digest, message):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    bucket.put("toy/1/saved_model.pb")
    if digest:
        bucket.put("toy/1/variables/more")
    bucket.put("toy/1/manifest.json", json.dumps({"files": {"variables/more": {"sha256": digest}}}).encode())
    kept = cache.Cache()
    with pytest.raises(ServeError) as failure:
        kept.fetch(repository.place(f"{BASE}/1"))
    assert (failure.value.code, failure.value.message) == (grpc.StatusCode.DATA_LOSS, message)
    assert copies(tmp_path) == []
    kept.close()
    assert list(tmp_path.iterdir()) == []


def test_folders_of_numbers_are_versions_and_an_empty_one_cannot_be_fetched(bucket):
    for key in ("toy/1/saved_model.pb", "toy/00000012/a", "toy/x/1", "toy/13", "toy/3/", "toyota/4/a"):
        bucket.put(key)
    found = repository.versions_in(repository.place(BASE))
    assert {number: path.url for number, path in found.items()} == {
        1: f"{BASE}/1", 3: f"{BASE}/3", 12: f"{BASE}/00000012",
    }  # fmt: skip
    with pytest.raises(ServeError) as failure:
        cache.Cache().fetch(found[3])
    assert (failure.value.code, failure.value.message) == (
        grpc.StatusCode.NOT_FOUND,
        f"there is no file under {BASE}/3",
    )


def test_change_of_a_file_changes_the_fingerprint(bucket):
    version = repository.place(f"{BASE}/1")
    bucket.put("toy/1/a", b"one")
    before = repository.fingerprint(version)
    assert before == repository.fingerprint(version)
    bucket.put("toy/1/a", b"two")
    assert repository.fingerprint(version) != before


def test_name_that_leads_out_of_the_copy_is_refused(bucket):
    bucket.put("toy/1/a/../../../outside")
    with pytest.raises(ServeError, match="is no name of a file in a folder"):
        cache.Cache().fetch(repository.place(f"{BASE}/1"))


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:{port}"}, "Could not connect to the endpoint URL: "),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
        # TensorFlow's own variables, where botocore's are not set.
        ({"AWS_ENDPOINT_URL": None, "S3_ENDPOINT": "127.0.0.1:{port}", "S3_USE_HTTPS": "0"}, "Could not connect to"),
    ],
)
def test_bucket_that_cannot_be_read_is_a_line_in_the_log(
    bucket, model, monkeypatch, tmp_path, caplog, variables, reason
):
    import s3fs

    port = free_port()
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(port=port)) if value else monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no credentials of whoever runs the tests
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    model().poll()
    s3fs.S3FileSystem.clear_instance_cache()
    assert f"could not read base path {BASE} for toy: {reason}" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("environment", "client"),
    [
        ({}, {}),
        ({"AWS_REGION": "eu-west-1", "S3_REGION": "x"}, {"region_name": "eu-west-1"}),
        ({"S3_ENDPOINT": "minio:9000"}, {"endpoint_url": "https://minio:9000"}),
        ({"S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}, {"endpoint_url": "http://minio:9000"}),
        ({"S3_ENDPOINT": "http://minio:9000"}, {"endpoint_url": "http://minio:9000"}),
        ({"S3_ENDPOINT": "minio:9000", "AWS_ENDPOINT_URL": "http://a"}, {}),
        ({"S3_VERIFY_SSL": "0", "S3_CA_FILE": "ca.pem"}, {"verify": False}),
        ({"S3_CA_FILE": "ca.pem"}, {"verify": "ca.pem"}),
    ],
)
def test_variables_of_tensorflow_are_heeded(environment, client):
    assert s3_options(environment)["client_kwargs"] == client


def test_google_s_buckets_are_read_too(versions, model, monkeypatch):
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="models")
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    try:
        for path in sorted(versions[1].rglob("*")):
            if path.is_file():
                name = urllib.parse.quote(f"toy/1/{path.relative_to(versions[1]).as_posix()}", safe="")
                url = f"http://127.0.0.1:{port}/upload/storage/v1/b/models/o?uploadType=media&name={name}"
                headers = {"Content-Type": "application/octet-stream"}
                urllib.request.urlopen(urllib.request.Request(url, path.read_bytes(), headers), timeout=30).close()
        toy = model("gs://models/toy")
        toy.poll()
        assert toy.available() == [1]
        with pytest.raises(OSError, match="No such file or directory"):
            repository.versions_in(repository.place("gs://models/none"))
    finally:
        server.stop()


@pytest.mark.parametrize(("url", "package"), [("s3://models/toy", "s3fs"), ("gs://models/toy", "gcsfs")])
def test_without_its_package_a_bucket_says_what_to_install(url, package):
    without = f"import sys; sys.modules['{package}'] = None; from genserve.cli import main; main()"
    command = [sys.executable, "-c", without, "--model_base_path", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"genserve: {url} needs {package}, which is not installed; in genline's checkout: pip install '.[cloud]'\n",
    )
