"""A run directory from which any one file is missing, cut off or another: every command says so in a line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Gentrain = Callable[..., tuple[int, str, str]]

COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "fit": lambda run: ("--data", "digits", "--run", run, "--preset", "quick", "--kimg", "5"),
    "evaluate": lambda run: (run, "--samples", "20"),
    "report": lambda run: (run,),
    "encoder": lambda run: (run, "--kimg", "0.1"),
    "project": lambda run: (run, run / "samples", "--steps", "0"),
    "augment": lambda run: ("--run", run, "--per-class", "5", "--out", run.parent / "more"),
    "detector": lambda run: ("--real", "digits", "--fake", run, "--run", run.parent / "det", "--steps", "2"),
}

NO_RUN = dict.fromkeys(COMMANDS, "config.json") | {"project": "expected a run directory", "detector": "broken"}
REFUSED = {
    ("config.json", "missing"): NO_RUN,
    ("config.json", "half"): dict.fromkeys(("fit", "evaluate", "report", "augment"), "config.json: cannot be read"),
    ("config.json", "[]"): dict.fromkeys(("fit", "evaluate", "report", "augment"), "config.json: cannot be read"),
    ("config.json", '{"settings": {}}'): {"fit": "not of this version of genline ('data')"},
    ("dataset.json", "missing"): dict.fromkeys(("fit", "evaluate"), "dataset.json: cannot be read (No such file"),
    ("dataset.json", "half"): dict.fromkeys(("fit", "evaluate"), "dataset.json: cannot be read"),
    ("dataset.json", "{}"): dict.fromkeys(("fit", "evaluate"), "dataset.json: cannot be read"),
    ("generator.keras", "missing"): dict.fromkeys(("evaluate", "encoder", "project", "detector"), "generator"),
    ("generator.keras", "half"): dict.fromkeys(("evaluate", "encoder", "project", "detector"), "generator.keras"),
    ("checkpoints/000000004096/progress.json", "half"): {"fit": "damaged checkpoint"},
    ("checkpoints/000000004096/progress.json", "missing"): {"fit": "damaged checkpoint"},
    ("checkpoints/000000004096/state.index", "half"): {"fit": "cannot be restored"},
    ("checkpoints/000000004096/state.data-00000-of-00001", "half"): {"fit": "cannot be restored"},
}
"""(File, what became of it) → the commands that cannot go on, and what each says."""


@pytest.mark.parametrize(
    ("file", "became", "name"), [(*case, name) for case, commands in REFUSED.items() for name in commands]
)
def test_what_cannot_go_on_says_in_one_line_which_file_it_is(
    file: str, became: str, name: str, run_directory: Path, gentrain: Gentrain, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(run_directory, tmp_path / "run"))
    damage(run / file, became)
    code, _, errors = gentrain(name, *COMMANDS[name](run))
    said = [line for line in errors.splitlines() if line.startswith("gentrain: ")]
    assert (code, len(said)) == (1, 1), errors
    assert REFUSED[file, became][name] in said[0]
    assert str(run) in said[0]


def damage(file: Path, became: str) -> None:
    content = file.read_bytes()
    file.unlink()
    if became != "missing":
        file.write_bytes(content[: len(content) // 2] if became == "half" else became.encode())
