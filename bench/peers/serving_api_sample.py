"""What `genclient sample --n 16` does, as a script on tensorflow-serving-api: 16 seeds → one picture of 4×4 images."""

from __future__ import annotations

import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc


def main() -> None:
    """TARGET MODEL OUT."""
    target, model, out = sys.argv[1:]
    with grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", 2**28)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        asked.model_spec.name = model
        table = get_model_metadata_pb2.SignatureDefMap()
        stub.GetModelMetadata(asked, timeout=60).metadata["signature_def"].Unpack(table)
        z = table.signature_def["serving_default"].inputs["latents"].tensor_shape.dim[1].size
        latents = [
            tf.raw_ops.StatelessRandomNormalV2(
                shape=[z], key=tf.constant([seed], tf.uint64), counter=tf.constant([0, 0], tf.uint64), alg=1
            ).numpy()
            for seed in range(16)
        ]
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.inputs["latents"].CopyFrom(tf.make_tensor_proto(np.stack(latents)))
        images = tf.make_ndarray(stub.Predict(request, timeout=60).outputs["images"])
    pixels = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    height, width, channels = pixels.shape[1:]
    sheet = pixels.reshape(4, 4, height, width, channels).swapaxes(1, 2).reshape(4 * height, 4 * width, channels)
    tf.io.write_file(out, tf.io.encode_png(sheet))


if __name__ == "__main__":
    main()
