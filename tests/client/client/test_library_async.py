"""AsyncClient does what Client does."""

from __future__ import annotations

import asyncio
import threading

import grpc
import numpy as np
import pytest
from genclient import RpcError, UsageError
from library_servers import closed_port, critic, expected, near, refusing, run_async, unload


def test_the_asynchronous_client_does_the_same(serve, tools):
    served = serve()

    async def act(client):
        assert await client.wait(30) == 3
        assert [version.state for version in await client.status()] == ["AVAILABLE"]
        assert (await client.info()).version == 3
        both = await asyncio.gather(client.sample(70), client.sample(3, seed=5, signature="png"))
        batches = [batch async for batch in client.stream(range(25), truncation=0.5)]
        images = [image async for image in client.iter_sample(25)]
        return *both, batches, images

    many, some, batches, images = run_async(served.target, act, batch_size=10)
    assert near(many, expected(tools, range(70)))
    assert near(some, expected(tools, [5, 6, 7]))
    assert [len(batch.seeds) for batch in batches] == [10, 10, 5]
    assert near(np.stack(images), expected(tools, range(25)))


def test_the_asynchronous_client_scores_reloads_and_begins_anew(serve, tools):
    images = np.full((3, *tools.IMAGE_SHAPE), 51, np.uint8)
    scores = run_async(serve(**critic(tools)).target, lambda client: client.score(images))
    np.testing.assert_allclose(scores, [0.2, 0.2, 0.2], atol=1e-6)
    served = serve()
    run_async(served.target, lambda client: client.reload('model_config_list { config { name: "a" } }'))
    assert len(served.model.configs) == 1
    unload(served)
    assert near(run_async(served.target, lambda client: client.sample(100), concurrency=1), expected(tools, range(100)))


def test_the_asynchronous_client_splits_retries_and_reports_alike(serve, tools):
    served = serve()
    refusing(served, grpc.StatusCode.INVALID_ARGUMENT, "Task size {rows} is larger than maximum input batch size 9", 9)
    assert near(run_async(served.target, lambda client: client.sample(64)), expected(tools, range(64)))
    port = int(served.target.rpartition(":")[2])

    async def interrupted(client):
        images = []
        async for image in client.iter_sample(60):
            images.append(image)
            if len(images) == 12:
                served.stop()
                threading.Timer(1, serve, kwargs={"port": port}).start()
        return np.stack(images)

    assert near(run_async(served.target, interrupted, batch_size=5, concurrency=2), expected(tools, range(60)))
    with pytest.raises(RpcError) as raised:
        run_async(f"127.0.0.1:{closed_port()}", lambda client: client.sample(1))
    assert raised.value.exit_code == 78
    with pytest.raises(UsageError, match=r"^label: found 1"):
        run_async(serve().target, lambda client: client.sample(1, label=1))


def test_an_asynchronous_stream_can_be_left_and_cancelled(serve):
    served = serve()
    began, gone = threading.Event(), threading.Event()

    def answer(request, context):
        context.add_callback(gone.set)
        began.set()
        gone.wait(30)

    async def leave(client):
        async for _ in client.iter_sample(n=None):
            break
        await client.info()
        served.prediction.answer = answer
        task = asyncio.create_task(client.sample(1))
        assert await asyncio.to_thread(began.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_async(served.target, leave)
    assert gone.wait(30)
