"""A run directory of which a file is missing or damaged: an export needs none but the generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from encoders import run_of
from genexport import kinds
from genexport.describe import run_facts
from genexport.kinds.kind import Source

SAID = {
    "config.json": {"settings": {"loss": "rpgan"}, "preset": "quick"},
    "dataset.json": {"source": "x", "count": 3, "image_shape": [8, 8, 1], "fingerprint": "f", "class_names": []},
    "metrics.json": {},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_of(tmp_path_factory.mktemp("runs") / "blots")
    for name, content in SAID.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def test_a_whole_run_says_where_the_generator_is_from(run: Path) -> None:
    _, model = kinds.load(Source(run))
    assert model.provenance["run"] == SAID["config.json"]
    assert model.provenance["dataset"] == {"source": "x", "count": 3, "image_shape": [8, 8, 1], "fingerprint": "f"}
    assert not any("damaged" in note for note in model.notes)


@pytest.mark.parametrize("became", ["missing", "half", "[]", "no text"])
@pytest.mark.parametrize("file", SAID)
def test_what_is_missing_is_not_said_and_what_is_damaged_is_noted(file: str, became: str, run: Path) -> None:
    content = (run / file).read_bytes()
    try:
        if became == "missing":
            (run / file).unlink()
        else:
            spoilt = {"half": content[: len(content) // 2], "no text": b"\xff\xfe"}
            (run / file).write_bytes(spoilt.get(became, became.encode()))
        _, model = kinds.load(Source(run))
        noted = [note for note in model.notes if "damaged" in note]
        assert noted == ([] if became == "missing" else [f"{run / file}: damaged, and passed over"])
        assert ("run" in model.provenance) == (file != "config.json")
        assert ("dataset" in model.provenance) == (file != "dataset.json" and (run / "config.json").exists())
        assert "source" in run_facts.data(run, "") or file == "dataset.json"
    finally:
        (run / file).write_bytes(content)
