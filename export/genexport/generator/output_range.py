"""Which values a generator gives black and white: by option, else by its last activation and the images of seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from genexport.errors import ExportError

Range = tuple[float, float]

OUTPUT_RANGES: dict[str, Range] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}

SLACK = 1e-4  # what rounding adds to a tanh, and its share of 255 above; below zero nobody's 0..255 goes
CUT = 0.01  # of the range may be cut from a pixel on average where it was asked for; more, and it is another range


def find(
    path: Path,
    model: Any,
    images: np.ndarray[Any, Any],
    chosen: str,
    cut: bool = False,
    described: tuple[float, float] | None = None,
) -> tuple[tuple[float, float], str]:
    """The generator's lowest and highest pixel value, and a sentence that says how that is known.

    Args:
        path: for messages.
        model: the Keras model.
        images: what it makes of some seeds, in its own range.
        chosen: one of `OUTPUT_RANGES`, or `auto`.
        cut: whether whatever lies outside may be cut, however much it is (`--output-activation clip`).
        described: what the run's interface.json says, where there is one; `chosen` goes before it.

    Raises:
        ExportError: the images do not lie in the range.
    """
    lie = f"pixels lie in [{images.min():.4g}, {images.max():.4g}]"
    if chosen != "auto":
        return _by_option(path, images, chosen, cut, lie)
    if described:
        if not cut and _outside(images, described):
            raise ExportError(f"{path}: {lie}, not within [{described[0]:g}, {described[1]:g}] as interface.json says")
        return described, f"{lie} in {len(images)} examples, as interface.json says"
    return _inferred(path, model, images, cut, lie)


def _by_option(
    path: Path, images: np.ndarray[Any, Any], chosen: str, cut: bool, lie: str
) -> tuple[tuple[float, float], str]:
    low, high = OUTPUT_RANGES[chosen]
    outside = _outside(images, (low, high))
    if not cut and np.abs(images - np.clip(images, low, high)).mean() > CUT * (high - low):
        raise ExportError(f"{path}: {lie}, not within --output-range {chosen}; {_advice(images)}")
    lost = f"; {outside:.2%} of the values lie outside and are clipped" if outside else ""
    return OUTPUT_RANGES[chosen], f"{lie} in {len(images)} examples, {chosen} by --output-range{lost}"


def _inferred(
    path: Path, model: Any, images: np.ndarray[Any, Any], cut: bool, lie: str
) -> tuple[tuple[float, float], str]:
    """From the images alone, and the model's last activation where they leave a doubt."""
    fits = [name for name, span in OUTPUT_RANGES.items() if not _outside(images, span)]
    if not fits and cut:
        # Around zero it is a tanh that is missing; a sigmoid's range has no dark side.
        name = "-1..1" if images.min() < -0.5 else "0..1" if images.max() < 16 else "0..255"
        return OUTPUT_RANGES[name], f"{lie} in {len(images)} examples, clipped to {name}; --output-range sets another"
    if not fits:
        raise ExportError(f"{path}: {lie}, in none of {', '.join(OUTPUT_RANGES)}; {_advice(images)}")
    name, ambiguous = _choose(images, fits, _last_activation(model))
    others = " and ".join(other for other in OUTPUT_RANGES if other in fits and other != name)
    doubt = f"; ambiguous, could also be {others}: set --output-range" if ambiguous else ""
    return OUTPUT_RANGES[name], f"{lie} in {len(images)} examples, taken as {name}{doubt}"


def _advice(images: np.ndarray[Any, Any]) -> str:
    """Which option makes pixels of these numbers."""
    low, high = float(images.min()), float(images.max())
    if low >= -1.1 and high <= 1.1:
        return "--output-range -1..1 clips the few values outside"
    if low < -4 or high > 4:
        return "if these are logits: --output-activation sigmoid (or tanh)"
    return "--output-activation tanh if the network was trained with one behind it, clip clips values outside the range"


def _outside(images: np.ndarray[Any, Any], span: tuple[float, float]) -> float:
    """The share of values outside a range."""
    return float(np.mean((images < span[0] - SLACK) | (images > span[1] + SLACK * span[1])))


def _choose(images: np.ndarray[Any, Any], fits: list[str], activation: str) -> tuple[str, bool]:
    """The range, and whether it is a guess. Below zero can only be -1..1, above one only 0..255."""
    if len(fits) == 1:
        return fits[0], False
    known = {"tanh": "-1..1", "sigmoid": "0..1", "hard_sigmoid": "0..1"}.get(activation)
    if known in fits:
        return str(known), False
    # All between 0 and 1: nobody's -1..1 is without a dark pixel, nor 0..255 black all over, but some may be near it.
    return "0..1", not (images.min() < 0.1 and images.max() > 0.9)


def of_input(model: Any) -> Range:
    """The range of a picture that a model takes: what a Rescaling in front makes [-1, 1] or [0, 1], else its output's.

    A model that ends in a sigmoid usually takes [0, 1]; all others, and those that do not tell, take [-1, 1].
    """
    layers = [layer for layer in getattr(model, "layers", []) if not isinstance(layer, keras.layers.InputLayer)]
    while layers and isinstance(layers[0], keras.Model):
        layers = [layer for layer in layers[0].layers if not isinstance(layer, keras.layers.InputLayer)]
    if layers and isinstance(layers[0], keras.layers.Rescaling):
        scale, offset = float(np.mean(layers[0].scale)), float(np.mean(layers[0].offset))
        highest = max((1.0 - offset) / scale, -offset / scale) if scale else 1.0
        return (0.0, 255.0) if highest > 2.0 else (0.0, 1.0)
    return (0.0, 1.0) if _last_activation(model) in ("sigmoid", "hard_sigmoid") else (-1.0, 1.0)


MOVES = ("Identity", "Reshape", "Squeeze", "Cast", "Transpose")


def _last_activation(model: Any) -> str:
    layers = getattr(model, "layers", [])
    if not layers:
        return ""
    last = next((layer for layer in reversed(layers) if not isinstance(layer, keras.layers.Reshape)), layers[-1])
    if isinstance(last, keras.Model):
        return _last_activation(last)
    if graph_outputs := getattr(last, "graph_outputs", None):
        operation = graph_outputs[0].op
        while operation.type in MOVES and operation.inputs:
            operation = operation.inputs[0].op
        return {"Tanh": "tanh", "Sigmoid": "sigmoid"}.get(operation.type, "")
    return str(getattr(getattr(last, "activation", None), "__name__", ""))
