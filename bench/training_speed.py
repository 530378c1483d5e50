"""Images a second on the networks and the loss of TensorFlow's DCGAN tutorial: the real `gentrain fit` beside the
tutorial's own loop and PyTorch's, and all of them beside the machine's matrix multiplication. Prints Markdown.

One round measures all of them one after another, so that what else the machine does falls on all alike; ratios are
made within a round. Rounds are kept, and a measurement that was stopped goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
from common import BIN, ENVIRONMENT, HERE, ROOT, Cells, log_of, median, number, paragraph, run, table, tell
from flops import MATRIX, matrix_peak, operations

TORCH = ROOT / ".venv-torch"
TICKS_BEFORE = 2  # of gentrain's log, not counted: the step is compiled in the first

# What a step computes for one image, in forward passes of (generator, discriminator). A layer's backward pass is one
# for the weights and one for the inputs, where they are asked for.
TUTORIAL = (3, 7)  # G forwards and back; D on real and fake forwards and back, and back to the fakes for G
TORCH_LOOP = (3, 9)  # D once more on the fakes, forwards and back with the weights, less the pass that is shared above
# D's step: G forwards; D on both forwards, to the images, and back through both of these. G's step: G forwards and
# back; D on both forwards, back to the fakes.
GENLINE = (4, 15)


class Candidate:
    """What is measured: its name in a round, its row's text, the passes of its step, the preset of its networks."""

    def __init__(self, name: str, text: str, passes: tuple[int, int], preset: str, precision: str = "") -> None:
        self.name, self.text, self.passes, self.preset, self.precision = name, text, passes, preset, precision


CANDIDATES = (
    Candidate("tensorflow", "the TensorFlow tutorial's loop", TUTORIAL, "tf-tutorial"),
    Candidate("torch", "PyTorch's DCGAN loop", TORCH_LOOP, "tf-tutorial"),
    Candidate("auto", "`gentrain fit --preset tf-tutorial`", TUTORIAL, "tf-tutorial", "auto"),
    Candidate("float32", "the same with `--precision float32`", TUTORIAL, "tf-tutorial", "float32"),
    Candidate("small", "`gentrain fit --preset small`, genline's own networks and loss", GENLINE, "small", "auto"),
)


def measure_round(data: Path, seconds: float, torch: str | None) -> dict[str, Any]:
    """Every candidate once: images a second; and the peaks."""
    found: dict[str, Any] = {f"matmul {kind}": matrix_peak(kind) for kind in ("float32", "bfloat16")}
    for candidate in CANDIDATES:
        if candidate.precision:
            found[candidate.name], found[f"precision {candidate.name}"] = fit(data, seconds, candidate)
        elif candidate.name == "tensorflow":
            found["tensorflow"] = peer("tf_tutorial.py", sys.executable, data, seconds)["images_per_second"]
        elif torch is not None:
            told = peer("torch_dcgan.py", torch, data, seconds)
            found |= {"torch": told["images_per_second"], "torch version": told["torch"]}
    return found


def peer(script: str, python: str, data: Path, seconds: float) -> dict[str, Any]:
    """What a peer says of itself."""
    told: dict[str, Any] = json.loads(run(python, HERE / "peers" / script, "--data", data, "--seconds", seconds))
    return told


