"""What no judge may take for good: noise, blots, blur, and a few images again and again, by every metric and net."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from gentrain import sources
from gentrain.data import holdout
from gentrain.data.dataset import Dataset, Frame
from gentrain.metrics import METRICS
from gentrain.metrics.features import features_for
from gentrain.metrics.judge import Judge
from gentrain.settings import PAIRED
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

HELD_OUT = 120
SAMPLES = 120
BY_ITSELF = [name for name, metric in METRICS.items() if not metric.alone and name not in PAIRED]
FIDELITY = ["precision", "density"]
REPEATED = ("one image", "one image a class", "twenty images")


def photographs(grey: bool = False) -> Judge:
    """Places of two photographs, a temple and a flower, 32×32; in grey without labels."""
    rng = np.random.default_rng(0)
    crops, labels = [], []
    for label, photo in enumerate(load_sample_images().images):
        small = photo[:426, :640].reshape(213, 2, 320, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
        for y, x in zip(rng.integers(0, 213 - 32, 240), rng.integers(0, 320 - 32, 240), strict=True):
            crops.append(small[y : y + 32, x : x + 32])
            labels.append(label)
    if grey:
        data = Dataset("photographs", np.stack(crops).mean(axis=3, keepdims=True).astype(np.uint8))
    else:
        data = Dataset("photographs", np.stack(crops), np.array(labels, np.int32), ("temple", "flower"))
    return Judge(data, "auto", SAMPLES, unseen=holdout.split(data, HELD_OUT)[1])


def digits(labels: bool) -> Judge:
    """By a net that is made for all digits, as other tests make it, of 1,500 of them; smaller ones without labels."""
    every = sources.read("digits", Frame(32 if labels else 20))
    every = every if labels else dataclasses.replace(every, labels=None, known_fingerprint=None)
    rows = np.random.default_rng(0).permutation(5000)[:1500]
    chosen = every.labels[rows] if every.labels is not None else None
    some = dataclasses.replace(every, images=every.images[rows], labels=chosen, known_fingerprint=None)
    return Judge(some, features_for(every), SAMPLES, unseen=holdout.split(some, HELD_OUT)[1])


JUDGES = {
    "efficientnet-lite0": photographs,
    "efficientnet-lite0, of grey images": lambda: photographs(grey=True),
    "classifier": lambda: digits(True),
    "random": lambda: digits(False),
}


@pytest.fixture(scope="module", params=JUDGES)
def judge(request: pytest.FixtureRequest) -> Judge:
    """The judge that such images get by default, with images that were held out."""
    found = JUDGES[request.param]()
    assert found.features.name == request.param.partition(",")[0]
    return found


def fakes(judge: Judge) -> Iterator[tuple[str, np.ndarray]]:
    """Images uint8 (SAMPLES, H, W, C) that nobody would call good, each with a name."""
    rng = np.random.default_rng(1)
    real, rows = judge.dataset.images[judge.held_out], judge.held_out
    side, channels = real.shape[1], real.shape[-1]
    clouds = gaussian_filter(rng.normal(size=real.shape), (0, side / 16, side / 16, 0))
    colours = rng.integers(0, 256, (SAMPLES, 1, 1, channels)) if channels == 3 else np.uint8(255)
    grey = rng.integers(0, 256, (*real.shape[:3], 1)).repeat(channels, axis=3)
    yield "noise", rng.integers(0, 256, real.shape).astype(np.uint8)
    yield "grey noise", grey.astype(np.uint8)
    yield "blots", np.where(clouds[..., :1] > 1.3 * clouds.std(), colours, 0).astype(np.uint8)
    yield "blur", gaussian_filter(real.astype(np.float32), (0, side / 16, side / 16, 0)).astype(np.uint8)
    yield "pixelated", real[:, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2)
    yield "one image", real[:1].repeat(SAMPLES, axis=0)
    yield "twenty images", real[np.arange(SAMPLES) % 20]
    if judge.dataset.labels is not None:
        firsts = [rows[judge.dataset.labels[rows] == label][0] for label in np.unique(judge.dataset.labels[rows])]
        yield "one image a class", judge.dataset.images[firsts][np.arange(SAMPLES) % len(firsts)]


def test_what_is_shown_as_quality_puts_real_images_above_all_that_is_none(judge: Judge) -> None:
    assert BY_ITSELF == ["frechet", "kernel", "coverage"]
    marks = {name: judge.score(images) for name, images in fakes(judge)}
    for metric in BY_ITSELF:
        real = judge.reference[metric]
        for name, found in marks.items():
            if METRICS[metric].better == "lower":
                assert found[metric] > 1.2 * max(real, 0), (metric, name)
            else:
                assert found[metric] < 0.8 * real, (metric, name)
    for metric in FIDELITY:
        for name, found in marks.items():
            if name not in REPEATED:
                assert found[metric] < 0.75 * judge.reference[metric], (metric, name)
        assert max(marks[name][metric] for name in REPEATED if name in marks) > 0.9 * judge.reference[metric], (
            "what has full marks for a few good images is rightly said to say nothing by itself"
        )
    for name in REPEATED:
        if name in marks:
            assert marks[name]["recall"] < 0.5 * judge.reference["recall"], name


def test_classes_are_read_by_whichever_net_is_a_classifier(judge: Judge) -> None:
    rows = judge.held_out
    labels = None if judge.dataset.labels is None else judge.dataset.labels[rows]
    found = judge.score(judge.dataset.images[rows], labels)
    if labels is None:
        assert "accuracy" not in found
    else:
        assert found["accuracy"] > 0.8
        assert judge.reference["accuracy"] > 0.8
        assert judge.score(judge.dataset.images[rows], (labels + 1) % 2)["accuracy"] < 0.2
        assert set(judge.class_accuracy(judge.dataset.images[rows], labels)) == set(judge.dataset.class_names)


def test_training_images_score_as_the_reference_and_no_better(judge: Judge) -> None:
    """Copies of what was trained on are not better than real: only the search for copies can tell them."""
    others = np.setdiff1d(judge.dataset.distinct, [*judge.compared, *judge.held_out])
    copies = judge.score(judge.dataset.images[np.random.default_rng(2).permutation(others)[:SAMPLES]])
    assert not set(judge.compared) & set(judge.held_out)
    for name in ("frechet", "coverage", "precision"):
        assert copies[name] == pytest.approx(judge.reference[name], rel=0.35), name
