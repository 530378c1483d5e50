"""Training and quality of a generator, read from its run directory, for the manifest and the model card.

Whatever is missing or damaged in it counts as not there: an export needs none of it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from genexport import run_files

SETTINGS = ("conditional", "networks", "loss", "augment", "batch", "seed", "precision")

COPIES = ("memorised", "originality")
"""What tells a generator that copies its training images; see docs/quality.md."""


def training(run: Path, kimg: Any) -> dict[str, Any]:
    """Preset, thousands of images, seconds and the settings that say most; {} where there is no config.json.

    Args:
        run: the run directory.
        kimg: where the snapshot was taken, where that is known; else its end.
    """
    config = run_files.read(run / run_files.CONFIG)
    if not config:
        return {}
    settings, end = _dict(config.get("settings")), _last_line(run / "log.jsonl", kimg if _number(kimg) else math.inf)
    facts = {
        "preset": config.get("preset"),
        "kimg": kimg if _number(kimg) else end.get("kimg"),
        "seconds": end.get("seconds"),
        **{name: settings.get(name) for name in SETTINGS},
        "versions": _dict(config.get("versions")) or None,
        "git_commit": config.get("git_commit"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def data(run: Path, licence: str) -> dict[str, Any]:
    """Source, count, fingerprint and classes of what it was trained on, and the licence as it was given."""
    described = run_files.read(run / run_files.DATASET)
    types = {"source": str, "count": int, "image_shape": list, "class_counts": dict, "fingerprint": str}
    facts = {name: described[name] for name, kind in types.items() if isinstance(described.get(name), kind)}
    skipped = described.get("skipped")
    facts |= {"skipped": len(skipped)} if isinstance(skipped, list) and skipped else {}
    return {**facts, "licence": licence.strip() or "not stated"}


def quality(run: Path, snapshot: str, measured: dict[str, Any]) -> dict[str, Any]:
    """What `gentrain evaluate` measured of this snapshot, each metric beside its reference; else what training did.

    The reference, what real images score, is called `floor` in the files.

    Args:
        run: the run directory.
        snapshot: `best` or `last`.
        measured: best.json, for the best snapshot.

    Returns:
        {} where nothing is known; else `by`, `metrics` {name: {"value": …, "floor": …}}, `kimg`, and what the numbers
        were measured with; `second`, the same metrics by a second net, and `copies`, those that tell a generator which
        copies training images, where they were measured.
    """
    report = run_files.read(run / run_files.METRICS)
    kimg = measured.get("kimg")
    if report.get("snapshot") == snapshot and kimg in (None, report.get("kimg")):
        metrics = _scores(report.get("metrics"))
        about: dict[str, Any] = {
            key: report[key]
            for key in ("kimg", "samples", "reference", "held_out", "features", "floor", "unknown")
            if key in report
        }
        about |= _second_and_copies(report)
    else:
        metrics = {name: {"value": value} for name, value in measured.items() if _number(value) and name != "kimg"}
        about = {} if kimg is None else {"kimg": kimg}
    by = measured.get("by")
    return {"by": by if by in metrics else next(iter(metrics)), "metrics": metrics, **about} if metrics else {}


def _second_and_copies(report: dict[str, Any]) -> dict[str, Any]:
    second, copies = _dict(report.get("second")), _scores({name: report.get(name) for name in COPIES})
    facts: dict[str, Any] = {"copies": copies} if copies else {}
    if metrics := _scores(second.get("metrics")):
        facts["second"] = {"features": _dict(second.get("features")), "metrics": metrics}
    return facts


def _scores(entries: Any) -> dict[str, dict[str, float]]:
    return {name: score for name, entry in _dict(entries).items() if (score := _score(entry))}


def _score(entry: Any) -> dict[str, float]:
    scores = {key: float(value) for key, value in _dict(entry).items() if key in ("value", "floor") and _number(value)}
    return scores if "value" in scores else {}


def _last_line(log: Path, kimg: float) -> dict[str, float]:
    """The last line of a log up to `kimg`; only kimg and seconds."""
    last: dict[str, float] = {}
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return last
    for line in lines:
        try:
            values = _dict(json.loads(line))
        except ValueError:  # a killed run's last line may be cut
            continue
        if _number(values.get("kimg")) and _number(values.get("seconds")) and values["kimg"] <= kimg:
            last = {"kimg": values["kimg"], "seconds": values["seconds"]}
    return last


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
