"""Requests that a server replays before it offers a version, so that no user waits for the first run of a batch size.

Source: TensorFlow Serving, g3doc/saved_model_warmup.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from genexport.roles import requests
from genexport.savedmodel import batch_sizes
from genexport.savedmodel.signatures import Signature

PLACE = "assets.extra/tf_serving_warmup_requests"


def write(
    endpoints: Mapping[str, Signature],
    examples: Callable[[int], Mapping[str, Any]],
    name: str,
    folder: Path,
    real: bool = False,
    output_shape: tuple[int, ...] = (),
) -> None:
    """Write one PredictionLog for every signature and batch size, as TFRecord, into a version's `folder`.

    Args:
        endpoints: the signatures of the SavedModel.
        examples: batch size → values by name, of which `roles.requests.warm` makes every input.
        name: the model's.
        folder: the version's.
        real: whether pictures are those of the examples; else they are grey.
        output_shape: of what an example becomes: batches of large ones are small, as a server runs all of them.
    """
    file = folder / PLACE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for batch in batch_sizes.warmed(output_shape):
            values = examples(batch)
            for signature, (_, specs, *_) in endpoints.items():
                request = predict_pb2.PredictRequest()
                request.model_spec.name = name
                request.model_spec.signature_name = signature
                for spec in specs:
                    request.inputs[spec.name].CopyFrom(requests.warm(spec, batch, values, real))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())
