"""Warm-up: replays the requests that come with a version before it becomes available.

TensorFlow compiles and allocates on the first run of each batch size; the replay spares the first clients that delay.
Source: TF Serving's servables/tensorflow/saved_model_warmup_util.cc and saved_model_warmup.cc.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from genserve.errors import ServeError, from_tensorflow, invalid_argument
from genserve.rpcs import classify, multi_inference, predict, regress

log = logging.getLogger(__name__)

REQUESTS_FILE = Path("assets.extra/tf_serving_warmup_requests")
MAX_RECORDS = 1000
RUN: dict[str, Callable[..., Any]] = {
    "predict_log": predict.run,
    "classify_log": classify.run,
    "regress_log": regress.run,
    "multi_inference_log": multi_inference.run,
}


def warm_up(servable: Any, version_path: Path, times: int = 1, partial: bool = False) -> None:
    """Replay the warm-up file of a version, if there is one; the model names in it are not checked.

    Args:
        servable: the version as it will serve: a Servable.
        version_path: its folder.
        times: how often each record is run.
        partial: whether records of signatures that the version lacks are left out: a TFLite file has fewer than the
            SavedModel that the records were written for.

    Raises:
        ServeError: a record failed or cannot be read, or there are more than 1000; the message names record and file.
    """
    path = version_path / REQUESTS_FILE
    if not path.is_file():
        return
    count = 0
    for count, record in enumerate(_records(path), start=1):
        if count > MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
        try:
            replay(servable, record, times, partial)
        except ServeError as error:
            raise ServeError(error.code, f"warm-up record {count} of {path}: {error.message}") from error
    log.info("%s version %d warmed up with %d requests", servable.name, servable.version, count)


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.compat.v1.io.tf_record_iterator(str(path))
    except tf.errors.DataLossError as error:
        cause = from_tensorflow(error)
        hint = ". Please verify your warmup data is in TFRecord format."
        raise ServeError(cause.code, f"{cause.message}{hint}") from error


def replay(servable: Any, record: bytes, times: int, partial: bool) -> None:
    """Run the request of a PredictionLog; a record without a request is skipped, as in TF Serving.

    Raises:
        ServeError: INVALID_ARGUMENT for other bytes, UNIMPLEMENTED for another kind of log, and what a run fails with.
    """
    try:
        prediction = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid_argument("Failed to parse warmup record: it is no PredictionLog") from error
    kind = prediction.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in RUN:
        number = prediction.DESCRIPTOR.fields_by_name[kind].number
        raise ServeError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    request = getattr(prediction, kind).request
    if partial and not requested_signatures(request) <= {"", *servable.signatures}:
        return
    for _ in range(times):
        RUN[kind](servable, request)


def requested_signatures(request: Any) -> set[str]:
    """The keys of the signatures that a request of any of the four RPCs uses."""
    return {part.model_spec.signature_name for part in getattr(request, "tasks", [request])}
