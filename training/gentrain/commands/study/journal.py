"""What a study is, and every single result, in one JSON, written whole after each so that it can be stopped at will."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gentrain.commands.study.options import Size
from gentrain.errors import TrainError
from gentrain.files import write_json


class Journal:
    """The results so far: accuracies of arms, and seconds of generators, by (n, seed)."""

    def __init__(self, path: Path, head: dict[str, Any], found: dict[str, Any]) -> None:
        """`found` is what the file has held so far; what this class knows nothing of stays in `others`."""
        self.path, self.head = path, head
        self.results: list[dict[str, Any]] = list(found.get("results", []))
        self.generators: list[dict[str, Any]] = list(found.get("generators", []))
        self.others = {name: value for name, value in found.items() if name not in {*head, "results", "generators"}}

    def result(self, size: Size, seed: int, arm: str) -> dict[str, Any] | None:
        """The result of one arm, if it is there."""
        for result in self.results:
            if (result["n"], result["seed"], result["arm"]) == (size, seed, arm):
                return result
        return None

    def accuracy(self, size: Size, seed: int, arm: str) -> float | None:
        """Its accuracy."""
        result = self.result(size, seed, arm)
        return None if result is None else float(result["accuracy"])

    def add(self, size: Size, seed: int, arm: str, accuracy: float, seconds: float, **others: Any) -> None:
        """Keep one result."""
        result = {"n": size, "seed": seed, "arm": arm, "accuracy": accuracy, "seconds": round(seconds, 2)}
        self.results.append(result | others)
        self.write()

    def add_generator(self, size: Size, seed: int, seconds: float) -> None:
        """Keep how long a generator's training took."""
        self.generators.append({"n": size, "seed": seed, "seconds": round(seconds, 2)})
        self.write()

    def write(self) -> None:
        """Write the file whole."""
        whole = {**self.head, **self.others, "generators": self.generators, "results": self.results}
        write_json(self.path, whole)


def begin(out: Path, head: dict[str, Any], name: str = "study.json") -> Journal:
    """Start a study in `out`, or go on with the one that is there.

    Args:
        out: the study's folder; a new one, an empty one, or one with a study of the same `head`.
        head: `options`, `data` and whatever else says what the results are of.
        name: of the file.

    Raises:
        TrainError: the folder holds other things, or a study with other options; those are named.
    """
    path = out / name
    try:
        if not path.exists():
            if out.exists() and any(not entry.name.startswith(".tmp-") for entry in out.iterdir()):
                raise TrainError(f"{out}: holds other things and no {name}; take an empty or a new folder for --out")
            journal = Journal(path, head, {})
            journal.write()
            return journal
        found = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(path, head, {"options": found["options"], **found})
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
