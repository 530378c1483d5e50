"""PredictionService.Predict: from PredictRequest to PredictResponse, with TF Serving's checks in its order.

saved_model.py and batching/ run the graph; tensors.py encodes and decodes tensors.
Source: TF Serving's servables/tensorflow/predict_impl.cc and predict_util.cc, TensorFlow's cc/saved_model/util.cc.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.models.model import Models, servable_for
from genserve.rpcs.rpc import Call
from genserve.runtime.servable import Servable
from genserve.runtime.tensors import Buffer, TensorError, decode, delimited, encode
from genserve.runtime.timing import Timing

DEFAULT_SIGNATURE = "serving_default"


def respond(
    models: Models,
    data: bytes,
    call: Call,
    as_content: bool = False,  # --enable_serialization_as_tensor_content
) -> bytes:
    """Respond to a PredictRequest: its bytes → those of a PredictResponse.

    Raises:
        ServeError: with TF Serving's code and message for each case in docs/serving.md.
        DecodeError: the bytes are no PredictRequest.
    """
    started = time.perf_counter()
    request = predict_pb2.PredictRequest.FromString(data)
    call.timing.serialise += time.perf_counter() - started
    call.model = request.model_spec.name
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    with servable_for(models, request.model_spec) as servable:
        return run(servable, request, as_content=as_content, deadline=call.deadline, timing=call.timing)


def run(
    servable: Servable,
    request: Any,
    *,
    as_content: bool = False,
    deadline: float | None = None,
    timing: Timing | None = None,
) -> bytes:
    """Respond to a PredictRequest with this version, whatever model the request names (warm-up does)."""
    timing = timing or Timing()
    started = time.perf_counter()
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(key)
    if signature is None:
        raise ServeError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    check_input_count(signature, request)
    feeds = input_arrays(signature, request)
    aliases = output_aliases(signature, request.output_filter)
    timing.serialise += time.perf_counter() - started

    results = servable.run(feeds, [signature.outputs[alias].name for alias in aliases], deadline, timing)

    started = time.perf_counter()
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = key
    response.model_spec.version.value = servable.version
    parts: list[Buffer] = [response.SerializeToString()]
    for alias, result in zip(aliases, results, strict=True):
        try:
            parts += entry(alias, encode(result, as_content))
        except TensorError as error:
            raise ServeError(grpc.StatusCode.UNIMPLEMENTED, f"output {alias}: {error}") from error
    encoded = b"".join(parts)
    timing.serialise += time.perf_counter() - started
    return encoded


def entry(alias: str, tensor: list[Buffer]) -> list[Buffer]:
    """The parts of one entry of PredictResponse's map `outputs`: a message of a key and a value."""
    return delimited(1, [*delimited(1, [alias.encode()]), *delimited(2, tensor)])


def check_input_count(signature: Any, request: Any) -> None:
    """Refuse more inputs than the signature has, or fewer where it has no defaults (VerifyRequestInputsSize)."""
    sent, needed = set(request.inputs), set(signature.inputs)
    if len(sent) == len(needed) or (len(sent) < len(needed) and signature.defaults):
        return
    raise invalid_argument(
        f"input size does not match signature: {len(sent)}!={len(needed)} len({_set(sent)}) != len({_set(needed)}). "
        f"Sent extra: {_set(sent - needed)}. Missing but required: {_set(needed - sent)}."
    )


def input_arrays(signature: Any, request: Any) -> dict[str, np.ndarray]:
    """The request's inputs, or the signature's defaults, by tensor name (GetInputValues)."""
    feeds, used = {}, set()
    for alias, info in sorted(signature.inputs.items()):
        if alias in request.inputs:
            proto = request.inputs[alias]
            used.add(alias)
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {_set(request.inputs)}, or default input alias set: "
                f"{','.join(sorted(signature.defaults))}"
            )
        try:
            feeds[info.name] = decode(proto)
        except TensorError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    if len(used) != len(request.inputs):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(used))}, "
            f"request input: {','.join(sorted(request.inputs))}"
        )
    return feeds


def output_aliases(signature: Any, output_filter: Iterable[str]) -> list[str]:
    """The outputs asked for, or all of them where none is named (PreProcessPrediction)."""
    aliases: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_set(signature.outputs)}."
            )
        if alias in aliases:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        aliases.append(alias)
    return aliases or sorted(signature.outputs)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
