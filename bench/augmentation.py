"""Whether generated images help a classifier: `gentrain augment-study` on digits and on Fashion-MNIST. Prints Markdown.

The study keeps its own results, so one that was stopped goes on. A gain is reported, and so is none.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from common import BIN, ENVIRONMENT, KEPT, tell

DATA = {"digits": "digits", "fashion-mnist": "Fashion-MNIST"}
NOT_MIRRORED = {"digits"}
AUGMENTED = ("--set", "augment=0.8")  # what colour has by itself: from few images D gets ahead, with grey ones too


def study(name: str, options: list[str], folder: Path) -> str | None:
    """The study's tables; None if it failed, with its own line on stderr."""
    flip = [] if name in NOT_MIRRORED else ["--flip"]
    options = [*AUGMENTED, *options, *flip]
    command = [str(BIN / "gentrain"), "augment-study", "--data", name, "--out", str(folder), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return done.stdout.strip() if done.returncode == 0 else None


def main() -> None:
    """Run the studies, print their tables; a data set that is not to be had is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", choices=list(DATA), action="append", help="may be repeated (default: both)")
    parser.add_argument("--n", default="20,50,200,all", help="real images a class (default: 20,50,200,all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kimg", type=float, default=100.0, help="of each generator's training (default: 100)")
    parser.add_argument("--steps", type=int, default=1000, help="of each classifier's training (default: 1000)")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write augmentation-….png there")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    lengths = {"--kimg": f"{arguments.kimg:g}", "--steps": str(arguments.steps)}
    options = [
        "--n",
        arguments.n,
        "--seeds",
        str(arguments.seeds),
        *(part for pair in lengths.items() for part in pair),
    ]
    reports = []
    for name in arguments.data or DATA:
        folder = KEPT / f"augmentation-{name}-{arguments.kimg:g}kimg-{arguments.steps}steps"
        if arguments.again:
            shutil.rmtree(folder, ignore_errors=True)
        tables = study(name, options, folder)
        if tables is None:
            tell(f"{name} is left out")
            continue
        command = f"`make bench-training`, or `python bench/augmentation.py --data {name}`."
        reports.append(f"## Training: data augmentation, {DATA[name]}\n\n{command}\n\n{tables}")
        if arguments.figures:
            arguments.figures.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "study.png", arguments.figures / f"augmentation-{name}.png")
    if not reports:
        sys.exit("no study has run")
    print("\n\n".join(reports))


if __name__ == "__main__":
    main()
