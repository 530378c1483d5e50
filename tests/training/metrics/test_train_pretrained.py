"""The pretrained net is the one that its authors published, and its weights' file can do no harm."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
from gentrain.errors import TrainError
from gentrain.networks import efficientnet, torch_files

# What PyTorch computes with the same files for the picture below, at the size that each net learned with: spreads of
# the feature maps, and every hundredth of the means.
PUBLISHED = {
    "lite0": (
        224,
        (9.007551, 8.289802, 6.0708165, 2.5793045),
        (0.09111, 0, 0.00072, 0, 2.27312, 0.0248, 0, 0.16373, 0.09064, 0.015, 0, 0.07025, 0),
    ),
    "lite1": (
        240,
        (10.284568, 9.245608, 6.294687, 2.874816),
        (0, 0, 0, 0, 0, 0, 1.55299, 0, 0, 0, 0, 0, 0.10159),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_net_computes_what_pytorch_does_with_the_same_weights(name: str) -> None:
    side, spreads, pooled = PUBLISHED[name]
    y, x = np.indices((side, side))
    images = np.stack([x, y, (x * y) % 256], -1)[None] / 127.5 - 1
    found = efficientnet.build(name)(images.astype("float32"))
    taps = [found[f"stride{stride}"] for stride in (4, 8, 16, 32)]
    assert [tap.shape[-1] for tap in taps] == [24, 40, 112, 320]
    assert [tap.shape[1] for tap in taps] == [-(-side // stride) for stride in (4, 8, 16, 32)]
    assert [float(np.std(tap)) for tap in taps] == pytest.approx(spreads, abs=1e-3)
    assert np.asarray(found["pooled"])[0, ::100] == pytest.approx(pooled, abs=1e-3)


def test_the_net_is_made_of_stock_layers_and_leaves_no_trace_in_a_training() -> None:
    keras.utils.set_random_seed(3)
    before = keras.layers.Dense(1).name, float(keras.random.uniform(()))
    keras.utils.set_random_seed(3)
    net = efficientnet.build(dtype="mixed_bfloat16")
    number = int(before[0].removeprefix("dense").strip("_") or 0)
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"
    assert float(keras.random.uniform(())) == before[1]
    assert {type(layer).__module__.split(".")[0] for layer in net.layers} == {"keras"}
    assert not net.trainable_variables


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def test_a_file_that_names_a_function_is_refused_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    harmful = tmp_path / "harmful.pth"
    harmful.write_bytes(
        b"".join(pickle.dumps(part, 2) for part in (torch_files.MAGIC, 1001, {}, {"weight": Harmful()}))
    )
    with pytest.raises(TrainError, match=r"asks for posix\.mkdir, which no weights need"):
        torch_files.read(harmful)
    assert not (tmp_path / "harmed").exists()


def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = efficientnet.NETS["lite0"].file
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(published.read_bytes()[:100_000])
    with pytest.raises(TrainError, match=r"damaged\.pth: no weights of PyTorch that can be read: it ends too early"):
        torch_files.read(damaged)
    monkeypatch.setattr(efficientnet.Net, "file", damaged)
    with pytest.raises(TrainError, match=r"is damaged .* install its package anew"):
        efficientnet.build()
