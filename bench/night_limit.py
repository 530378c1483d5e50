"""How much does the Earth by day tell of where its lights are? What boosted trees say that are asked nothing else, of
the tiles that they learned from and of the tested longitudes. A generator of pictures can hardly do better. Prints a
line for each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import earth
import numpy as np
from common import KEPT, number
from night import Pixels, lit_cells, pictures
from scipy.ndimage import uniform_filter
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score

AROUND = (4, 12, 28, 60)  # pixels
TREES = {"max_iter": 150, "learning_rate": 0.06, "max_leaf_nodes": 12, "l2_regularization": 1.0, "random_state": 0}
THRESHOLDS = np.linspace(0.02, 0.6, 59)


def surroundings(day: Pixels) -> Any:
    """Float32 (cells, numbers): of each cell of 4×4 pixels means and variances of colours and edges around it."""
    colours = day.astype(np.float32) / 255
    edges = np.abs(np.diff(colours.mean(axis=3), axis=1, append=0))[..., None]
    sea = (colours[..., 2:] > 1.2 * colours[..., :1]).astype(np.float32)
    seen = np.concatenate([colours, edges, sea], axis=3)
    columns = []
    for side in AROUND:
        mean, square = (uniform_filter(each, (0, side, side, 0))[:, 2::4, 2::4] for each in (seen, seen**2))
        columns += [mean, square - mean**2]
    found = np.concatenate(columns, axis=3)
    return found.reshape(-1, found.shape[-1])


def main() -> None:
    """Learn from the one part of the globe, judge both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="unpacked npm package three-globe")
    arguments = parser.parse_args()
    folder = KEPT / "earth"
    if not (folder / "test").is_dir():
        earth.write(arguments.package, folder)
    parts = {
        name: (surroundings(pictures(folder / name / "day")), lit_cells(pictures(folder / name / "night")).ravel())
        for name in ("train", "test")
    }
    trees = HistGradientBoostingClassifier(**TREES).fit(*parts["train"])
    for name, (cells, lit) in parts.items():
        likely = trees.predict_proba(cells)[:, 1]
        best = max(f1_score(lit, likely > threshold) for threshold in THRESHOLDS)
        area, all_lit = roc_auc_score(lit, likely), f1_score(lit, np.ones_like(lit))
        print(
            f"{name}: area under the curve {number(area)}, best F1 {number(best)}, of all cells lit {number(all_lit)}"
        )


if __name__ == "__main__":
    main()
