"""study.json: what a study is, and every single result, written whole after each so that it can be stopped at will."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gentrain.commands.study.options import Size
from gentrain.errors import TrainError
from gentrain.files import write_json


class Journal:
    """The results so far: accuracies of arms, and seconds of generators, by (n, seed)."""

    def __init__(self, path: Path, head: dict[str, Any], results: list[dict[str, Any]], generators: list[Any]) -> None:
        self.path, self.head, self.results, self.generators = path, head, results, generators

    def accuracy(self, size: Size, seed: int, arm: str) -> float | None:
        """The result of one arm, if it is there."""
        for result in self.results:
            if (result["n"], result["seed"], result["arm"]) == (size, seed, arm):
                return float(result["accuracy"])
        return None

    def add(self, size: Size, seed: int, arm: str, accuracy: float, seconds: float) -> None:
        """Keep one result."""
        self.results.append({"n": size, "seed": seed, "arm": arm, "accuracy": accuracy, "seconds": round(seconds, 2)})
        self.write()

    def add_generator(self, size: Size, seed: int, seconds: float) -> None:
        """Keep how long a generator's training took."""
        self.generators.append({"n": size, "seed": seed, "seconds": round(seconds, 2)})
        self.write()

    def write(self) -> None:
        """Write study.json whole."""
        write_json(self.path, {**self.head, "generators": self.generators, "results": self.results})


def begin(out: Path, head: dict[str, Any]) -> Journal:
    """Start a study in `out`, or go on with the one that is there.

    Args:
        out: the study's folder; a new one, an empty one, or one with a study of the same `head`.
        head: `options`, `data` and whatever else says what the results are of.

    Raises:
        TrainError: the folder holds other things, or a study with other options; those are named.
    """
    path = out / "study.json"
    try:
        if not path.exists():
            if out.exists() and any(not entry.name.startswith(".tmp-") for entry in out.iterdir()):
                raise TrainError(
                    f"{out}: holds other things and no study.json; take an empty or a new folder for --out"
                )
            journal = Journal(path, head, [], [])
            journal.write()
            return journal
        found = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(path, head, list(found["results"]), list(found["generators"]))
    except NotADirectoryError:
        raise TrainError(f"{out}: not a folder") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: cannot be read ({error}); take another --out") from error
    _refuse_changes(out, found, head)
    return journal


def _refuse_changes(out: Path, found: dict[str, Any], head: dict[str, Any]) -> None:
    then, now = found.get("options", {}), json.loads(json.dumps(head["options"]))
    differing = [
        f"{name} {then.get(name)} (now {now.get(name)})" for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    if differing:
        raise TrainError(f"{out} began with {', '.join(differing)}; take another --out")
    if found.get("data", {}).get("fingerprint") != head["data"]["fingerprint"]:
        raise TrainError(f"{out} began with other images than {head['data']['source']} has now; take another --out")
