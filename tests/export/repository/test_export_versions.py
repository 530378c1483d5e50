"""Versions over time: each has its own number and is whole, old ones go and come back, and damage is found."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import disks
import numpy as np
import pytest
import tensorflow as tf
from genexport.compare.parity import Limits
from genexport.errors import ExportError, UsageError
from genexport.generator.load import load
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest, store
from genexport.savedmodel.saved_model import ServingSession

KILLS = 50

# What `genexport publish` does once everything is converted, again and again, without the seconds that TensorFlow takes
# to start: the same staging, the same manifest, the same rename. It prints a line for every file.
PUBLISHER = """
import shutil, sys
from pathlib import Path
from genexport.repository import manifest, store

source, base = map(Path, sys.argv[1:])
described = {key: value for key, value in manifest.read(source).items() if key != "files"}

def copy(old, new):
    shutil.copy(old, new)
    print(new, flush=True)

while True:
    with store.staging(base) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=copy)
        manifest.write(folder, described)
        print("written", flush=True)
        print(store.publish(folder, base), flush=True)
"""


# The end of `genexport publish` for a generator with its critic, twenty times.
PAIRS = """
import sys
from pathlib import Path
from genexport.repository import store

root, who = Path(sys.argv[1]), sys.argv[2]
for round in range(20):
    with store.staging(root / "g") as folder, store.staging(root / "g-critic") as critic:
        for each in (folder, critic):
            (each / "from").write_text(f"{who} {round}")
        store.publish_together([folder, critic], [root / "g", root / "g-critic"])
