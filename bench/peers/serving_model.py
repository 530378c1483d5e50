"""What the peers serve, as their guides load it: the SavedModel's own signature as a function of arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def load(path: str) -> Callable[[np.ndarray], np.ndarray]:
    """Latents float32 (N, Z) → images float32 (N, H, W, C)."""
    model: Any = tf.saved_model.load(path)
    signature = model.signatures["serving_default"]

    def generate(latents: np.ndarray) -> np.ndarray:
        images: np.ndarray = signature(latents=tf.constant(latents))["images"].numpy()
        return images

    latent_size = signature.structured_input_signature[1]["latents"].shape[1]
    generate(np.zeros((1, latent_size), np.float32))
    # The signature alone does not keep the variables alive.
    generate.model, generate.latent_size = model, latent_size  # type: ignore[attr-defined]
    return generate
