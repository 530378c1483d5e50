"""How good a detector is on pictures that it has not learned from: by generator, as they are and disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gentrain.detection import baselines, disturb, scores
from gentrain.detection.baselines import Judge
from gentrain.detection.learn import Detector
from gentrain.detection.pictures import Part, Pictures

CHANCE = 0.5
MOST_JUDGED = 300  # pictures of each kind, by a run's own discriminator


def measure(detector: Detector, pictures: Pictures, seed: int = 0) -> dict[str, Any]:
    """What metrics.json holds."""
    rng = np.random.default_rng(0)
    pixels = baselines.pixel_statistics(pictures, seed)
    sources = {}
    for part in pictures.fakes:
        changed = _changed(pictures.real_beside([part], pictures.real.test, rng))
        fake = _changed(pictures.fake_beside(part, part.test, rng))
        real = {name: detector(images) for name, images in changed.items()}
        own = baselines.discriminator(part.discriminator, pictures.shape) if part.discriminator else None
        sources[part.name] = {
            "kind": part.kind,
            "seen": part.seen,
            "training": len(part.training) if part.seen else 0,
            "test": len(part.test),
            "detector": {
                name: _marks(real[name], detector(images), detector.threshold) for name, images in fake.items()
            },
            "pixel_statistics": {name: _area(pixels(changed[name]), pixels(images)) for name, images in fake.items()},
            "own_discriminator": own and _by(own, changed, fake),
        }
    return {
        "task": "fake-detection",
        "threshold": detector.threshold,
        "false_alarms": scores.FALSE_ALARMS,
        "false_alarms_interval": list(detector.interval),
        "temperature": detector.temperature,
        "real": {
            "training": len(pictures.real.training),
            "calibration": len(pictures.real.calibration),
            "test": len(pictures.real.test),
            "false_alarms": {
                name: float((detector(images) < detector.threshold).mean())
                for name, images in _changed(pictures.real_beside(pictures.seen, pictures.real.test, rng)).items()
            },
        },
        "sources": sources,
        "disturbances": list(disturb.MEASURED),
    }


def _changed(images: Any) -> dict[str, Any]:
    """The same after each of the disturbances that are measured."""
    return {name: disturb.each(images, change) for name, change in disturb.MEASURED.items()}


def _marks(real: Any, fake: Any, threshold: float) -> dict[str, Any]:
    """Of a source: `accuracy` and `recognised` at the threshold, `recognised_at_5_percent` at these pictures' own."""
    false_alarms, recognised = float((real < threshold).mean()), float((fake < threshold).mean())
    return {
        **_area(real, fake),
        "accuracy": (1 - false_alarms + recognised) / 2,
        "recognised": recognised,
        "recognised_at_5_percent": scores.caught(real, fake),
    }


def _area(real: Any, fake: Any) -> dict[str, Any]:
    return {"auroc": scores.auroc(real, fake), "auroc_interval": list(scores.auroc_interval(real, fake))}


def _by(judge: Judge, real: Mapping[str, Any], fake: Mapping[str, Any]) -> dict[str, Any]:
    """By a network that may be many times as large as the detector, so of the first pictures only."""
    return {name: _area(judge(real[name][:MOST_JUDGED]), judge(fake[name][:MOST_JUDGED])) for name in real}


def table(metrics: Mapping[str, Any]) -> str:
    """For a person: AUROC by source and disturbance, what the threshold does, and what stands beside the detector."""
    names = metrics["disturbances"]
    wide = max(len(name) for name in [*metrics["sources"], "pixel statistics", "real pictures called generated"]) + 4
    lines = [f"{'AUROC':{wide}}" + "".join(f"{name:>10}" for name in names) + f"{'accuracy':>10}{'recognised':>12}"]
    for source, about in metrics["sources"].items():
        of_detector = about["detector"]
        label = source if about["seen"] else f"{source} *"
        clean = of_detector["clean"]
        last = f"{clean['accuracy']:10.3f}{clean['recognised']:12.3f}"
        lines.append(_line(label, wide, (of_detector[name]["auroc"] for name in names)) + last)
        for key, title in (("pixel_statistics", "pixel statistics"), ("own_discriminator", "its own discriminator")):
            if about[key]:
                lines.append(_line(f"  {title}", wide, (about[key][name]["auroc"] for name in names)))
    low, high = metrics["false_alarms_interval"]
    alarms = metrics["real"]["false_alarms"]
    lines.append(_line("real pictures called generated", wide, (alarms[name] for name in names)))
    lines.append(
        f"below {metrics['threshold']:.4g} a picture is called generated: {metrics['false_alarms']:.0%} of real ones "
        f"that were disturbed as it bears least, with 95% certainty {low:.1%} to {high:.1%}; "
        "accuracy and recognised at this threshold, clean"
    )
    if any(not about["seen"] for about in metrics["sources"].values()):
        lines.append("*: a generator that was not trained on")
    blind = [source for source, about in metrics["sources"].items() if about["seen"] and _blind(about)]
    if blind:
        lines.append(f"{', '.join(blind)}: no better than a coin; nothing tells these pictures from the real ones")
    return "\n".join(lines)


def _blind(about: Mapping[str, Any]) -> bool:
    return bool(about["detector"]["clean"]["auroc_interval"][0] <= CHANCE)


def _line(label: str, wide: int, values: Any) -> str:
    return f"{label:{wide}}" + "".join(f"{value:10.3f}" for value in values)


def examples(detector: Detector, part: Part, count: int) -> tuple[Any, Any]:
    """Test pictures from the least to the most real by their score, and the scores."""
    values = detector(part.test)
    order = np.argsort(values)[np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)]
    return part.test[order], values[order]
