"""A peer: lightweight-gan (PyPI), as it comes, on the CPU, for so many seconds of processor time.

It insists on CUDA: its calls that move something there are turned into nothing. Its own trainer makes the steps, in
batches of 16 (its example's) without accumulation, since it is given minutes, not days. Writes pictures of its EMA
generator, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]

torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_: self
is_available, torch.cuda.is_available = torch.cuda.is_available, lambda: True

from lightweight_gan import lightweight_gan as peer  # type: ignore[import-not-found]  # noqa: E402

torch.cuda.is_available = is_available
peer.torch = types.SimpleNamespace(**{**vars(torch), "device": lambda _: torch.device("cpu")})

BATCH = 16


def train(folder: Path, side: int, seconds: float, base: str) -> tuple[Any, float]:
    """The trainer, and the seconds of processor time that it took."""
    torch.manual_seed(0)
    trainer = peer.Trainer(
        base_dir=base,
        image_size=side,
        batch_size=BATCH,
        gradient_accumulate_every=1,
        attn_res_layers=[32],
        num_workers=0,
        use_aim=False,
        aug_prob=0.25,
        aug_types=["translation", "cutout", "color"],
        save_every=10**9,
        evaluate_every=10**9,
        calculate_fid_every=None,
    )
    trainer.set_data_src(str(folder))
    started = time.process_time()
    while time.process_time() - started < seconds:
        trainer.train()
    return trainer, time.process_time() - started


def main() -> None:
    """Train, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help=".npz with `images`, uint8 (N, H, W, 3)")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--seconds", type=float, required=True, help="of processor time")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as base:
        trainer, seconds = train(arguments.folder, arguments.side, arguments.seconds, base)
        trainer.GAN.eval()
        parts = []
        for _ in range(math.ceil(arguments.images / BATCH)):
            made = trainer.generate_(trainer.GAN.GE, torch.randn(BATCH, trainer.latent_dim))
            parts.append((made.permute(0, 2, 3, 1).numpy() * 255 + 0.5).astype(np.uint8))
    np.savez(arguments.out, images=np.concatenate(parts)[: arguments.images])
    print(json.dumps({"seconds": seconds, "kimg": trainer.steps * BATCH / 1000}))


if __name__ == "__main__":
    main()
