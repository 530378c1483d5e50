"""A peer: Keras' example of adaptive augmentation (keras-io, examples/generative/gan_ada.py), for so many seconds of
processor time, start and compiling included.

The file is yours to get; its own settings, networks and training step are taken out of it, not its data set of birds,
nor its measure, which would download a net. It is written for Keras 2: what Keras 3 wants by name is given by name.
Writes pictures of its EMA generator, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

LEFT_OUT = ("matplotlib", "tensorflow_datasets", "KID")
IMAGES = 1000


def definitions(example: Path) -> dict[str, Any]:
    """What the example defines: settings that are plain values, functions and classes."""
    program = ast.parse(example.read_text(encoding="utf-8"))
    program.body = [node for node in program.body if _is_definition(node)]
    program = ast.fix_missing_locations(ByName().visit(program))
    found: dict[str, Any] = {"KID": lambda: keras.metrics.Mean(name="KID")}
    exec(compile(program, str(example), "exec"), found)
    return found


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return not any(alias.name.startswith(LEFT_OUT) for alias in node.names)
    if isinstance(node, ast.Assign):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom | ast.FunctionDef) or (
        isinstance(node, ast.ClassDef) and node.name not in LEFT_OUT
    )


class ByName(ast.NodeTransformer):
    """`network(images, training)` becomes `network(images, training=training)`."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """One call, and those inside."""
        self.generic_visit(node)
        if len(node.args) > 1 and isinstance(last := node.args[-1], ast.Name) and last.id == "training":
            node.args.pop()
            node.keywords.append(ast.keyword("training", last))
        return node


class Until(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training after so many seconds of this process; counts its batches."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.batches = seconds, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Once more, or the end."""
        self.batches += 1
        self.model.stop_training = time.process_time() > self.seconds


def main() -> None:
    """Train, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="of PNG files, 64×64")
    parser.add_argument("out", type=Path, help=".npz with `images`, uint8 (N, H, W, 3)")
    parser.add_argument("--example", type=Path, required=True, help="gan_ada.py")
    parser.add_argument("--seconds", type=float, required=True, help="of processor time")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    example = definitions(arguments.example)
    files = sorted(arguments.folder.glob("*.png"))
    real = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]).astype(np.float32) / 255
    batch = example["batch_size"]
    stream = tf.data.Dataset.from_tensor_slices(real).shuffle(10 * batch).repeat().batch(batch).prefetch(2)
    model = example["GAN_ADA"]()
    rate = example["learning_rate"], example["beta_1"]
    model.compile(
        generator_optimizer=keras.optimizers.Adam(*rate), discriminator_optimizer=keras.optimizers.Adam(*rate)
    )
    until = Until(arguments.seconds)
    model.fit(stream, epochs=1, callbacks=[until], verbose=0)
    seconds = time.process_time()
    drawn = [model.generate(100, training=False).numpy() for _ in range(IMAGES // 100)]
    np.savez(arguments.out, images=(np.concatenate(drawn) * 255 + 0.5).astype(np.uint8))
    print(json.dumps({"seconds": seconds, "kimg": until.batches * batch / 1000}))


if __name__ == "__main__":
    main()
