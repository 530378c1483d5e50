"""Images as programs ask for them: streams, order, memory, signatures, latents, labels."""

from __future__ import annotations

import threading
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import tensorflow as tf
from genclient import Client, UsageError
from library_servers import expected, near, rows_of
from tensorflow_serving.apis import predict_pb2


def test_images_come_one_by_one_in_the_order_of_their_seeds(serve, tools):
    with Client(serve().target) as client:
        images = list(client.iter_sample(150, seed=7))
    assert len(images) == 150
    assert near(np.stack(images[::50]), expected(tools, [7, 57, 107]))


def test_a_stream_without_end_asks_only_a_little_ahead(serve, tools):
    served = serve()
    with Client(served.target, concurrency=2) as client:
        stream = client.iter_sample(n=None, seed=2**62)
        some = np.stack(list(islice(stream, 65)))
        stream.close()
    assert near(some[[0, 64]], expected(tools, [2**62, 2**62 + 64]))
    assert len(served.prediction.requests) <= 2 + 2 * 2


def test_a_stream_ends_with_the_last_seed_there_is(serve):
    with Client(serve().target) as client:
        assert len(list(client.iter_sample(n=None, seed=2**63 - 3))) == 3
        with pytest.raises(UsageError, match="leave int64"):
            client.iter_sample(n=4, seed=2**63 - 3)


def test_memory_does_not_grow_with_the_number_of_images(serve, tools):
    image = tools.as_content(np.full((1, 64, 64, 3), 0.5, np.float32)).SerializeToString()

    def answer(request, context):
        response = predict_pb2.PredictResponse()
        response.outputs["images"].ParseFromString(image)
        response.outputs["images"].tensor_shape.dim[0].size = rows_of(request)
        response.outputs["images"].tensor_content *= rows_of(request)
        return response

    served = serve(answer=answer, signatures=tools.signature_table(image_shape=(64, 64, 3)))
    tracemalloc.start()
    try:
        with Client(served.target, concurrency=2, batch_size=16) as client:
            assert sum(int(image[0, 0, 0]) for image in client.iter_sample(2000)) == 2000 * 128
        assert tracemalloc.get_traced_memory()[1] < 20e6  # 2,000 images are 25 MB, as floats 98 MB
    finally:
        tracemalloc.stop()


def test_requests_run_together_and_come_back_in_order_whichever_is_answered_first(serve, tools):
    served = serve()
    later, together, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def answer(request, context):
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
            number = len(served.prediction.requests)
        if number == 2:  # is answered after one that was sent after it
            later.wait(30)
        elif number > 2:
            later.set()
        with lock:
            together[0] -= 1
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, concurrency=3, batch_size=10) as client:
        batches = list(client.stream(range(95)))
    assert [batch.seeds[0] for batch in batches] == list(range(0, 95, 10))
    assert near(np.concatenate([batch.images for batch in batches]), expected(tools, range(95)))
    assert 2 <= most[0] <= 3


def test_a_server_that_takes_one_request_at_a_time_gets_no_more(serve, tools):
    served = serve(at_once=1)
    with Client(served.target, concurrency=4, batch_size=5) as client:
        assert near(client.sample(60), expected(tools, range(60)))


def test_latents_may_be_given_instead_of_seeds(serve, tools):
    latents = tools.draw([3, 9])
    with Client(serve().target) as client:
        assert near(client.sample(latents=latents, truncation=0.5), tools.pixels(tools.render(latents * 0.5)))
        assert next(client.stream(latents=latents.astype(np.float64))).seeds.tolist() == [0, 1]
        for wrong, message in (
            (latents[:, :4], "found 4 an image, expected 5"),
            (latents[0], "expected numbers"),
            (latents * np.nan, "not finite"),
        ):
            with pytest.raises(UsageError, match=rf"^latents: .*{message}"):
                client.sample(latents=wrong)
        with pytest.raises(UsageError, match=r"^latents: found some, expected none"):
            client.sample(latents=latents, signature="seeds")


def test_each_image_may_have_a_label_of_its_own(serve, tools):
    served = serve(signatures=tools.signature_table(conditional=True))
    labels = [0, 1, 2, 3, 4]
    with Client(served.target, batch_size=2) as client:
        assert near(client.sample(5, label=labels), expected(tools, range(5), labels=labels))
        assert [batch.labels.tolist() for batch in client.stream(range(5), label=labels)] == [[0, 1], [2, 3], [4]]
        for wrong in ([0, 1], [0, 1, 2, 3, -1], [0.5] * 5):
            with pytest.raises(UsageError, match=r"^label: found"):
                client.sample(5, label=wrong)


def test_the_cheapest_signature_is_found(serve, tools):
    for names, chosen in (("png seeds uint8 serving_default", "uint8"), ("png serving_default", "serving_default")):
        served = serve(signatures={name: tools.signature_table()[name] for name in names.split()})
        with Client(served.target) as client:
            assert near(client.sample(2, signature="auto"), expected(tools, [0, 1]))
        assert [request.model_spec.signature_name for request in served.prediction.requests] == [chosen]


def test_the_first_request_is_small_where_nothing_says_how_large_images_are(serve):
    served = serve()
    with Client(served.target) as client:
        client.sample(40, signature="png")
        client.sample(40, signature="uint8")
    assert [rows_of(request) for request in served.prediction.requests] == [16, 24, 40]


def test_a_batch_says_what_it_cost(serve):
    with Client(serve().target) as client:
        exchange = next(client.stream(range(8))).exchange
    assert exchange.sent_bytes > 8 * 5 * 4
    assert exchange.received_bytes > 8 * 72
    assert exchange.wait_seconds > 0
    assert exchange.read_seconds > 0
    assert exchange.attempts == 1


def test_parts_that_wait_for_an_earlier_one_do_not_pile_up(serve):
    served = serve()
    full, overrun, seeds, held = threading.Event(), threading.Event(), set(), []

    def answer(request, context):
        (seed,) = tf.make_ndarray(request.inputs["seeds"]).tolist()
        seeds.add(seed)
        if len(seeds) >= 5:  # the first, the one that is held, and three more
            full.set()
        if len(seeds) > 5 and not held:
            overrun.set()
        if seed == 1:
            assert full.wait(30)
            held.append(overrun.wait(0.3))
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, concurrency=2, batch_size=1) as client:
        assert client.sample(20, signature="seeds").shape[0] == 20
    assert held == [False]
