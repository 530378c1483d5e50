"""The ceiling: the same session callable as genserve's, called by threads without a server.

Arguments: version, file with latents, file for the images or `-`. Then each line on stdin, `threads seconds`, is
answered with one of JSON.
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
from genserve.runtime.saved_model import SavedModelServable


def main() -> None:
    """Load, then measure what is asked for until stdin ends."""
    path, file, images = sys.argv[1:]
    latents = np.load(file)
    servable = SavedModelServable.load("model", 1, Path(path))
    signature = servable.signatures["serving_default"]
    feeds, fetches = {signature.inputs["latents"].name: latents}, [signature.outputs["images"].name]
    found = servable.run(feeds, fetches)[0]
    if images != "-":
        np.save(images, found)
    for line in sys.stdin:
        threads, seconds = line.split()
        calls = sorted(timed(lambda: servable.run(feeds, fetches), int(threads), float(seconds)))
        p50 = 1000 * calls[len(calls) // 2] if calls else 0.0
        print(json.dumps({"images_per_second": len(calls) * len(latents) / float(seconds), "p50": p50}), flush=True)


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
