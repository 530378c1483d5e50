"""Stills that a run was not trained on, as PNG files to animate: for `make demo-clips`. Prints their paths."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="the run directory, whose examples.npz has them")
    parser.add_argument("folder", type=Path, help="where they go")
    parser.add_argument("--count", type=int, default=16)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with np.load(arguments.run / "examples.npz") as examples:
        stills = examples["image"][: arguments.count]
    for number, still in enumerate(stills):
        path = arguments.folder / f"still{number:02}.png"
        Image.fromarray(still[..., 0] if still.shape[-1] == 1 else still).save(path)
        print(path)


if __name__ == "__main__":
    main()
