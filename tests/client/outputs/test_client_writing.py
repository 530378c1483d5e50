"""What is written is whole, whoever else writes, and whatever the disk does: containers, full disks, failing writes."""

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time

import disks
import numpy as np
import pytest
from genclient.files import locks
from genclient.files.whole import save_bytes
from genclient.outputs.image_set import ImageSet
from genclient.outputs.place import open_output
from PIL import Image

COMMAND = [sys.executable, "-c", "from genclient.cli import main; main()"]

# For each line, "writes arguments": the command with a disk that fails once after so many writes; the same again; and
# in another folder without failures. Tells how each ended, and keeps what the failure left.
RUNS = """
import os, pathlib, shutil, sys
from genclient.cli import cli

def run(folder, arguments):
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    try:
        cli.main(arguments, "genclient", standalone_mode=False)
        return "no error"
    except Exception as error:
        return f"{type(error).__name__} {error}"
    finally:
        os.chdir("..")

for number, line in enumerate(sys.stdin):
    os.environ["FAIL_AFTER"], *arguments = line.split()
    pathlib.Path(os.environ["FAIL_ONCE"]).touch()
    failed = run("bad", arguments)
    shutil.copytree("bad", f"left{number}")
    print("ended:", failed, *(run(folder, arguments) for folder in ("bad", "good")), sep="|", flush=True)
"""


