"""The ceiling: the same session callable as genserve's, called by 1, 2, 4 and 16 threads without a server. Prints JSON.

Arguments: version, file with latents, seconds for each number of threads, file for the images or `-`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from genserve.servable import Servable

THREADS = (1, 2, 4, 16)


def main() -> None:
    """Measure, print."""
    path, file, seconds, images = sys.argv[1:]
    latents = np.load(file)
    servable = Servable.load("model", 1, Path(path))
    signature = servable.signatures["serving_default"]
    feeds, fetches = {signature.inputs["latents"].name: latents}, [signature.outputs["images"].name]
    found = servable.run(feeds, fetches)[0]
    if images != "-":
        np.save(images, found)
    rates: dict[str, float] = {}
    lone: list[float] = []
    for threads in THREADS if float(seconds) else ():
        calls = timed(lambda: servable.run(feeds, fetches), threads, float(seconds))
        rates[str(threads)] = len(calls) * len(latents) / float(seconds)
        lone = lone or sorted(calls)
    print(json.dumps({"images_per_second": rates, "p50": 1000 * lone[len(lone) // 2] if lone else 0.0}))


def timed(call: Any, threads: int, seconds: float) -> list[float]:
    """The seconds of every call that ended within the time."""
    calls: list[float] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        while True:
            started = time.perf_counter()
            call()
            now = time.perf_counter()
            if now > end:
                return
            calls.append(now - started)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return calls


if __name__ == "__main__":
    main()
