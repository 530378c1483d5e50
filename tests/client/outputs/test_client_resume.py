"""A run that ends early and one that goes on leave what one undisturbed run leaves, and nothing is fetched twice."""

import inspect
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

SHARDS = ("--shard-size", 8, "--batch-size", 4, "--concurrency", 1)


def contents(folder):
    """Every file of a folder, temporary ones included, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def requested(served):
    """How many images were requested."""
    requests = served.prediction.requests
    return sum(next(iter(r.inputs.values())).tensor_shape.dim[0].size for r in requests)


def stop_after(served, images):
    """Have a server answer for so many images and then hold all further requests; gives the event that it does."""
    held = threading.Event()

    def answer(request, context):
        if requested(served) <= images:
            return served.prediction.generate(request, context)
        held.set()
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(60)
        return None

    served.prediction.answer = answer
    return held


def until(condition):
    """Wait for a condition, a minute at the most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"for a minute this was not so: {inspect.getsource(condition).strip()}"
        threading.Event().wait(0.01)


@pytest.fixture
def started(tmp_path):
    """Start the real command and leave it running; what still runs at the end is stopped."""
    processes = []

    def start(*arguments):
        command = [sys.executable, "-c", "from genclient.cli import main; main()", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, cwd=tmp_path, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("out", "more"),
    [
        ("s/%06d.tar", SHARDS),
        ("s/x-%02d-of-%02d.tfrecord", SHARDS),
        ("s/", SHARDS[2:]),
        ("s/i%04d.png", SHARDS[2:]),
    ],
)
def test_a_kill_and_another_run_give_the_set_of_an_undisturbed_run(genclient, started, serve, tmp_path, out, more):
    whole = serve()
    options = ("sample", "--n", 44, *more)
    assert genclient(*options, "--target", whole.target, "--out", f"whole/{out}").returncode == 0
    served = serve()
    held = stop_after(served, 28)
    process = started(*options, "--target", served.target, "--out", f"killed/{out}")
    assert held.wait(60)
    until(lambda: len(contents(tmp_path / "killed")) >= 4 if (tmp_path / "killed").exists() else False)
    process.kill()
    process.wait()
    before = len(served.prediction.requests)
    assert before < len(whole.prediction.requests)
    served.prediction.answer = None
    done = genclient(*options, "--target", served.target, "--out", f"killed/{out}")
    assert done.returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert b"of 44 images are in killed/" in done.stderr
    assert json.loads(next((tmp_path / "killed/s").glob("*.json")).read_text())["complete"] is True


@pytest.mark.parametrize(("size", "rows"), [(100, {50}), (40, {40}), (97, {64, 2})])
def test_requests_end_where_shards_do(genclient, serve, tmp_path, size, rows):
    served = serve()
    options = ("--n", 2 * size, "--shard-size", size, "--out", "s/%d.tar")
    assert genclient("sample", "--target", served.target, *options).returncode == 0
    sizes = {request.inputs["latents"].tensor_shape.dim[0].size for request in served.prediction.requests}
    assert sizes == rows


def test_only_missing_pictures_are_fetched(genclient, serve, tmp_path):
    served = serve()
    options = ("sample", "--target", served.target, "--n", 6, "--out", "p/")
    assert genclient(*options).returncode == 0
    whole = contents(tmp_path / "p")
    for name in ("seed0002.png", "seed0005.png"):
        (tmp_path / "p" / name).unlink()
    done = genclient(*options)
    assert (done.returncode, done.stdout) == (0, b"p/seed0002.png\np/seed0005.png\n")
    assert done.stderr == b"genclient: 4 of 6 images are in p/ already\n"
    assert requested(served) == 6 + 2
    assert contents(tmp_path / "p") == whole
    done = genclient(*options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"genclient: all 6 images are in p/ already\n")
    assert requested(served) == 6 + 2


