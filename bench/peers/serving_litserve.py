"""LitServe with its batching; raw float32 in base64 goes in, raw float32 comes out. Arguments: port, version, rows."""

from __future__ import annotations

import base64
import sys

import litserve  # type: ignore[import-not-found]
import numpy as np
from starlette.responses import Response  # type: ignore[import-not-found]

ROWS = 64  # of a batch, as genserve's
BATCH_SECONDS = 0.002


class Generator(litserve.LitAPI):  # type: ignore[misc]
    """Requests of several rows each, batched by LitServe."""

    path = ""  # set on the instance, which travels to the worker

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        from serving_model import load

        self.generate = load(self.path)
        self.rows: list[int] = []

    # LitServe goes by the annotations of these two: without any, JSON comes in and bytes go out as they are.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """The latents of one request."""
        rows = int(request["rows"])
        return np.frombuffer(base64.b64decode(request["latents"]), np.float32).reshape(rows, -1)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """All rows together."""
        self.rows = [len(latents) for latents in inputs]
        return np.concatenate(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Run the model."""
        return self.generate(x)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """Each request's images."""
        return np.split(output, np.cumsum(self.rows)[:-1])

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        """Bytes, without JSON."""
        return Response(output.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve until killed."""
    port, path, rows = sys.argv[1:]
    requests = max(1, ROWS // int(rows))
    batching = {"max_batch_size": requests, "batch_timeout": BATCH_SECONDS} if requests > 1 else {}
    api = Generator(**batching)
    api.path = path
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(port=int(port), host="127.0.0.1", generate_client_file=False, log_level="error")


if __name__ == "__main__":
    main()
