"""The plain gRPC server: TensorFlow Serving's stubs, a call of the model for each request. Arguments: port, version."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from serving_model import load
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Predict as the tutorials write it."""

    def __init__(self, path: str) -> None:
        """Load the model."""
        self.generate = load(path)

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """One request, one run."""
        images = self.generate(tf.make_ndarray(request.inputs["latents"]))
        response = predict_pb2.PredictResponse()
        response.outputs["images"].CopyFrom(tf.make_tensor_proto(images))
        return response


def main() -> None:
    """Serve until killed."""
    port, path = sys.argv[1:]
    limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(64), options=limits)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(path), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
