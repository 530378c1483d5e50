"""MODEL_CARD.md: what somebody who finds a version has to know, and nothing that is not so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from genexport.describe import model_card, run_facts, tables
from genexport.repository import manifest


@pytest.fixture(scope="module")
def version(repository: Path) -> Path:
    return repository / "digits" / "1"


@pytest.fixture
def known(version: Path) -> dict:
    """The manifest of a version, to be changed."""
    return manifest.read(version)


def front_matter(text: str) -> dict[str, object]:
    """The YAML between the first two `---`: plain keys, JSON strings and a list."""
    found: dict[str, object] = {}
    lines = text.split("---\n")[1].splitlines()
    for line in lines:
        if line.startswith("- "):
            found["tags"] = [*(found["tags"] or []), line[2:]]  # type: ignore[misc]
        elif not line.startswith("#"):
            key, _, value = line.partition(": ") if ": " in line else line.partition(":")
            found[key] = json.loads(value) if value.startswith('"') else value
    return found


def test_a_version_has_a_card_with_the_hubs_front_matter_and_every_section(version: Path) -> None:
    text = (version / "MODEL_CARD.md").read_text()
    assert text.startswith("---\n")
    head = front_matter(text)
    assert head["license"] == "unknown"
    assert head["library_name"] == "keras"
    assert head["pipeline_tag"] == "unconditional-image-generation"
    assert {"gan", "tflite", "onnx"} <= set(head["tags"])
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections == ["Data", "Training", "Quality", "Files", "How to call it", "Limits"]
    assert "![" in text
    assert "(contact_sheet.png)" in text


def test_it_tells_data_training_and_files_as_the_run_and_the_manifest_have_them(
    version: Path, run_directory: Path
) -> None:
    text = (version / "MODEL_CARD.md").read_text()
    data = json.loads((run_directory / "dataset.json").read_text())
    assert f"| images | {data['count']:,} |" in text
    assert data["fingerprint"] in text
    assert "| preset | quick |" in text
    assert "| loss | rpgan |" in text
    last = json.loads((run_directory / "log.jsonl").read_text().splitlines()[-1])
    assert f"| images shown | {last['kimg']:g} kimg" in text
    assert f"| time | {last['seconds'] / 60:.1f} minutes |" in text
    found = manifest.read(version)
    for what in ("savedmodel", "tflite/int8", "tflite/micro", "onnx/float32"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {what} |"))
        assert tables.size_of(what, found) in row
        assert f"{found['parity'][what]['max_error']:.1e}" in row
    assert "shape=[32]" in text
    assert "genclient sample --tflite tflite/digits-dynamic.tflite" in text


def test_the_licence_of_the_data_is_what_was_given(known: dict) -> None:
    assert "| licence | not stated |" in model_card.text(known)
    for given, head in (
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ('ours: "all | rights" <reserved>', {"license": "other", "license_name": 'ours: "all | rights" <reserved>'}),
    ):
        text = model_card.text({**known, "data": {**known["data"], "licence": given}})
        assert {key: value for key, value in front_matter(text).items() if key.startswith("license")} == head
        assert len(re.findall(r"^## ", text, re.MULTILINE)) == 6
    assert r"ours: " r'"all \| rights" &lt;reserved>' in text


def test_quality_stands_beside_its_reference_or_says_that_it_has_none(known: dict, tmp_path: Path) -> None:
    assert "Not measured." in model_card.text({**known, "quality": {}})
    measured = {"kimg": 40.0, "by": "frechet", "frechet": 1.5, "recall": 0.5}
    quality = run_facts.quality(tmp_path, "best", measured)
    text = model_card.text({**known, "quality": quality})
    assert "| frechet | 1.5 | not measured |" in text
    report = {
        "snapshot": "best",
        "kimg": 40.0,
        "metrics": {"frechet": {"value": 1.25, "floor": 0.25}, "recall": {"value": float("nan"), "floor": 1}},
        "samples": 2500,
        "features": {"name": "classifier"},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(report))
    quality = run_facts.quality(tmp_path, "best", measured)
    text = model_card.text({**known, "quality": quality})
    assert "| frechet | 1.25 | 0.25 |\n" in text
    assert "Features: classifier; 2,500 generated images." in text
    assert "recall" not in quality["metrics"]
    assert tables.quality_text({"quality": quality}) == "frechet 1.25 (reference 0.25)"
    other = run_facts.quality(tmp_path, "last", {})
    assert other == {}, "numbers of another snapshot are not this one's"
    assert run_facts.quality(tmp_path, "best", {**measured, "kimg": 80.0})["metrics"]["frechet"] == {"value": 1.5}


def test_two_nets_stand_side_by_side_and_copies_are_told(known: dict, tmp_path: Path) -> None:
    first = {"frechet": {"value": 1.25, "floor": 0.25}, "accuracy": {"value": 0.75, "floor": 0.875}}
    report = {
        "snapshot": "last",
        "metrics": first,
        "samples": 2500,
        "features": {"name": "efficientnet-lite0"},
        "second": {"features": {"name": "classifier"}, "metrics": {"frechet": {"value": 0.5, "floor": 0.375}}},
        "memorised": {"value": 0.0625, "floor": 0.01},
        "originality": {"value": 0.5, "floor": 1.0},
        "unknown": "only 20 of 200 images were held out",
    }
    (tmp_path / "metrics.json").write_text(json.dumps(report))
    text = model_card.text({**known, "quality": run_facts.quality(tmp_path, "last", {})})
    assert "| metric | value | reference | second net | reference |" in text
    assert "| frechet | 1.25 | 0.25 | 0.5 | 0.375 |" in text
    assert "| accuracy | 0.75 | 0.875 |  |  |" in text
    assert "| memorised | 0.0625 | 0.01 |  |  |" in text
    assert "| originality | 0.5 | 1 |  |  |" in text
    assert "Features: efficientnet-lite0, then classifier; 2,500 generated images." in text
    assert "only 20 of 200 images were held out." in text


def test_a_best_snapshot_is_told_with_its_own_time_and_the_last_with_the_runs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"preset": "quick", "settings": {"seed": 3}}')
    lines = [json.dumps({"kimg": kimg, "seconds": 60 * kimg}) for kimg in (10, 20, 30)]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, '{"kimg": 4']))
    assert run_facts.training(tmp_path, 20) == {"preset": "quick", "kimg": 20, "seconds": 1200, "seed": 3}
    assert run_facts.training(tmp_path, None)["seconds"] == 1800


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"settings": 3, "metrics": [], "class_counts": 1}', "\x00\xff"])
def test_a_damaged_run_tells_less_and_stops_nothing(content: str, known: dict, tmp_path: Path) -> None:
    for name in ("config.json", "dataset.json", "metrics.json", "log.jsonl"):
        (tmp_path / name).write_text(content, encoding="latin-1")
    told = {
        "data": run_facts.data(tmp_path, ""),
        "training": run_facts.training(tmp_path, None),
        "quality": run_facts.quality(tmp_path, "best", {}),
    }
    assert "## Limits" in model_card.text({**known, **told})
    assert told["data"]["licence"] == "not stated"


def test_class_names_cannot_break_the_page(known: dict) -> None:
    names = ["a|b", "<script>", "new\nline", *map(str, range(30))]
    known |= {"class_count": len(names), "class_names": names, "data": {**known["data"], "class_counts": {"a|b": 2}}}
    text = model_card.text(known)
    assert "a\\|b" in text
    assert "<script>" not in text
    assert "new line" in text
    assert "class-conditional" in front_matter(text)["tags"]
    assert "--label 0" in text
