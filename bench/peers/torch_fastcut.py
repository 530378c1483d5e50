"""A peer: FastCUT by its authors' own code, for so many seconds of processor time.

Taken is a checkout of github.com/taesungp/contrastive-unpaired-translation, whose `train.py` and `test.py` are run on
the CPU. Losses, rates and the batch of 1 are those of its `--CUT_mode FastCUT`; generator and discriminator are as wide
as those of the preset `style`, since with its own widths the time would be over within one epoch. Two short trainings
tell how many epochs the time is enough for. Writes its pictures of the test, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found]
from PIL import Image

MODEL = ("--model", "cut", "--CUT_mode", "FastCUT", "--netG", "resnet_6blocks", "--ngf", "24", "--ndf", "32")
PICTURES = ("--preprocess", "none", "--num_threads", "0", "--gpu_ids", "-1")
NEVER = 10**9
TRIAL = 48
"""Pictures of the longer one of the short trainings."""


class Checkout:
    """The authors' scripts on one set of folders."""

    def __init__(self, code: Path, parts: dict[str, Path], side: int, base: Path) -> None:
        """`parts`: folders of pictures by the names that they have there, `trainA` and so on; `base`: for its files."""
        self.code, self.base = code.resolve(), base
        folders = ("--dataroot", base, "--checkpoints_dir", base, "--load_size", side, "--crop_size", side)
        self.fixed = (*folders, *MODEL, *PICTURES)
        for name, folder in parts.items():
            (base / name).symlink_to(folder.resolve())

    def train(self, name: str, epochs: int, falling: int, pictures: int) -> float:
        """Seconds of processor time that so many epochs take, the last ones at a falling rate."""
        length = ("--n_epochs", epochs, "--n_epochs_decay", falling, "--max_dataset_size", pictures)
        silent = ("--no_html", "--display_id", -1, "--display_freq", NEVER, "--save_epoch_freq", 1)
        before = _spent()
        self._run("train.py", name, *length, *silent)
        return _spent() - before

    def translated(self, name: str) -> Path:
        """The folder with what it makes of `testA`.

        Without CUDA its training keeps the weights under names that its test does not know: they are put right.
        """
        for file in (self.base / name).glob("latest_net_*.pth"):
            torch.save({key.removeprefix("module."): value for key, value in torch.load(file).items()}, file)
        self._run("test.py", name, "--results_dir", self.base / "results", "--num_test", NEVER)
        return self.base / "results" / name / "test_latest" / "images" / "fake_B"

    def _run(self, script: str, name: str, *options: object) -> None:
        command = [sys.executable, script, "--name", name, *map(str, (*self.fixed, *options))]
        done = subprocess.run(command, cwd=self.code, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"FastCUT's {script}: {done.stderr[-2000:]}")


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Train, and translate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("code", type=Path, help="the checkout")
    for name in ("trainA", "trainB", "testA", "testB"):
        parser.add_argument(name, type=Path, help="folder of PNG files")
    parser.add_argument("out", type=Path, help=".npz with `images`, uint8 (N, H, W, 3), in the order of testA's names")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--seconds", type=float, required=True, help="of processor time")
    arguments = parser.parse_args()
    parts = {name: getattr(arguments, name) for name in ("trainA", "trainB", "testA", "testB")}
    count = max(len(list(parts[name].glob("*.png"))) for name in ("trainA", "trainB"))
    with tempfile.TemporaryDirectory() as base:
        checkout = Checkout(arguments.code, parts, arguments.side, Path(base))
        start = checkout.train("start", 1, 0, 1)
        each = (checkout.train("trial", 1, 0, TRIAL) - start) / (TRIAL - 1)
        epochs = max(2, round((arguments.seconds - start) / (each * count)))
        falling = max(1, epochs // 4)  # as of FastCUT's own 200
        seconds = checkout.train("fastcut", epochs - falling, falling, count)
        files = sorted(checkout.translated("fastcut").glob("*.png"))
        np.savez(arguments.out, images=np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))
    print(json.dumps({"cpu": seconds, "kimg": epochs * count / 1000, "epochs": epochs}))


if __name__ == "__main__":
    main()
