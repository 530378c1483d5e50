"""BentoML with its adaptive batching; raw float32 travels in base64 both ways. Arguments: port, version.

Started by this file, BentoML imports it again as the service: the version's folder comes in an environment variable.
"""

from __future__ import annotations

import base64
import os
import sys

import bentoml  # type: ignore[import-not-found]
import numpy as np

FOLDER = "BENCH_SAVED_MODEL"


@bentoml.service(workers=1, traffic={"timeout": 60})
class Generator:
    """Requests of several rows each, batched by BentoML."""

    def __init__(self) -> None:
        """Load the model in the worker."""
        from serving_model import load

        self.generate_images = load(os.environ[FOLDER])

    @bentoml.api(batchable=True, max_batch_size=64)  # type: ignore[untyped-decorator]
    def generate(self, latents: list[str]) -> list[str]:
        """Each text `ROWS:BASE64` is a request."""
        arrays = []
        for text in latents:
            rows, _, data = text.partition(":")
            arrays.append(np.frombuffer(base64.b64decode(data), np.float32).reshape(int(rows), -1))
        images = self.generate_images(np.concatenate(arrays))
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        return [base64.b64encode(part.tobytes()).decode() for part in np.split(images, ends)]


def main() -> None:
    """Serve until killed."""
    port, path = sys.argv[1:]
    os.environ[FOLDER] = path
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    program = os.path.join(os.path.dirname(sys.executable), "bentoml")
    os.execv(program, [program, "serve", "serving_bentoml:Generator", "--host", "127.0.0.1", "--port", port])


if __name__ == "__main__":
    main()