def fit(data: Path, seconds: float, candidate: Candidate) -> tuple[float, str]:
    """Images a second by the log of the real command over `seconds` after its first ticks; and the precision it took.

    It evaluates nothing and keeps no checkpoint meanwhile, as the peers do not.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_directory = Path(folder) / "run"
        settings = ("kimg_per_tick=2.048", "kimg_per_checkpoint=1e6", "kimg_per_evaluation=0")
        sets = [part for setting in settings for part in ("--set", setting)]
        command = [str(BIN / "gentrain"), "fit", "--data", str(data), "--run", str(run_directory), "--kimg", "1e6"]
        command += ["--preset", candidate.preset, "--precision", candidate.precision, *sets]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        try:
            ticks: list[dict[str, Any]] = []
            while not ticks or ticks[-1]["seconds"] - ticks[0]["seconds"] < seconds or len(ticks) < 2:
                if process.poll() is not None:
                    raise SystemExit(f"gentrain fit --preset {candidate.preset}: ended early")
                time.sleep(0.2)
                ticks = log_of(run_directory)[TICKS_BEFORE - 1 :]
        finally:
            process.terminate()
            process.wait()
        config = json.loads((run_directory / "config.json").read_text(encoding="utf-8"))
    images = 1000 * (ticks[-1]["kimg"] - ticks[0]["kimg"])
    return images / (ticks[-1]["seconds"] - ticks[0]["seconds"]), config["settings"]["precision"]


def find_torch() -> str | None:
    """The interpreter of an environment with PyTorch, made now if there is none; None if it cannot be installed."""
    python = str(TORCH / "bin" / "python")
    try:
        if subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode == 0:
            return python
    except OSError:
        pass
    tell(f"installing PyTorch into {TORCH.name}")
    requirements = str(HERE / "peers" / "torch_requirements.txt")
    try:
        venv.create(TORCH, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        tell(f"PyTorch is left out: it cannot be installed ({error})")
        return None
    return python


def report(rounds: list[dict[str, Any]], seconds: float, days: str) -> str:
    """The section of Markdown."""
    forwards = {preset: operations(preset) for preset in ("tf-tutorial", "small")}
    rows = [_row(candidate, rounds, forwards) for candidate in CANDIDATES if candidate.name in rounds[0]]
    peaks = {kind: median(rounds, f"matmul {kind}") / 1e9 for kind in ("float32", "bfloat16")}
    head = ["", "precision", "images/s", "× TensorFlow's", "× PyTorch's", "GFLOP/s", "of the peak"]
    version = rounds[0].get("torch version")
    torch = f"PyTorch {version}" if version else "PyTorch is not installed here and left out"
    tutorial, loop, small = (
        _mega(forwards[preset], passes)
        for preset, passes in (("tf-tutorial", TUTORIAL), ("tf-tutorial", TORCH_LOOP), ("small", GENLINE))
    )
    how = paragraph(
        f"""Medians of {f"{len(rounds)} rounds" if len(rounds) > 1 else "one round"}, {seconds:g} s of each in turns
        after the first epoch (gentrain: by its log.jsonl after the first {TICKS_BEFORE} ticks), measured {days};
        ratios are medians of those within a round. {torch}. The peak is a product of two {MATRIX}×{MATRIX} matrices
        by TensorFlow in the same round, {peaks["float32"]:.0f} GFLOP/s in float32 and {peaks["bfloat16"]:.0f} in
        bfloat16; each row is held against that of its own precision."""
    )
    flops = paragraph(
        f"""FLOPs are computed from the layers: two for each weight of a dense or convolutional kernel and each place
        that it is applied at, once forwards and once for each gradient that is taken, of the weights or of the
        inputs. In millions, for each real image of a step: the tutorial's {tutorial}, PyTorch's {loop} (it sees the
        fakes twice), `small`'s {small} (its penalties are second derivatives)."""
    )
    return f"""## Training: images a second

`make bench-training`, or `python bench/training_speed.py`: the 5,000 digits, 28×28.

{table(head, rows, texts=2)}

{how}

{flops}"""


def _row(candidate: Candidate, rounds: list[dict[str, Any]], forwards: dict[str, tuple[int, int]]) -> list[str]:
    name = candidate.name
    precision = rounds[0].get(f"precision {name}", "float32")
    rate = median(rounds, name)
    flops = rate * sum(n * count for n, count in zip(candidate.passes, forwards[candidate.preset], strict=True))
    ratios = [
        f"{statistics.median(r[name] / r[other] for r in rounds):.2f}"
        if other in rounds[0] and candidate.preset == "tf-tutorial"
        else "–"
        for other in ("tensorflow", "torch")
    ]
    part = flops / median(rounds, f"matmul {precision}")
    return [candidate.text, precision, number(rate), *ratios, f"{flops / 1e9:.0f}", f"{part:.0%}"]


def _mega(forwards: tuple[int, int], passes: tuple[int, int]) -> str:
    return f"{sum(n * count for n, count in zip(passes, forwards, strict=True)) / 1e6:.0f}"


def write_digits(path: Path) -> None:
    """The digits as every candidate reads them: `images` uint8 (5000, 28, 28, 1)."""
    from gentrain import sources
    from gentrain.data.dataset import Frame

    np.savez(path, images=sources.read("digits", Frame(28)).images)


def main() -> None:
    """Measure the rounds that are not there yet, print all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each candidate in each round (default: 20)")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter with PyTorch; none: leave it out")
    parser.add_argument("--again", action="store_true", help="forget the rounds that were measured before")
    arguments = parser.parse_args()
    torch = find_torch() if arguments.torch is None else arguments.torch
    torch = None if torch == "none" else torch
    cells = Cells("training_speed", arguments.again)
    seconds, with_torch = arguments.seconds, "" if torch else ", no PyTorch"
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "digits.npz"
        write_digits(data)
        rounds = [
            cells.get(f"round {n}, {seconds:g} s{with_torch}", measure_round, data, seconds, torch)
            for n in range(arguments.rounds)
        ]
    print(report(rounds, seconds, cells.days()))


if __name__ == "__main__":
    main()
