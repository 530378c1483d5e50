"""PyTriton (Triton Inference Server as a package), its dynamic batching. Arguments: gRPC port, HTTP port, version."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from pytriton.decorators import batch  # type: ignore[import-not-found]
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor  # type: ignore[import-not-found]
from pytriton.triton import Triton, TritonConfig  # type: ignore[import-not-found]
from serving_model import load


def main() -> None:
    """Serve until killed."""
    grpc_port, http_port, path = sys.argv[1:]
    generate = load(path)

    @batch  # type: ignore[untyped-decorator]
    def infer(latents: np.ndarray) -> dict[str, Any]:
        return {"images": generate(latents)}

    latent_size = int(generate.latent_size)  # type: ignore[attr-defined]
    shape = tuple(generate(np.zeros((1, latent_size), np.float32)).shape[1:])
    config = TritonConfig(grpc_port=int(grpc_port), http_port=int(http_port), allow_metrics=False)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="generator",
            infer_func=infer,
            inputs=[Tensor(name="latents", dtype=np.float32, shape=(latent_size,))],
            outputs=[Tensor(name="images", dtype=np.float32, shape=shape)],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=2000)),
        )
        triton.serve()


if __name__ == "__main__":
    main()
