"""Does gentrain's EfficientNet-Lite compute what PyTorch does with the same weights?

    pip install torch efficientnet-lite-pytorch    # in an environment that has gentrain too
    python bench/pretrained_parity.py

Prints, for each net and feature map, the largest difference and the largest value, on noise at the net's own size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

SIDES = {"lite0": 224, "lite1": 240}
ENDS = {"lite0": (2, 4, 10, 15), "lite1": (3, 6, 14, 20)}
STRIDES = ("stride4", "stride8", "stride16", "stride32")


def main() -> None:
    """One line a feature map."""
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.networks import efficientnet

    for name, side in SIDES.items():
        pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.float32)
        ours = efficientnet.build(name)(pixels / 127.5 - 1)
        for tap, theirs in _published(name, pixels):
            difference = np.abs(np.asarray(ours[tap]) - theirs).max()
            print(f"{name} {tap:8} {difference:.1e} of {np.abs(theirs).max():.1f}")


def _published(name: str, pixels: Any) -> Iterator[tuple[str, Any]]:
    """Feature maps (N, h, w, C) and means (N, F) of PyTorch."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from gentrain.networks import efficientnet

    weights = str(efficientnet.NETS[name].file)
    net = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=weights).eval()
    with torch.no_grad():
        x = net._swish(net._bn0(net._conv_stem(torch.tensor((pixels - 127) / 128).permute(0, 3, 1, 2))))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in ENDS[name]:
                yield STRIDES[ENDS[name].index(number)], x.permute(0, 2, 3, 1).numpy()
        yield "pooled", net._swish(net._bn1(net._conv_head(x))).mean((2, 3)).numpy()


if __name__ == "__main__":
    main()
