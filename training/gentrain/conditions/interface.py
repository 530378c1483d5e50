"""interface.json: what the generator of a run takes and gives, as named tensors with roles (docs/contracts.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gentrain import conditions

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.settings import Settings


def describe(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """What interface.json holds; raises as `gentrain.conditions.of_run`."""
    conditioning = conditions.of_run(settings, dataset)
    size = settings.latent_size
    latents = [{"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, size]}] if size else []
    inputs = [_with_preprocessing(about, settings, dataset) for one in conditioning for about in one.interface()]
    name = dataset.things
    made: dict[str, Any] = {"name": name, "role": name, "dtype": "float32", "shape": [None, *dataset.images.shape[1:]]}
    made["range"] = [-1, 1]
    if dataset.frames:
        made["frames_per_second"] = settings.shown_fps
    return {
        "version": 1,
        "task": "video-generation" if dataset.frames else conditions.task(conditioning),
        "inputs": [*latents, *inputs],
        "outputs": [_with_preprocessing(made, settings, dataset)],
    }


def _with_preprocessing(about: dict[str, Any], settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """Of pictures also how training made them of files."""
    if about["role"] not in ("image", "images", "clips"):
        return about
    done = {"crop": settings.crop, "background": settings.background, "resize": "lanczos"}
    ranges = {"value_ranges": dict(dataset.value_ranges)} if dataset.value_ranges else {}
    return about | {"preprocessing": done | ranges}