def test_a_folder_takes_further_seeds(genclient, serve, tmp_path):
    served = serve()
    for seeds in ("0-3", "2-5", "0-1"):
        assert genclient("sample", "--target", served.target, "--seeds", seeds, "--out", "p/").returncode == 0
    assert requested(served) == 6
    found = json.loads((tmp_path / "p/manifest.json").read_text())
    assert (found["request"]["seeds"], found["complete"], len(found["files"])) == ("0-5", True, 6)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        (("--truncation", 0.7), "found a set with truncation 1.0, expected 0.7 as requested"),
        (("--label", 2), "found a set with label 1, expected 2 as requested"),
        (("--classes", "sun,rain"), 'found a set with classes [], expected ["sun", "rain"] as requested'),
        (("--model", "cats"), 'found a set with model "digits", expected "cats" as requested'),
    ],
)
@pytest.mark.parametrize("out", ["p/", "p/%d.tar"])
def test_another_request_does_not_mix_with_an_older_one(genclient, fails, serve, tools, tmp_path, changed, found, out):
    table = tools.signature_table(conditional=True)
    served = serve(signatures=table)
    other = serve(signatures=table, name="cats")
    options = ("sample", "--label", 1, "--n", 3, "--out", out)
    assert genclient(*options, "--target", served.target).returncode == 0
    before = contents(tmp_path / "p")
    target = other.target if "cats" in changed else served.target
    code, line = fails(*options, *changed, "--target", target)
    assert (code, line) == (
        2,
        f"p/manifest.json: {found}; choose another --out, or --overwrite to make all anew",
    )
    assert contents(tmp_path / "p") == before


@pytest.mark.parametrize("out", ["p/", "p/%d.tar"])
def test_other_latents_do_not_mix_with_those_of_an_older_run(genclient, fails, serve, tools, tmp_path, out):
    np.save(tmp_path / "z.npy", tools.draw([1, 2]))
    options = ("sample", "--target", serve().target, "--latents", "z.npy", "--out", out)
    assert genclient(*options).returncode == 0
    before = contents(tmp_path / "p")
    np.save(tmp_path / "z.npy", tools.draw([1, 3]))
    code, line = fails(*options)
    assert (code, line.split(" ")[:6]) == (2, ["p/manifest.json:", "found", "a", "set", "with", "latents_sha256"])
    assert contents(tmp_path / "p") == before


def test_a_newer_version_does_not_mix_with_an_older_one(genclient, fails, serve, tmp_path):
    served = serve()
    options = ("sample", "--target", served.target, "--n", 3, "--out", "p/")
    assert genclient(*options).returncode == 0
    (tmp_path / "p/seed0001.png").unlink()
    served.prediction.version = 4
    code, line = fails(*options)
    assert code == 2
    assert line.startswith("p/manifest.json: found images of version 3, expected 4, which the server has now; choose")
    served.prediction.version = 3  # which is still there for who asks for it
    assert genclient(*options, "--model-version", 3).returncode == 0
    assert served.prediction.requests[-1].model_spec.version.value == 3
    served.prediction.version = 4
    assert genclient(*options, "--overwrite").returncode == 0
    with Image.open(tmp_path / "p/seed0000.png") as picture:
        assert picture.text["version"] == "4"


def test_overwriting_that_was_interrupted_is_gone_on_with(genclient, started, serve, tmp_path):
    served = serve()
    options = ("sample", "--target", served.target, "--n", 24, *SHARDS, "--out", "s/%d.tar", "--overwrite")
    assert genclient(*options, "--truncation", 0.5).returncode == 0
    old = contents(tmp_path / "s")
    held = stop_after(served, 24 + 20)
    process = started(*options)
    assert held.wait(60)
    until(lambda: contents(tmp_path / "s").get("0.tar", old["0.tar"]) != old["0.tar"])
    process.kill()
    process.wait()
    served.prediction.answer = None
    before = requested(served)
    assert b" of 24 images are in s/%d.tar already" in genclient(*options).stderr
    assert requested(served) - before <= 16
    found = json.loads((tmp_path / "s/manifest.json").read_text())
    assert (found["complete"], found["request"]["truncation"]) == (True, 1.0)


def test_shards_of_another_size_or_number_are_refused_and_overwritten_without_rest(genclient, fails, serve, tmp_path):
    served = serve()
    options = ("sample", "--target", served.target, "--out", "s/%d.tar", "--shard-size", 2)
    assert genclient(*options, "--n", 6).returncode == 0
    assert "with shard_size 2, expected 3" in fails(*options, "--n", 6, "--shard-size", 3)[1]
    assert 'with seeds "0-5", expected "0-3"' in fails(*options, "--n", 4)[1]
    assert genclient(*options, "--n", 4, "--overwrite").returncode == 0
    assert sorted(os.listdir(tmp_path / "s")) == ["0.tar", "1.tar", "manifest.json"]


