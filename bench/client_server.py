"""A server for measurements of clients: a generator of one matrix product behind TensorFlow Serving's methods.

It costs next to nothing, so that a measurement is the client's own. It prints the port that it has found.

    python bench/client_server.py [SIDE]     # images of SIDE×SIDE in three colours, 64 unless told; until stdin ends
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from genclient.latents.seeds import latents
from genclient.rpc import codec, wire

Z = 32
FLOAT, UINT8, INT64 = 1, 4, 9  # numbers of tensorflow/core/framework/types.proto


class Server(grpc.GenericRpcHandler):
    """Answers Predict and GetModelMetadata for any model."""

    def __init__(self, side: int) -> None:
        """Draw the weights."""
        self.shape = (side, side, 3)
        self.weights = np.random.default_rng(0).standard_normal((Z, side * side * 3), np.float32) / np.sqrt(Z)
        self.methods = {"Predict": self.predict, "GetModelMetadata": self.metadata}

    def service(self, details: Any) -> Any:
        """The method that a path names."""
        method = self.methods.get(details.method.rpartition("/")[2])
        return grpc.unary_unary_rpc_method_handler(method) if method else None

    def predict(self, content: bytes, context: Any) -> bytes:
        """Images of latents or of seeds."""
        request = wire.PredictRequest.FromString(content)
        signature = request.model_spec.signature_name or "serving_default"
        name = "seeds" if signature == "seeds" else "latents"
        given = codec.decode(request.inputs[name], name)
        z = latents(given, Z) if name == "seeds" else given
        images = (0.5 + 0.25 * np.tanh(z @ self.weights)).reshape(-1, *self.shape)
        if signature != "serving_default":
            images = np.rint(images * 255).astype(np.uint8)
        response = wire.PredictResponse(model_spec=self._spec(request, signature))
        response.outputs["images"].CopyFrom(codec.encode(images))
        return bytes(response.SerializeToString())

    def metadata(self, content: bytes, context: Any) -> bytes:
        """The signatures."""
        request = wire.MetadataRequest.FromString(content)
        table = wire.Signatures()
        for name, output in (("serving_default", FLOAT), ("uint8", UINT8), ("seeds", UINT8)):
            signature = table.signature_def[name]
            given = ("seeds", INT64, ()) if name == "seeds" else ("latents", FLOAT, (Z,))
            _declare(signature.inputs[given[0]], given[1], given[2])
            _declare(signature.outputs["images"], output, self.shape)
        response = wire.MetadataResponse(model_spec=self._spec(request, ""))
        packed = response.metadata["signature_def"]
        packed.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        packed.value = table.SerializeToString()
        return bytes(response.SerializeToString())

    def _spec(self, request: Any, signature: str) -> Any:
        spec = wire.ModelSpec(name=request.model_spec.name, signature_name=signature)
        spec.version.value = 1
        return spec


def _declare(info: Any, dtype: int, shape: tuple[int, ...]) -> None:
    info.dtype = dtype
    for size in (-1, *shape):
        info.shape.dim.add(size=size)


def main() -> None:
    """Serve until stdin ends."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    server = grpc.server(ThreadPoolExecutor(4), [Server(side)], options=[("grpc.max_receive_message_length", -1)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
