"""A net that tells digits, of no architecture that gentrain measures by: what bench/directions.py and
bench/projection.py judge with.
"""

from __future__ import annotations

from typing import Any


def trained(images: Any, labels: Any, passes: int, *first: Any) -> Any:
    """On images (N, H, W, 1) and labels (N,), so often; `first` are layers before the convolutions."""
    import keras
    from keras import layers

    net = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            *first,
            layers.Conv2D(24, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(48, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.4),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.fit(images, labels, batch_size=64, epochs=passes, verbose=0)
    return net