def contents(folder):
    """Every file of a folder, temporary ones included, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_step(served):
    """Have a server answer two callers in step: each request waits for one of the other."""
    barrier = threading.Barrier(2)

    def answer(request, context):
        barrier.wait(60)
        return served.prediction.generate(request, context)

    served.prediction.answer = answer


def two_containers(tmp_path, served, first, second):
    """Run two commands at once, each process 1 of its own namespace; gives their exit codes and errors."""
    in_step(served)
    shared = ("sample", "--target", served.target, "--batch-size", 20, "--concurrency", 1)
    commands = [disks.in_container([*COMMAND, *shared, *more]) for more in (first, second)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen(command, cwd=tmp_path, **pipes) for command in commands]
    try:
        said = [process.communicate(timeout=60)[1].decode() for process in running]
    finally:
        for process in running:
            process.kill()
    return [process.returncode for process in running], said


def test_two_containers_write_two_archives_into_one_folder_and_mix_nothing(serve, tools, tmp_path):
    ended = two_containers(
        tmp_path, serve(), ("--n", 60, "--out", "sh/a.npz"), ("--n", 60, "--seed", 500, "--out", "sh/b.npz")
    )
    assert ended == ([0, 0], ["", ""])
    for name, first in (("a", 0), ("b", 500)):
        with np.load(tmp_path / f"sh/{name}.npz") as arrays:
            reference = tools.pixels(tools.render(tools.draw(range(first, first + 60))))
            np.testing.assert_allclose(arrays["images"].astype(int), reference.astype(int), atol=1)
    assert sorted(os.listdir(tmp_path / "sh")) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("out", ["p/", "p/%03d.tar"])
def test_of_two_requests_for_one_new_folder_at_once_one_is_refused(serve, tmp_path, out):
    shared = ("--n", 20, "--out", out)
    codes, said = two_containers(tmp_path, serve(), (*shared, "--truncation", 0.5), (*shared, "--truncation", 0.9))
    assert sorted(codes) == [0, 2]
    lines = said[codes.index(2)].splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("genclient: p/manifest.json: found a set with truncation 0.")
    kept = ("0.5", "0.9")[codes.index(0)]
    if out == "p/":
        pictures = [Image.open(path) for path in (tmp_path / "p").glob("*.png")]
        assert [picture.text["truncation"] for picture in pictures] == [kept] * 20
    else:
        assert f'"truncation": {kept}'.encode() in (tmp_path / "p/000.tar").read_bytes()
        assert len(os.listdir(tmp_path / "p")) == 2


def test_a_second_run_of_a_set_leaves_alone_what_the_first_is_writing(genclient, serve, tmp_path):
    served = serve()
    first_waits, go_on = threading.Event(), threading.Event()

    def answer(request, context):
        if len(served.prediction.requests) == 15:  # of the first run
            first_waits.set()
            go_on.wait(60)
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    options = ("--n", 80, "--batch-size", 4, "--concurrency", 1, "--out", "s/%d.tar")
    command = [*COMMAND, "sample", "--target", served.target, *map(str, options)]
    first = subprocess.Popen(disks.in_container(command), cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        assert first_waits.wait(60)
        half_written = {path.name for path in (tmp_path / "s").glob(".*.tmp")}
        assert half_written
        assert genclient("sample", "--target", served.target, *options).returncode == 0
        assert half_written <= set(os.listdir(tmp_path / "s"))
        refused = genclient("sample", "--target", served.target, *options, "--truncation", 0.5, "--overwrite")
        assert (refused.returncode, refused.stderr) == (
            1,
            b"genclient: s/manifest.json: another genclient is writing there; let it end first\n",
        )
        go_on.set()
        assert (first.wait(60), first.stderr.read()) == (0, b"")
    finally:
        go_on.set()
        first.kill()
        first.communicate()
    assert sorted(os.listdir(tmp_path / "s")) == ["0.tar", "manifest.json"]
    with tarfile.open(tmp_path / "s/0.tar") as shard:
        assert len(shard.getnames()) == 160


def test_what_ended_processes_left_is_swept_away_but_not_what_others_may_be_writing(tmp_path):
    ours, theirs = locks.kernel(), "00000000"
    names = {
        "left": f".genclient-{ours}-0123456789abcdef.tmp",
        "held": f".genclient-{ours}-fedcba9876543210.tmp",
        "of another machine": f".genclient-{theirs}-0123456789abcdef.tmp",
        "of another machine, long ago": f".genclient-{theirs}-fedcba9876543210.tmp",
        "of an older genclient, long ago": ".genclient-1-0.tmp",
    }
    for what, name in names.items():
        (tmp_path / name).write_bytes(b"half")
        if "long ago" in what:
            os.utime(tmp_path / name, (time.time() - 2 * 86400,) * 2)
    with (tmp_path / names["held"]).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        save_bytes(tmp_path / "new", b"whole")
    assert set(os.listdir(tmp_path)) == {"new", names["held"], names["of another machine"]}


KINDS = {  # how many writes are good before one fails
    "grid.png": 0,
    "a.npz": 1,
    "p/": 5,
    "s/%02d.tar": 2,
    "r/%02d.tfrecord": 2,
    "all.tar": 1,
    "w.gif": 0,
    "w.webp": 0,
    "w.apng": 0,
    "f/": 3,
}


def arguments(target, out):
    """A command that writes a place of this kind."""
    if out == "f/" or out.startswith("w."):
        return f"interpolate --target {target} --n 2 --frames 4 --out {out}"
    size = " --shard-size 250" if "%" in out else ""
    return f"sample --target {target} --n 1000 --batch-size 50 --concurrency 1 --out {out}{size}"


def test_one_write_that_fails_ends_the_file_and_the_next_run_makes_it_whole(serve, tmp_path):
    served = serve()
    done = subprocess.run(
        [sys.executable, "-c", RUNS],
        input="".join(f"{after} {arguments(served.target, out)}\n" for out, after in KINDS.items()),
        cwd=tmp_path,
        env={**os.environ, **disks.failing_once(tmp_path, f"{tmp_path}/bad/")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    ended = [line.split("|")[1:] for line in done.stdout.splitlines() if line.startswith("ended:")]
    assert len(ended) == len(KINDS), done.stderr
    for out, (failed, *others) in zip(KINDS, ended, strict=True):
        assert failed.startswith("ClientError cannot write "), out
        assert "Input/output error" in failed, out
        assert others == ["no error", "no error"], out
    good = contents(tmp_path / "good")
    assert contents(tmp_path / "bad") == good
    for number in range(len(KINDS)):
        left = contents(tmp_path / f"left{number}")
        assert all(good[name] == content for name, content in left.items() if not name.endswith("manifest.json"))


def test_a_disk_that_is_full_gets_nothing_that_is_not_whole(serve, tmp_path, ffmpeg):
    served = serve()
    film = ("interpolate", "--target", served.target, "--n", 4, "--frames", 40, "--walks", "20x20", "--loop")
    for kilobytes, command, left in (
        (200, [*film, "--scale", 4, "--out", "d/w.mp4"], set()),
        (100, ["sample", "--target", served.target, "--n", 3000, "--out", "d/a.npz"], set()),
        (900, ["sample", "--target", served.target, "--n", 3000, "--shard-size", 300, "--out", "d/%d.tar"], {"0.tar"}),
    ):
        done = subprocess.run(
            disks.on_small_disk(tmp_path / "d", kilobytes, [*COMMAND, *command]),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        lines = done.stderr.splitlines()
        assert (done.returncode, len(lines)) == (1, 1), done.stderr
        assert lines[0].startswith("genclient: cannot write d/"), lines
        assert set(os.listdir(tmp_path / "d")) - {"manifest.json"} == left
        shutil.rmtree(tmp_path / "d")


def damaged(content):
    """A file as failures leave it: with a hole, without its end, with too much, empty."""
    for at in range(0, len(content), max(1, len(content) // 20)):
        if content[at : at + 9].strip(b"\0"):
            yield content[:at] + bytes(9) + content[at + 9 :]
    yield content[:-1]
    yield content[: -len(content) // 2] + content[-40:]
    yield content + content[-1024:]
    yield b""


@pytest.mark.parametrize("out", ["p/", "p/%d.tar", "p/%d.tfrecord"])
def test_a_file_that_is_damaged_is_made_anew(genclient, serve, tmp_path, monkeypatch, out):
    served = serve()
    options = ("sample", "--target", served.target, "--n", 6, "--out", out)
    options += ("--shard-size", 3) if "%" in out else ()
    assert genclient(*options).returncode == 0
    whole = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = max(path for path in (tmp_path / "p").iterdir() if path.name != "manifest.json")
    for number, content in enumerate(damaged(path.read_bytes())):
        path.write_bytes(content)
        images, size = ImageSet("digits", np.arange(6)), options[-1] if "%" in out else None
        found = open_output(out, images, print, shard_size=size)
        assert found.begin(3).tolist() == ([3, 4, 5] if "%" in out else [5]), number
    assert genclient(*options).returncode == 0
    assert contents(tmp_path) == whole


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (("--n", 5, "--out", "p/"), ("--n", 2, "--out", "p/"), ["seed0000.png", "seed0001.png"]),
        (("--n", 3, "--out", "p/%d.png"), ("--n", 1, "--out", "p/x%d.png"), ["0.png", "1.png", "2.png", "x0.png"]),
        (
            ("--n", 6, "--shard-size", 2, "--out", "p/%d-of-%d.tar"),
            ("--n", 2, "--shard-size", 2, "--out", "p/%d-of-%d.tar"),
            ["0-of-1.tar"],
        ),
        (("--n", 2, "--out", "p/"), ("--n", 1, "--out", "p/%d.tar"), ["0.tar"]),
        (("--n", 2, "--label", "all", "--classes", 2, "--out", "p/"), ("--n", 1, "--out", "p/"), ["seed0000.png"]),
    ],
)
def test_overwriting_leaves_nothing_of_the_old_set(genclient, serve, tools, tmp_path, old, new, names):
    served = serve(signatures=tools.signature_table(conditional=True))
    for options in (old, (*new, "--truncation", 0.5, "--overwrite")):
        label = () if "--label" in options else ("--label", 1)
        assert genclient("sample", "--target", served.target, *options, *label).returncode == 0
    assert (
        sorted(path.name for path in (tmp_path / "p").rglob("*.*") if not path.name.endswith("manifest.json")) == names
    )
