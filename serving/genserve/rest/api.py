"""Handles a REST request: dispatches on the verb and maps errors to HTTP status codes.

Knows nothing of sockets: `Api.respond` takes method, path and body and returns a Reply; http.py does the rest.
Source: TF Serving's model_servers/http_rest_api_handler.cc and http_server.cc (ToHTTPStatusCode).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import orjson
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    regression_pb2,
)

from genserve.errors import ServeError
from genserve.models.model import Models, servable_for
from genserve.rest import document, examples, open_inference, responses, rows
from genserve.rest.paths import Target, parse_target
from genserve.rest.reply import Reply, as_array, signature_of
from genserve.rpcs.classify import classify
from genserve.rpcs.examples import DEFAULT_SIGNATURE
from genserve.rpcs.metadata import SIGNATURE_DEF, metadata
from genserve.rpcs.regress import regress
from genserve.rpcs.rpc import Call, attempt
from genserve.rpcs.status import status

_CODE = grpc.StatusCode
HTTP_STATUS = {
    _CODE.CANCELLED: 499,
    _CODE.INVALID_ARGUMENT: 400,
    _CODE.DEADLINE_EXCEEDED: 504,
    _CODE.NOT_FOUND: 404,
    _CODE.ALREADY_EXISTS: 409,
    _CODE.PERMISSION_DENIED: 403,
    _CODE.RESOURCE_EXHAUSTED: 429,
    _CODE.FAILED_PRECONDITION: 400,
    _CODE.ABORTED: 409,
    _CODE.OUT_OF_RANGE: 400,
    _CODE.UNIMPLEMENTED: 501,
    _CODE.UNAVAILABLE: 503,
    _CODE.UNAUTHENTICATED: 401,
}
"""HTTP status by gRPC code; 500 for the others."""

# Called with verb, failure, bytes in, bytes out, the call and its seconds.
Observe = Callable[[str, ServeError | None, int, int, Call, float], None]


class Api:
    """Handles REST requests for the models of a server."""

    def __init__(self, models: Models, check_method: bool = False, observe: Observe | None = None) -> None:
        """Prepare to handle requests.

        Args:
            models: what is served.
            check_method: `--enable_signature_method_name_check`.
            observe: called with every request once its response is ready.
        """
        self._models = models
        self._check_method = check_method
        self._observe = observe
        self.emptied = False  # --imitate_tensor_content_fault
        self._verbs: dict[str, Callable[[Target, bytes, Call], bytes | Reply]] = {
            "predict": self._predict,
            "classify": self._classify,
            "regress": self._regress,
            "metadata": self._metadata,
            "status": self._status,
            "list": self._list,
            "v2_server": lambda target, body, call: open_inference.server_metadata(),
            "v2_live": lambda target, body, call: b'{"live":true}',
            "v2_ready": lambda target, body, call: open_inference.ready(models),
            "v2_model": lambda target, body, call: open_inference.model_metadata(models, target),
            "v2_model_ready": lambda target, body, call: open_inference.model_ready(models, target),
            "infer": lambda target, body, call: open_inference.infer(models, target, body, call),
        }

    def respond(self, method: str, path: str, body: bytes, call: Call) -> Reply:
        """Handle a request; never raises."""
        started = time.perf_counter()
        verb = ""
        reply = Reply(500, b"")

        def dispatch(data: bytes, call: Call) -> bytes:
            nonlocal verb, reply
            target = parse_target(method, path)
            verb, call.model = target.verb, target.model
            response = self._verbs[verb](target, data, call)
            reply = response if isinstance(response, Reply) else Reply(200, response)
            return reply.body

        _, failure = attempt("REST", dispatch, body, call)
        if failure is None and call.deadline is not None and time.monotonic() >= call.deadline:
            failure = timed_out()  # which is what the client has got by now
        if failure:
            reply = failed(failure)
        if self._observe is not None:
            self._observe(verb, failure, len(body), len(reply.body), call, time.perf_counter() - started)
        return reply

    def _predict(self, target: Target, body: bytes, call: Call) -> bytes:
        started = time.perf_counter()
        request = document.parse(body)
        key = document.signature_name(request) or DEFAULT_SIGNATURE
        with servable_for(self._models, target.spec()) as servable:
            signature = signature_of(servable, key)
            dtypes = {alias: info.dtype for alias, info in sorted(signature.inputs.items())}
            arrays, by_row = rows.inputs(request, dtypes)
            feeds = {signature.inputs[alias].name: array for alias, array in arrays.items()}
            aliases = sorted(signature.outputs)
            call.timing.serialise += time.perf_counter() - started
            fetches = [signature.outputs[alias].name for alias in aliases]
            results = servable.run(feeds, fetches, call.deadline, call.timing)
        started = time.perf_counter()
        outputs = {alias: as_array(result) for alias, result in zip(aliases, results, strict=True)}
        if self.emptied:
            outputs = {alias: empty_values(output) for alias, output in outputs.items()}
        encoded = responses.rows(outputs) if by_row else responses.columns(outputs)
        call.timing.serialise += time.perf_counter() - started
        return encoded

    def _classify(self, target: Target, body: bytes, call: Call) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=target.spec())
        examples.fill(document.parse(body), request)
        response = classify(
            self._models, request, check_method=self._check_method, deadline=call.deadline, timing=call.timing
        )
        return responses.classifications(response.result)

    def _regress(self, target: Target, body: bytes, call: Call) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=target.spec())
        examples.fill(document.parse(body), request)
        response = regress(
            self._models, request, check_method=self._check_method, deadline=call.deadline, timing=call.timing
        )
        return responses.regressions(response.result)

    def _status(self, target: Target, body: bytes, call: Call) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=target.spec())
        return _json(status(self._models, request)).encode()

    def _metadata(self, target: Target, body: bytes, call: Call) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=target.spec(), metadata_field=[SIGNATURE_DEF]
        )
        response = metadata(self._models, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[SIGNATURE_DEF].Unpack(signatures)
        return (
            f'{{\n"model_spec":{_json(response.model_spec)},\n'
            f'"metadata": {{"signature_def": {_json(signatures)}}}\n}}\n'
        ).encode()

    def _list(self, target: Target, body: bytes, call: Call) -> bytes:
        """Every model with the states of its versions; TF Serving has no such list."""
        listed = []
        for name in sorted(self._models):
            request = get_model_status_pb2.GetModelStatusRequest()
            request.model_spec.name = name
            try:
                versions = orjson.loads(_json(status(self._models, request)))
            except ServeError:  # no version yet
                versions = {"model_version_status": []}
            listed.append({"name": name, **versions})
        return orjson.dumps({"models": listed}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def failed(failure: ServeError) -> Reply:
    """An error as a Reply; unlike in gRPC its message is not truncated."""
    return Reply(HTTP_STATUS.get(failure.code, 500), responses.error(failure.message))


def timed_out() -> ServeError:
    """The error of a request that takes too long, in the words of TensorFlow's session."""
    return ServeError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for notification")


def empty_values(output: np.ndarray) -> np.ndarray:
    """What REST finds where the values lie in `tensor_content`: nothing in `*_val`, read here as zeros.

    TF Serving 2.19 and 2.20 read past the end of the empty field, which gives anything, or ends the process
    (AddSingleValueAndAdvance in util/json_tensor.cc). One value alone stays in `*_val`.
    """
    if output.size == 1:
        return output
    return np.full(output.shape, b"", object) if output.dtype == object else np.zeros_like(output)


def _json(message: Any) -> str:
    """A message as TF Serving prints it: each field, under its name in the proto, indented by one."""
    text = json_format.MessageToJson(
        message, indent=1, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return f"{text}\n"
