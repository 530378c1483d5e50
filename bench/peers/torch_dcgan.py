"""A peer: the loop of PyTorch's DCGAN example, with the networks of TensorFlow's tutorial for images 28×28.

As in github.com/pytorch/examples, dcgan/main.py, the discriminator learns from a real and from a fake batch by
themselves, the generator from a third pass. Batches are rows of one tensor in memory, which costs less than the
example's DataLoader. Needs PyTorch and NumPy alone. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]
from torch import nn  # type: ignore[import-not-found]

LATENT_SIZE = 100
BATCH = 256
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def build_generator() -> Any:
    """Latents (N, 100) → images (N, 1, 28, 28) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(LATENT_SIZE, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.3, inplace=True),
        nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.3, inplace=True),
        nn.ConvTranspose2d(64, 1, 5, 2, 2, 1, bias=False),
        nn.Tanh(),
    )


def build_discriminator() -> Any:
    """Images (N, 1, 28, 28) → logits (N, 1)."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, 2, 2),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 1),
    )


class Trainer:
    """Both networks, their optimisers, and the example's step."""

    def __init__(self) -> None:
        self.generator, self.discriminator = build_generator().to(DEVICE), build_discriminator().to(DEVICE)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), lr=1e-4)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=1e-4)
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, images: Any) -> None:
        """One step of each on images float32 (N, 1, 28, 28)."""
        real, fake = torch.ones(len(images), 1, device=DEVICE), torch.zeros(len(images), 1, device=DEVICE)
        self.discriminator.zero_grad()
        self.criterion(self.discriminator(images), real).backward()
        generated = self.generator(torch.randn(len(images), LATENT_SIZE, device=DEVICE))
        self.criterion(self.discriminator(generated.detach()), fake).backward()
        self.d_optimizer.step()
        self.generator.zero_grad()
        self.criterion(self.discriminator(generated), real).backward()
        self.g_optimizer.step()


def measure(images: Any, seconds: float) -> float:
    """Images a second, over so many seconds after the first epoch."""
    trainer, seen, first_epoch = Trainer(), 0, True
    started = time.perf_counter()
    while True:
        for rows in torch.randperm(len(images), device=DEVICE).split(BATCH):
            trainer.step(images[rows])
            seen += len(rows)
            if not first_epoch and time.perf_counter() - started >= seconds:
                if DEVICE == "cuda":
                    torch.cuda.synchronize()
                return seen / (time.perf_counter() - started)
        if first_epoch:
            first_epoch, seen, started = False, 0, time.perf_counter()


def main() -> None:
    """Read the images, train, tell how fast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help=".npz with `images`, uint8 (N, 28, 28, 1)")
    parser.add_argument("--seconds", type=float, required=True, help="measure so long, after the first epoch")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count() or 1)
    pixels = np.load(arguments.data)["images"].astype("float32").transpose(0, 3, 1, 2)
    rate = measure(torch.from_numpy((pixels - 127.5) / 127.5).to(DEVICE), arguments.seconds)
    print(json.dumps({"images_per_second": rate, "torch": torch.__version__, "device": DEVICE}))


if __name__ == "__main__":
    main()
