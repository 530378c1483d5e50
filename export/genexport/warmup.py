"""Requests that a server replays before it offers a version, so that no user waits for the first run of a batch size.

Source: TensorFlow Serving, g3doc/saved_model_warmup.md.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from genexport.generator import Generator
from genexport.signatures import signatures

# The same as allowed_batch_sizes in serving/deploy/batching_parameters.txt.
BATCH_SIZES = (1, 4, 16, 64)

PLACE = "assets.extra/tf_serving_warmup_requests"


def write(generator: Generator, name: str, folder: Path) -> None:
    """Write one PredictionLog for every signature and batch size, as TFRecord, into a version's `folder`."""
    file = folder / PLACE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, (_, specs) in signatures(generator).items():
            for rows in BATCH_SIZES:
                latents, *labels = generator.examples(rows)
                values = {"latents": latents, "seeds": tf.range(rows, dtype=tf.int64)}
                if labels:
                    values["labels"] = labels[0]
                request = predict_pb2.PredictRequest()
                request.model_spec.name = name
                request.model_spec.signature_name = signature
                for spec in specs:
                    request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(values[spec.name]))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())
