"""A real version that batches well, badly and not at all, and batchers in front of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
from batches import Asked, Held
from genserve import batching
from genserve.errors import ServeError
from genserve.runtime.saved_model import SavedModelServable


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A real version with signatures that batch well, badly and not at all."""
    path = tmp_path_factory.mktemp("models") / "1"
    module = tf.Module()
    module.count = tf.Variable(0)

    def of(function, **inputs):
        specs = {name: tf.TensorSpec(shape, dtype, name=name) for name, (dtype, shape) in inputs.items()}
        return tf.function(function).get_concrete_function(**specs)

    def counted(x):
        return {"y": tf.fill(tf.shape(x)[:1], module.count.assign_add(1))}

    any_rows, loose = (tf.float32, [None, 3]), (tf.float32, [None, None])
    signatures = {
        "serving_default": of(lambda x: {"y": 2.0 * x}, x=any_rows),
        "loose": of(lambda x: {"z": x + 1.0}, x=loose),
        "pair": of(lambda a, b: {"sum": a + b, "difference": a - b}, a=(tf.int32, [None]), b=(tf.int32, [None])),
        "number": of(lambda s: {"y": tf.strings.to_number(s)}, s=(tf.string, [None])),
        "total": of(lambda x: {"t": tf.reduce_sum(x, axis=0)}, x=loose),
        "scalar": of(lambda x: {"r": tf.reduce_sum(x)}, x=any_rows),
        "counted": of(counted, x=any_rows),
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    return SavedModelServable.load("toy", 1, path)


@pytest.fixture
def held(model):
    return Held(model)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(64) as executor:
        yield executor


@pytest.fixture
def ask(held, pool, until):
    """A batcher in front of the model: `ask(Parameters(…))`, without parameters the one that needs none."""
    made = []

    def make(settings=None, **keywords):
        made.append(batching.make(held, settings, **keywords))
        return Asked(made[-1], pool)

    yield make
    held.gate.set()
    for runner in made:
        until(lambda runner=runner: runner.waiting == 0)
        runner.close()


@pytest.fixture
def fails():
    """Runs a call that must fail with a code and a message."""

    def check(code, message, call, *args, **kwargs):
        with pytest.raises(ServeError) as failure:
            call(*args, **kwargs)
        assert (failure.value.code, failure.value.message) == (code, message)

    return check


@pytest.fixture
def behind(held, until):
    """Keeps the model busy with one request while others are asked, then lets all of them go."""

    def submit(ask, first, others):
        held.gate.clear()
        futures = [first()]
        until(lambda: held.runs)
        for number, other in enumerate(others, start=1):
            futures.append(other())
            until(lambda number=number: ask.runner.waiting == number)
        held.gate.set()
        return futures

    return submit