"""


def test_a_server_of_another_user_can_read_a_version(published: Path) -> None:
    assert published.stat().st_mode & 0o777 == 0o755


def test_a_savedmodel_is_run_with_its_first_row_alone(tmp_path: Path) -> None:
    """So that images which depend on the others in their batch differ from Keras'."""
    module = tf.Module()
    module.rows = tf.function(
        lambda latents: {"images": latents * 0 + tf.cast(tf.shape(latents)[0], tf.float32)},
        input_signature=[tf.TensorSpec((None, 1), name="latents")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.rows)
    with ServingSession(tmp_path) as served:
        made = served.run_all("serving_default", {"latents": np.zeros((130, 1), np.float32)})
    assert made[:, 0].tolist() == [1] + 63 * [63] + 64 * [64] + 2 * [2]


def numbers(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir() if path.name[0] != ".")


class Poller:
    """Looks at a folder as a server does, and loads each version the moment it sees it."""

    def __init__(self, base: Path) -> None:
        self.base, self.loaded, self.broken = base, 0, []
        self.stop, self.thread = threading.Event(), threading.Thread(target=self._poll)

    def __enter__(self) -> Poller:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _poll(self) -> None:
        seen: set[int] = set()
        while True:
            last = self.stop.is_set()  # one more look after the end
            for number in sorted(set(store.versions(self.base)) - seen):
                seen.add(number)
                self._load(self.base / str(number), run=self.loaded % 8 == 0)
            if last:
                return

    def _load(self, folder: Path, run: bool) -> None:
        try:
            manifest.check(folder)
            if run:
                with ServingSession(folder) as served:
                    assert served.run("seeds", {"seeds": np.arange(3)}).shape == (3, 8, 8, 1)
            self.loaded += 1
        except Exception as error:
            self.broken.append(f"{folder}: {error}")


def test_fifty_kills_at_random_moments_never_show_a_poller_half_a_version(published: Path, tmp_path: Path) -> None:
    base = tmp_path / "tiny"
    moments = random.Random(0)
    lines = 2 * (len([path for path in published.rglob("*") if path.is_file()]) + 2)  # of two publishes
    halves = 0
    with Poller(base) as poller:
        for _ in range(KILLS):
            process = subprocess.Popen(
                [sys.executable, "-c", PUBLISHER, published, base], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            for _ in range(1 + moments.randrange(lines)):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            halves += len(list(base.glob(".staging-*")))
    assert not poller.broken
    assert poller.loaded == len(store.versions(base)) >= 25
    assert halves >= 25, "the kills hit publishes on their way"
    with store.staging(base) as folder:
        assert list(base.glob(".staging-*")) == [folder], "what the kills left is gone"


def test_two_who_publish_at_once_get_different_numbers(published: Path, tmp_path: Path) -> None:
    base = tmp_path / "tiny"
    loop = PUBLISHER.replace("while True:", "for _ in range(20):")
    both = [subprocess.Popen([sys.executable, "-c", loop, published, base], stdout=subprocess.DEVNULL) for _ in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert store.versions(base) == list(range(1, 41))
    for number in range(1, 41):
        manifest.check(base / str(number))


def test_two_containers_that_publish_at_once_give_generator_and_critic_one_number(tmp_path: Path) -> None:
    (tmp_path / "g-critic" / "3").mkdir(parents=True)
    commands = [disks.in_container([sys.executable, "-c", PAIRS, tmp_path, who]) for who in "ab"]
    assert [process.wait(60) for process in [subprocess.Popen(command) for command in commands]] == [0, 0]
    assert store.versions(tmp_path / "g") == list(range(4, 44))
    for number in range(4, 44):
        pair = [(tmp_path / name / str(number) / "from").read_text() for name in ("g", "g-critic")]
        assert pair[0] == pair[1], number


def test_what_is_being_built_on_another_machine_is_left_alone_for_a_day(tmp_path: Path) -> None:
    theirs, old = tmp_path / ".staging-00000000-young", tmp_path / ".staging-00000000-old"
    for folder in (theirs, old):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    with store.staging(tmp_path) as folder:
        assert set(tmp_path.glob(".staging-*")) == {theirs, folder}


def test_commands_take_the_next_number_each_and_a_taken_one_is_refused(
    tiny: Path, tmp_path: Path, command, forked
) -> None:
    arguments = ["genexport", "publish", tiny, "--repository", tmp_path, "--name", "tiny", "--files", "float32"]
    (tmp_path / "tiny" / "41").mkdir(parents=True)
    refused = command(*arguments, "--version", 41)
    assert refused.returncode == 1
    assert "41: this version exists already" in refused.stderr.splitlines()[-1]
    with tempfile.TemporaryFile() as told:
        both = [forked.start(*arguments, stdout=told) for _ in "ab"]
        assert [process.wait(200) for process in both] == [0, 0]
        told.seek(0)
        assert sorted(told.read().decode().splitlines()) == [f"{tmp_path}/tiny/42", f"{tmp_path}/tiny/43"]


def test_a_killed_command_leaves_no_version_and_the_next_one_tidies_up_after_it(
    tiny: Path, tmp_path: Path, forked
) -> None:
    base = tmp_path / "tiny"
    arguments = ["genexport", "publish", tiny, "--repository", tmp_path]
    arguments += ["--name", "tiny", "--files", "float32,dynamic"]
    for stage in ["saved_model.pb", "tflite/tiny-float32.tflite"]:
        process = forked.start(*arguments)
        while not list(base.glob(f".staging-*/{stage}")):
            assert process.poll() is None, f"published before {stage} was seen"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.versions(base) == []
        assert len(list(base.glob(".staging-*"))) == 1, "what the kill before left is gone"


def test_a_disk_that_is_full_under_tensorflow_is_one_line_and_no_version(tiny: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("genexport")
    command = [program, "publish", tiny, "--repository", tmp_path / "disk", "--name", "tiny", "--no-onnx"]
    done = subprocess.run(disks.on_small_disk(tmp_path / "disk", 12, command), capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == f"genexport: {tmp_path}/disk/tiny: cannot be written: No space left on device"
    )
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "disk" / "tiny").iterdir()] == [".lock"]


def test_past_a_limit_nothing_is_published_and_the_layer_is_named(tiny: Path, tmp_path: Path) -> None:
    strict = Options(files=("float16",), limits=Limits(float16=1e-9))
    with pytest.raises(ExportError, match=r"tflite/float16: .* limit 1e-09; most is lost in \w+ \(\w+\)"):
        publish(load(tiny), tmp_path, "tiny", options=strict)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [".lock"]


def test_rollback_republishes_an_old_version_as_the_newest_and_says_so(base: Path, command) -> None:
    repository_option = ["--repository", base.parent]
    done = command("genexport", "rollback", "tiny", "1", *repository_option)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(base / "4")
    old, new = manifest.read(base / "1"), manifest.check(base / "4")
    assert new["files"] == old["files"]
    assert new["copy_of"]["version"] == 1
    assert new["copy_of"]["created"] == old["created"] < new["created"]
    assert new["copy_of"]["manifest_sha256"] == manifest.sha256(base / "1" / "manifest.json")
    weights = "variables/variables.data-00000-of-00001"
    assert (base / "1" / weights).stat().st_ino != (base / "4" / weights).stat().st_ino, (
        "damage to one spares the other"
    )
    assert "copy of     version 1" in command("genexport", "show", base).stdout
    again = command("genexport", "rollback", base, "3")
    assert again.stdout.strip() == str(base / "5"), "a model may be given as a folder"


def test_rollback_refuses_what_is_not_there_what_is_damaged_and_the_newest(base: Path, command) -> None:
    card = base / "2" / "MODEL_CARD.md"
    card.write_text(card.read_text() + " ")
    for name, version, reason in (
        ("tiny", 9, "9: no such version; there are 1, 2, 3"),
        ("tiny", 3, "3: is the newest version already"),
        ("tiny", 2, "MODEL_CARD.md: changed since it was published"),
        ("other", 1, "1: no such version; the model has no versions"),
        ("../tiny", 9, "9: no such version"),
        (".tiny", 1, "NAME '.tiny': expected letters"),
    ):
        refused = command("genexport", "rollback", name, version, "--repository", base.parent)
        assert refused.returncode in (1, 2)
        assert reason in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert numbers(base) == ["1", "2", "3"]


def test_list_shows_every_model_its_versions_and_which_is_the_newest(base: Path, command) -> None:
    (base.parent / "other" / "12").mkdir(parents=True)
    (base.parent / "no model").mkdir()
    (base.parent / ".snapshots" / "1").mkdir(parents=True)
    listed = command("genexport", "list", "--repository", base.parent)
    assert listed.returncode == 0, listed.stderr
    header, *lines = listed.stdout.splitlines()
    assert header.split() == ["name", "version", "created", "size", "images", "quality"]
    assert [line.split()[:2] for line in lines] == [["other", "12"], ["tiny", "1"], ["tiny", "2"], ["tiny", "3"]]
    assert [" * " in line for line in lines] == [True, False, False, True]
    assert "not published by genexport" in lines[0]
    assert lines[1].endswith("8×8×1   not measured")
    assert manifest.read(base / "1")["created"] in lines[1]
    one = command("genexport", "list", "tiny", "--repository", base.parent).stdout.splitlines()
    assert [line.split()[0] for line in one] == ["name", "tiny", "tiny", "tiny"]
    none = command("genexport", "list", "nothing", "--repository", base.parent)
    assert (none.returncode, len(none.stderr.splitlines())) == (1, 1)


def test_keep_removes_old_versions_but_never_the_newest_nor_the_published_one(tiny: Path, base: Path) -> None:
    generator, lean = load(tiny), Options(files=("float32",), keep=2)
    assert publish(generator, base.parent, "tiny", options=lean) == base / "4"
    assert numbers(base) == ["3", "4"]
    store.remove_old(base, 1, base / "3")
    assert numbers(base) == ["3", "4"], "4 is the newest, 3 was just published"
    with pytest.raises(UsageError, match="--keep 0: expected 1 or more"):
        store.remove_old(base, 0, base / "4")
    store.remove_old(base, 5, base / "4")
    assert numbers(base) == ["3", "4"]
    assert not list(base.glob(".staging-*"))


def test_keep_of_less_than_one_is_wrong_usage(tiny: Path, tmp_path: Path, command) -> None:
    refused = command("genexport", "publish", tiny, "--repository", tmp_path, "--name", "tiny", "--keep", 0)
    assert refused.returncode == 2
    assert "--keep" in refused.stderr
    assert not list(tmp_path.iterdir())
