"""The model card of a detector: what it found, at which false alarms, and what it cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genexport.describe import model_card, tables
from genexport.kinds.detector.model import OperatingPoint, percent


def text(manifest: Mapping[str, Any]) -> str:
    """MODEL_CARD.md, of a manifest with the files beside it."""
    return model_card.text(manifest, _words(manifest))


def _words(manifest: Mapping[str, Any]) -> model_card.Words:
    name, device, examples = manifest["name"], model_card.smallest(manifest), manifest["examples"]
    on_device = f"\ngenclient detect photo.jpg --tflite {device}     # no server" if device else ""
    held_out = "made-up pictures" if examples["source"] is None else "held-out pictures"
    return model_card.Words(
        task="fake-detection",
        summary=f"It tells generated pictures from real ones: a score from 0 to 1 for a picture of "
        f"{tables.shape_text(manifest)} (width×height×channels), higher is more real. 1 - score is the probability "
        "that it is generated, where half of the pictures are.",
        contact_sheet="examples that it calls real, and such that it calls generated",
        compared=f"judged {examples['count']} {held_out}",
        calling=f"""\
```sh
genserve --model_name {name} --model_base_path models/{name}     # or TensorFlow Serving
genclient detect photo.jpg --model {name}{on_device}
```

`detect` takes `images` float32 (N, H, W, C) from 0 to 1 and gives `scores` float32 (N,) and `generated` bool (N,), the
verdict by the threshold; `encoded` takes PNG or JPEG files of any size as `image_bytes` string (N,).""",
        limits=_limits(manifest),
        quality=_quality(manifest),
        results="scores",
        licence_reaches="what a detector keeps of them",
    )


def _quality(manifest: Mapping[str, Any]) -> str:
    point = OperatingPoint.of(manifest)
    lines = [f"Below a score of {point.threshold:.3g} a picture is called generated."]
    if point.false_alarms is not None:
        within = ""
        if point.interval:
            low, high = map(percent, point.interval)
            within = f" (with 95% confidence {low} to {high})"
        lines.append(f"Of real pictures {percent(point.false_alarms)} are{within}, if they are like those it knows.")
    else:
        lines.append("How many real pictures are, has not been measured.")
    turned = {what: count for what, count in manifest["changed_verdicts"].items() if count}
    if turned:
        said = ", ".join(f"{count} by `{what}`" for what, count in turned.items())
        lines.append(f"Of {manifest['examples']['count']} examples these are judged otherwise than by Keras: {said}.")
    return " ".join(lines)


def _limits(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        "A score is not evidence. It says what a picture looks like beside those of training, and nothing of where it "
        "comes from, who made it, or whether what it shows is true.",
        "It knows the generators that it was trained against. Pictures of others, above all of kinds that came later, "
        "may score as real; so may generated ones that somebody has changed in order that they do.",
        "Real pictures unlike those of training (another subject, camera, scanner or filter) may be called generated "
        "more often than the false alarms above say.",
        f"It sees no more than {tables.shape_text(manifest)} of a picture: what was brought to that size has lost its "
        "finest traces, and a picture of which only a part is generated may pass.",
        "Where few pictures are generated, most of those that are called so are real: at one in a hundred, with 5% "
        "false alarms and all of them found, five of six.",
    )
