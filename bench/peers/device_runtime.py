"""One runtime with one file in a process of its own: makes images when it is told to, and says how long each took.

    python device_runtime.py RUNTIME FILE THREADS REFERENCE

RUNTIME is litert, onnx, savedmodel (FILE is a version's folder) or genclient (threads of interpreters). Says first how
it loaded, as JSON in a line; then for each line COUNT on stdin the milliseconds of so many images; at the end of stdin
the most memory it had. REFERENCE is a version's reference.npz: latents, and Keras' images of the first of them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

Make = Callable[[Any], Any]  # latents float32 (1, Z) → images in [0, 1], or pixels


def litert(file: str, threads: int) -> Callable[[], Make]:
    """LiteRT's interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    def load() -> Make:
        interpreter = Interpreter(model_content=Path(file).read_bytes(), num_threads=threads)
        interpreter.allocate_tensors()
        (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
        (scale, zero), (out_scale, out_zero) = inputs["quantization"], outputs["quantization"]

        def make(latents: Any) -> Any:
            if inputs["dtype"] != np.float32:
                latents = np.clip(np.rint(latents / scale) + zero, -128, 127).astype(inputs["dtype"])
            interpreter.set_tensor(inputs["index"], latents)
            interpreter.invoke()
            images = interpreter.get_tensor(outputs["index"])
            return images if images.dtype == np.float32 else (images.astype(np.float32) - out_zero) * out_scale

        return make

    return load


def onnx(file: str, threads: int) -> Callable[[], Make]:
    """ONNX Runtime's CPU provider."""
    import onnxruntime  # type: ignore[import-not-found, import-untyped]

    def load() -> Make:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda latents: session.run(None, {name: latents})[0]

    return load


def savedmodel(folder: str, threads: int) -> Callable[[], Make]:
    """TensorFlow's own call of the SavedModel."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def load() -> Make:
        model = tf.saved_model.load(folder)
        generate = model.signatures["serving_default"]
        return lambda latents: generate(latents=tf.constant(latents))["images"].numpy()

    return load


def genclient(file: str, threads: int) -> Callable[[], Make]:
    """The client's runner, by a batch of seeds: what it makes is not compared here."""
    from genclient import DeviceGenerator

    def load() -> Make:
        generator = DeviceGenerator(file, threads=threads)
        return lambda seeds: [batch.images for batch in generator.stream(seeds)]

    return load


RUNTIMES = {"litert": litert, "onnx": onnx, "savedmodel": savedmodel, "genclient": genclient}


def main() -> None:
    """Load, and obey."""
    runtime, file, threads, reference = sys.argv[1:]
    load = RUNTIMES[runtime](file, int(threads))  # the import is not what is timed
    with np.load(reference) as arrays:
        latents, expected = arrays["latents"], arrays["images"]
    started = time.perf_counter()
    make = load()
    loaded = time.perf_counter()
    say: dict[str, Any] = {}
    if runtime != "genclient":
        make(latents[:1])
        say["first_ms"] = 1000 * (time.perf_counter() - loaded)
        images = np.concatenate([make(latents[i : i + 1]) for i in range(len(expected))])
        square = float(np.mean((images.astype(np.float64) - expected) ** 2))
        say["psnr_db"] = -10 * float(np.log10(square)) if square else None
    print(json.dumps({"load_ms": 1000 * (loaded - started), **say}), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(make, latents, int(line), runtime == "genclient")), flush=True)
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}), flush=True)


def timed(make: Make, latents: Any, count: int, whole: bool) -> list[float]:
    """Milliseconds of each of `count` images; `whole`: their mean, of a batch of seeds."""
    if whole:
        started = time.perf_counter()
        make(np.arange(count, dtype=np.int64))
        return [1000 * (time.perf_counter() - started) / count]
    found = []
    for number in range(count):
        row = latents[number % len(latents)][None]
        started = time.perf_counter()
        make(row)
        found.append(1000 * (time.perf_counter() - started))
    return found


if __name__ == "__main__":
    main()
