"""How good are the pictures of runs that are there, by two nets that have learned from ImageNet? Prints Markdown.

1,000 images of each, from seed 0 on, beside pictures that its owner names, as bench/features.py and bench/colours.py
judge those that they train.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import number, table


def real_ones(source: str, side: int, half: bool) -> Any:
    """Uint8 (N, side, side, C) of a source of gentrain; or that half of them which bench/features.py takes."""
    from gentrain import sources
    from gentrain.settings import Settings

    real = np.asarray(sources.read(source, Settings(resolution=side).frame).images)
    return real[np.random.default_rng(1).permutation(len(real))[: len(real) // 2]] if half else real


def main() -> None:
    """A row for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--beside", required=True, metavar="SOURCE", help="real pictures, as gentrain fit --data")
    parser.add_argument("--half", action="store_true", help="a half of them, in no order")
    arguments = parser.parse_args()
    rows = []
    for run in arguments.runs:
        side = json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]["resolution"]
        beside = judged.Beside(real_ones(arguments.beside, side, arguments.half))
        scores = beside.scores(judged.generated(run))
        rows.append([run.name, *judged.row(scores), number(scores["lite1 recall"])])
    print(table(["", *judged.HEAD, "lite1: recall"], rows))


if __name__ == "__main__":
    main()
