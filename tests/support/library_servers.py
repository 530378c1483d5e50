"""What the tests of the library share: servers that refuse, forget and judge, and the pixels to expect."""

from __future__ import annotations

import asyncio
import socket

import grpc
import numpy as np
from genclient import AsyncClient
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2


def rows_of(request):
    """How many rows a request has."""
    return next(iter(request.inputs.values())).tensor_shape.dim[0].size


def expected(tools, seeds, **arguments):
    """The pixels of seeds."""
    return tools.pixels(tools.render(tools.draw(seeds), **arguments))


def near(images, wanted):
    """Whether pixels are the same up to a rounding edge."""
    return images.shape == wanted.shape and np.abs(images.astype(int) - wanted).max() <= 1


def closed_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def refusing(served, code, message, most):
    """Have a server refuse requests of more rows than that."""

    def answer(request, context):
        rows = rows_of(request)
        if rows > most:
            context.abort(code, message.format(rows=rows, most=most))
        return served.prediction.generate(request, context)

    served.prediction.answer = answer


def critic(tools, conditional=False):
    """Settings of a server that has the critic of `digits`: the mean of an image, and its label, is its score."""
    labels = {"labels": (types_pb2.DT_INT32, [-1])} if conditional else {}
    images = {"images": (types_pb2.DT_FLOAT, [-1, *tools.IMAGE_SHAPE]), **labels}

    def answer(request, context):
        arrays = {name: tools.tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        scores = arrays["images"].mean(axis=(1, 2, 3)) + arrays.get("labels", 0)
        response = predict_pb2.PredictResponse()
        response.outputs["scores"].CopyFrom(tools.as_values(scores.astype(np.float32)))
        return response

    table = {"discriminate": (images, {"scores": (types_pb2.DT_FLOAT, [-1])})}
    return {"name": "digits-critic", "signatures": table, "answer": answer}


def unload(served):
    """Have a server answer with version 4 from the second request on, and no longer know version 3."""

    def answer(request, context):
        if len(served.prediction.requests) > 1:
            served.prediction.version = 4
            if request.model_spec.HasField("version") and request.model_spec.version.value == 3:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(digits, 3)")
        return served.prediction.generate(request, context)

    served.prediction.answer = answer


def run_async(target, act, **options):
    """What a coroutine gives that is given an AsyncClient."""

    async def main():
        async with AsyncClient(target, **options) as client:
            return await act(client)

    return asyncio.run(main())
