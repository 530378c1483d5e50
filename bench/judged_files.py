"""Pictures that a detector was not trained on, as files: real ones and generated ones. Prints their paths."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("generated", "real")


def main() -> None:
    """Write `real-0.png`, `generated-0.png` and so on of a run of `gentrain detector`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=8, help="of each kind (default: 8)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with np.load(arguments.run / "examples.npz") as examples:
        images, labels = examples["images"], examples["labels"]
    for label, kind in enumerate(KINDS):
        for number, pixels in enumerate(images[labels == label][: arguments.count]):
            file = arguments.out / f"{kind}-{number}.png"
            Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file)
            print(file)


if __name__ == "__main__":
    main()
