"""The signatures of a discriminator that is replaced between two calls are read anew, by both clients."""

from __future__ import annotations

import io

import grpc
import numpy as np
import pytest
from genclient import AsyncClient, Client
from library_servers import rows_of, run_async
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2


@pytest.fixture
def critic(serve, tools):
    """A server of a critic whose score is its version; gives its address, and what puts the next version there."""
    served = serve(name="digits-critic", version=0)

    def replace(prefix):
        scores = {"scores": (types_pb2.DT_FLOAT, [-1])}
        served.prediction.version += 1
        served.prediction.signatures = {
            "discriminate": ({prefix + "images": (types_pb2.DT_FLOAT, [-1, *tools.IMAGE_SHAPE])}, scores),
            prefix + "encoded": ({"image_bytes": (types_pb2.DT_STRING, [-1])}, scores),
        }

    def answer(request, context):
        inputs, _ = served.prediction.signatures.get(request.model_spec.signature_name, ({}, {}))
        if set(request.inputs) != set(inputs):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"expected inputs {sorted(inputs)}")
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = served.prediction.version
        scores = np.full(rows_of(request), served.prediction.version, np.float32)
        response.outputs["scores"].CopyFrom(tools.as_values(scores))
        return response

    served.prediction.answer = answer
    replace("")
    return served.target, replace


@pytest.fixture(params=["score", "score_files"])
def question(request, tools):
    """A method of a client, and two images as it takes them."""
    images = np.zeros((2, *tools.IMAGE_SHAPE), np.uint8)
    if request.param == "score":
        return request.param, images
    content = io.BytesIO()
    Image.fromarray(images[0]).save(content, "PNG")
    return request.param, [content.getvalue()] * 2


def test_a_discriminator_that_is_replaced_by_one_with_other_signatures_is_read_anew(critic, question):
    target, replace = critic
    method, images = question
    with Client(target) as client:
        assert getattr(client, method)(images).tolist() == [1, 1]
        replace("other_")
        assert getattr(client, method)(images).tolist() == [2, 2]


def test_the_asynchronous_client_asks_a_replaced_critic_anew(critic, question):
    target, replace = critic
    method, images = question

    async def act(client: AsyncClient):
        first = await getattr(client, method)(images)
        replace("other_")
        return [*first, *await getattr(client, method)(images)]

    assert run_async(target, act) == [1, 1, 2, 2]
