"""An int8 file whose images are near enough: the layers that lose most by eight bits stay in float32.

Most is lost in few layers, those that read the input at its full size: a U-Net of 25 that gave 33 dB gives 39 dB with
two of them in float32, in a file a thirtieth larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from genexport.progress import Progress

MOST = 0.25
"""Of the layers, that may stay in float32: a file with more would be int8 by name only."""


def within(
    layers: Mapping[str, Sequence[str]],
    make: Callable[[Sequence[str]], bytes],
    decibels: Callable[[bytes], float],
    enough: float,
    progress: Progress,
) -> tuple[bytes | None, list[str]]:
    """The file with as few layers in float32 as it takes.

    Args:
        layers: by name, what their ops put out, see `quantize.op_outputs`.
        make: a file of which these outputs stay in float32.
        decibels: how near its images come to Keras'.
        enough: how near is near enough.
        progress: reports the layers that were tried.

    Returns:
        The file, and the layers that are float32 in it; None and no layers where so few do not do.
    """
    everything = {output for outputs in layers.values() for output in outputs}
    alone = {
        layer: decibels(make(sorted(everything.difference(outputs))))
        for layer, outputs in progress.over(list(layers.items()), "layers")
    }
    worst = sorted(layers, key=lambda layer: alone[layer])
    for count in range(1, int(MOST * len(layers)) + 1):
        content = make([output for layer in worst[:count] for output in layers[layer]])
        if decibels(content) >= enough:
            return content, worst[:count]
    return None, []