def test_pictures_that_no_manifest_knows_are_made_anew(genclient, serve, tmp_path):
    (tmp_path / "p").mkdir()
    for name in ("seed0001.png", "mine.png"):
        (tmp_path / "p" / name).write_bytes(b"old")
    assert genclient("sample", "--target", serve().target, "--n", 2, "--out", "p").returncode == 0
    assert Image.open(tmp_path / "p/seed0001.png").size == (4, 6)
    assert (tmp_path / "p/mine.png").read_bytes() == b"old"


@pytest.mark.parametrize("content", ["{", '{"model": 1}', "[]", '{"format": "genclient images 1", "request": 3}', "\0"])
def test_a_manifest_of_others_is_left_alone(genclient, fails, serve, tmp_path, content):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/manifest.json").write_text(content)
    code, line = fails("sample", "--target", serve().target, "--n", 2, "--out", "models/")
    assert (code, line.split(",")[0]) == (2, "--out: found models/manifest.json")
    assert contents(tmp_path / "models") == {"manifest.json": content.encode()}


def test_interruption_keeps_finished_files_and_says_how_to_go_on(started, serve, tmp_path):
    served = serve()
    held = stop_after(served, 28)
    process = started("sample", "--target", served.target, "--n", 44, *SHARDS, "--out", "s/%06d.tar")
    assert held.wait(60)
    until(lambda: (tmp_path / "s/000001.tar").exists())
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    said = stderr.decode().strip()
    finished = len(stdout.splitlines())
    assert process.returncode == 130
    assert finished >= 2
    assert said == f"genclient: {8 * finished} of 44 images are in s/%06d.tar; run the same command again to go on"
    assert sorted(os.listdir(tmp_path / "s")) == [*(f"{shard:06d}.tar" for shard in range(finished)), "manifest.json"]


def test_a_server_that_fails_half_way_leaves_finished_files(genclient, fails, serve, tmp_path):
    served = serve()

    def answer(request, context):
        if requested(served) > 12:
            context.abort(grpc_status("INTERNAL"), "out of luck")
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    options = ("sample", "--target", served.target, "--n", 20, *SHARDS[2:], "--out", "p/")
    done = genclient(*options)
    assert done.returncode == 64 + 13
    assert len(done.stdout.splitlines()) == 12
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INTERNAL: out of luck; 12 of 20 images are in p/; run the same command again to go on")
    served.prediction.answer = None
    assert len(genclient(*options).stdout.splitlines()) == 8


def grpc_status(name):
    """A gRPC status by its name."""
    import grpc

    return grpc.StatusCode[name]


def test_a_disk_that_is_full_half_way_leaves_whole_shards_only(genclient, serve, tmp_path):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    options = ("sample", "--target", serve().target, "--n", 30, "--out", "s/%d.tar")
    done = genclient(*options, "--shard-size", 15, preexec_fn=little_room)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"genclient: cannot write s/0.tar: File too large\n"
    assert os.listdir(tmp_path / "s") == ["manifest.json"]


def test_memory_does_not_grow_with_the_number_of_images(serve, tools, tmp_path):
    served = serve(signatures=tools.signature_table(image_shape=(64, 64, 3)))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), np.uint8)

    def answer(request, context):
        rows = request.inputs["latents"].tensor_shape.dim[0].size
        response = served.prediction._stamped(tools.predict_pb2.PredictResponse())
        response.outputs["images"].CopyFrom(tools.as_content(image[:rows]))
        return response

    served.prediction.answer = answer
    program = (
        "import atexit, resource, sys\nfrom genclient.cli import main\n"
        "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr))\n"
        "main()"
    )

    def peak(n):
        command = [
            sys.executable,
            "-c",
            program,
            "sample",
            "--target",
            served.target,
            "--n",
            str(n),
            "--out",
            f"{n}/%d.tar",
        ]
        return int(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stderr.split()[-1])

    assert peak(4000) - peak(256) < 50
