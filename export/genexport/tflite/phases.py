"""The form in which CPUs run convolutions fastest: fewer pixels of more channels, put in their places afterwards.

XNNPACK and tflite-micro have good kernels for convolutions and slow ones for transposed convolutions. One of stride s
is a convolution to s² times the channels, each block of them a phase of the result (Shi et al., "Is the deconvolution
layer the same as a convolutional layer?", arXiv 1609.07009). A convolution to few channels is one on blocks of 2×2
pixels, where int8 kernels, which make eight or more channels at a time, have something to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LINEAR = keras.activations.linear
RELUS = (keras.activations.relu, keras.activations.relu6)


@dataclass(frozen=True)
class Axis:
    """How a transposed convolution of one axis becomes a convolution: output s·j + phase − crop takes x[j + step].

    Attributes:
        taps: (phase, step, place in the kernel) for each place.
        crop: how many outputs come too many at the start.
    """

    taps: tuple[tuple[int, int, int], ...]
    crop: int

    @property
    def before(self) -> int:
        """How many inputs before the first are needed, which are zeros."""
        return -min(0, *(step for _, step, _ in self.taps))

    @property
    def size(self) -> int:
        """Of the convolution's kernel."""
        return self.before + 1 + max(0, *(step for _, step, _ in self.taps))


def transposed_axis(kernel: int, stride: int, same: bool) -> Axis:
    """The form with the smallest kernel; with the fewest outputs to cut off where several have that."""
    offset = max(0, kernel - stride) // 2 if same else 0

    def form(crop: int) -> Axis:
        start = offset - crop
        places = range(kernel)
        return Axis(
            tuple(((k - start) % stride, ((k - start) % stride + start - k) // stride, k) for k in places), crop
        )

    return min((form(crop) for crop in range(stride)), key=lambda axis: axis.size)


class Transposed:
    """What a Conv2DTranspose answers instead, with the BatchNorm and the ReLU behind it where they are given."""

    def __init__(self, layer: Any, norm: Any, relu: Any) -> None:
        self.layer, self.norm, self.relu, self.stride = layer, norm, relu, layer.strides[0]
        self.axes = [transposed_axis(size, self.stride, layer.padding == "same") for size in layer.kernel_size]
        kernel, bias = layer.kernel.numpy(), np.zeros(layer.filters)
        bias = bias + layer.bias.numpy() if layer.use_bias else bias
        if norm is not None:
            scale, shift = _scale_and_shift(norm)
            kernel, bias = kernel * scale[:, None], bias * scale + shift
        self.kernel = self._phases(kernel)
        self.bias = np.tile(bias, self.stride**2).astype(np.float32)

    def __call__(self, inputs: Any, run: Callable[..., Any]) -> Any:
        """(N, H, W, C) → (N, H', W', filters); as the layer does it where H and W are free."""
        if None in inputs.shape[1:]:
            x = run(inputs)
            return self._relu(x if self.norm is None else self.norm.call(x, training=False))
        outputs = [self._output(size, i) for i, size in enumerate(inputs.shape[1:3])]
        blocks = [-(-(size + axis.crop) // self.stride) for size, axis in zip(outputs, self.axes, strict=True)]
        pads = [
            [axis.before, count + axis.size - 1 - size - axis.before]
            for axis, count, size in zip(self.axes, blocks, inputs.shape[1:3], strict=True)
        ]
        x = tf.nn.depth_to_space(self._relu(_convolve(inputs, self.kernel, pads) + self.bias), self.stride)
        (top, left), (height, width) = (axis.crop for axis in self.axes), outputs
        if (height, width) != tuple(x.shape[1:3]):
            x = x[:, top : top + height, left : left + width, :]
        return x if self.layer.activation in (LINEAR, *RELUS) else self.layer.activation(x)

    def _relu(self, x: Any) -> Any:
        if self.layer.activation in RELUS:
            return self.layer.activation(x)
        return x if self.relu is None else self.relu.call(x)

    def _output(self, size: int, axis: int) -> int:
        more = 0 if self.layer.padding == "same" else max(0, self.layer.kernel_size[axis] - self.stride)
        return size * self.stride + more

    def _phases(self, kernel: Any) -> Any:
        """(h, w, filters, C) → (h', w', C, s·s·filters), a block of filters for each phase."""
        rows, columns = self.axes
        filters, channels = kernel.shape[2:]
        shape = (rows.size, columns.size, channels, self.stride, self.stride, filters)
        phases = np.zeros(shape, np.float32)
        for a, i, k in rows.taps:
            for b, j, m in columns.taps:
                phases[rows.before + i, columns.before + j, :, a, b] = kernel[k, m].T
        return phases.reshape(*shape[:3], -1)


class Head:
    """What a convolution of stride 1 to few channels answers instead, on blocks of 2×2 pixels."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        kernel = layer.kernel.numpy()
        size, reach = layer.kernel_size[0], (layer.kernel_size[0] - 1) // 2
        taps = [(k, a, (a + k - reach) // 2, (a + k - reach) % 2) for k in range(size) for a in range(2)]
        before, after = -min(step for _, _, step, _ in taps), max(step for _, _, step, _ in taps)
        self.pads = [[before, after]] * 2
        blocks = np.zeros((before + 1 + after,) * 2 + (2, 2, kernel.shape[2], 2, 2, layer.filters), np.float32)
        for k, a, i, p in taps:
            for m, b, j, q in taps:
                blocks[before + i, before + j, p, q, :, a, b] = kernel[k, m]
        self.kernel = blocks.reshape(*blocks.shape[:2], 4 * kernel.shape[2], 4 * layer.filters)
        self.bias = np.tile(layer.bias.numpy(), 4) if layer.use_bias else np.zeros(4 * layer.filters, np.float32)

    def __call__(self, inputs: Any, run: Callable[..., Any]) -> Any:
        """(N, H, W, C) → (N, H, W, filters); as the layer does it where H or W is odd or free."""
        if any(size is None or size % 2 for size in inputs.shape[1:3]):
            return run(inputs)
        x = _convolve(tf.nn.space_to_depth(inputs, 2), self.kernel, self.pads) + self.bias
        return self.layer.activation(tf.nn.depth_to_space(x, 2))


def _convolve(inputs: Any, kernel: Any, pads: list[list[int]]) -> Any:
    """Without a PAD op where the padding is the `same` of TFLite."""
    same = [[(size - 1) // 2, size // 2] for size in kernel.shape[:2]]
    if pads == same:
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")
    padded = tf.pad(inputs, [[0, 0], *pads, [0, 0]]) if any(map(any, pads)) else inputs
    return tf.nn.conv2d(padded, kernel, 1, "VALID")


def _scale_and_shift(norm: Any) -> tuple[Any, Any]:
    """BatchNorm in inference as y = x · scale + shift, float64."""
    scale = 1 / np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
    scale = scale * norm.gamma.numpy() if norm.scale else scale
    shift = -norm.moving_mean.numpy() * scale
    return scale, shift + norm.beta.numpy() if norm.center else shift
