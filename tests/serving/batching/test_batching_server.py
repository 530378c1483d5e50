"""A server that batches, with a parameters file and without."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
from batches import INVALID


@pytest.fixture(scope="module")
def tuned(run_genserve, generator_path, tmp_path_factory):
    """A server with a parameters file."""
    file: Path = tmp_path_factory.mktemp("config") / "batching.txt"
    file.write_text(
        "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 8 num_batch_threads { value: 1 } "
        "max_enqueued_batches { value: 100 }"
    )
    flags = ("--enable_batching", f"--batching_parameters_file={file}")
    return run_genserve(generator_path, "digits", None, *flags).ready()


@pytest.fixture(scope="module")
def untuned(run_genserve, generator_path):
    """A server that batches by itself."""
    return run_genserve(generator_path, "digits", None, "--enable_batching").ready()


@pytest.mark.parametrize("server", ["tuned", "untuned"])
def test_batching_server_gives_every_client_the_images_of_its_own_latents(request, server, generator, pool, values):
    server = request.getfixturevalue(server)
    latents = np.random.default_rng(1).normal(size=(48, 5, 8)).astype(np.float32)
    sent = [z[: 1 + number % 5] for number, z in enumerate(latents)]
    answers = list(pool.map(lambda z: values(server.predict(latents=z))["images"], sent))
    for z, images in zip(sent, answers, strict=True):
        np.testing.assert_allclose(images, (generator(z) + 1) / 2, atol=1e-5)


def test_server_refuses_what_its_parameters_file_refuses(tuned):
    with pytest.raises(grpc.RpcError) as failure:
        tuned.predict(latents=np.zeros((9, 8), np.float32))
    assert failure.value.code() is INVALID
    assert failure.value.details() == "Task size 9 is larger than maximum input batch size 8"
