"""Batching: requests share runs of the model, each gets its own rows or its own error, and the file says how."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve import batching
from genserve.batching import Parameters, adaptive, parameters
from genserve.errors import ServeError
from genserve.flags import FlagError
from genserve.servable import Servable
from genserve.timing import Timing

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
FULL = "The batch scheduling queue to which this task was submitted is full; "
IN_QUEUE = "Run() timeout exceeded while waiting in batching queue"


class Held:
    """A real version whose runs can be held up at a gate; remembers what was fed, and in which thread."""

    def __init__(self, servable):
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self.servable = servable
        self.gate = threading.Event()
        self.gate.set()
        self.runs, self.threads = [], []

    def run(self, feeds, fetches, deadline=None, timing=None):
        self.runs.append(feeds)
        self.threads.append(threading.current_thread().name)
        assert self.gate.wait(30)
        return self.servable.run(feeds, fetches)

    def graph_def(self):
        return self.servable._session.graph.as_graph_def()

    def close(self):
        pass

    @property
    def sizes(self):
        return [len(next(iter(feeds.values()))) for feeds in self.runs]


class Asked:
    """Runs signatures by name in front of a batcher, each request in a thread of its own."""

    def __init__(self, runner, pool):
        self.runner, self.pool = runner, pool

    def now(self, name, deadline=None, timing=None, outputs=None, **inputs):
        signature = self.runner.signatures[name]
        feeds = {signature.inputs[alias].name: np.asarray(value) for alias, value in inputs.items()}
        fetches = [signature.outputs[alias].name for alias in outputs or sorted(signature.outputs)]
        return self.runner.run(feeds, fetches, deadline, timing)

    def __call__(self, name, **inputs):
        return self.pool.submit(self.now, name, **inputs)


def rows(*values):
    """Rows of three equal numbers, float32."""
    return np.repeat(np.array(values, np.float32)[:, None], 3, axis=1)


def words(*texts):
    return np.array(texts, object)


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
    return Servable.load("toy", 1, path)


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


def same(future, *expected):
    for output, value in zip(future.result(30), expected, strict=True):
        np.testing.assert_array_equal(output, value)


def test_lone_request_runs_at_once_in_its_own_thread(ask, held):
    timing = Timing()
    (output,) = ask().now("serving_default", timing=timing, x=rows(1))
    np.testing.assert_array_equal(output, rows(2))
    assert held.threads == [threading.current_thread().name]
    assert timing.compute > 0


def test_what_waits_while_the_model_is_busy_becomes_one_batch(ask, held, behind):
    reports = []
    asked = ask(observe=reports.append)
    others = [lambda n=n: asked("serving_default", x=rows(n, n + 0.5)) for n in range(1, 6)]
    futures = behind(asked, lambda: asked("serving_default", x=rows(9)), others)
    same(futures[0], rows(18))
    for n, future in enumerate(futures[1:], start=1):
        same(future, rows(2 * n, 2 * n + 1))
    assert held.sizes == [1, 10]
    assert [(report.requests, report.rows) for report in reports] == [(1, 1), (5, 10)]


def test_batch_that_is_large_enough_starts_beside_the_one_that_runs(ask, held, until, monkeypatch):
    monkeypatch.setattr(adaptive, "RUNS", 2)
    asked = ask()
    held.gate.clear()
    futures = [asked("serving_default", x=rows(0))]
    until(lambda: held.runs)
    futures += [asked("serving_default", x=rows(*range(count))) for count in (4, 5)]
    until(lambda: asked.runner.waiting == 2)
    futures.append(asked("serving_default", x=rows(*range(7))))  # 16 rows wait now
    until(lambda: held.sizes == [1, 16])
    futures.append(asked("serving_default", x=rows(*range(20))))
    until(lambda: asked.runner.waiting == 1)  # but not a third one
    held.gate.set()
    for future, count in zip(futures, (1, 4, 5, 7, 20), strict=True):
        same(future, rows(*range(0, 2 * count, 2)))


def test_requests_of_other_kinds_get_batches_of_their_own(ask, held, behind):
    asked = ask()
    others = [
        lambda: asked("serving_default", x=rows(1)),
        lambda: asked("loose", x=np.ones((1, 2), np.float32)),
        lambda: asked("loose", x=np.ones((1, 4), np.float32)),
        lambda: asked("serving_default", x=rows(2)),
        lambda: asked("pair", outputs=["sum"], a=np.array([1], np.int32), b=np.array([2], np.int32)),
        lambda: asked("pair", a=np.array([5, 6], np.int32), b=np.array([2, 2], np.int32)),
    ]
    futures = behind(asked, lambda: asked("serving_default", x=rows(9)), others)
    same(futures[1], rows(2))
    same(futures[2], [[2, 2]])
    same(futures[3], [[2, 2, 2, 2]])
    same(futures[4], rows(4))
    same(futures[5], [3])
    same(futures[6], [3, 4], [7, 8])
    assert sorted(held.sizes) == [1, 1, 1, 1, 2, 2]


def test_bad_request_fails_alone_and_the_others_of_its_batch_are_answered(ask, held, behind):
    asked = ask()
    texts = [b"1", b"two", b"3"]
    futures = behind(
        asked, lambda: asked("number", s=words(b"0")), [lambda t=t: asked("number", s=words(t)) for t in texts]
    )
    same(futures[1], [1])
    same(futures[3], [3])
    with pytest.raises(ServeError, match="could not correctly convert string: two") as failure:
        futures[2].result(30)
    assert failure.value.code is INVALID
    assert held.sizes == [1, 3, 1, 1, 1]


def test_outputs_that_are_not_a_row_for_a_row_are_found_out_and_run_alone(ask, held, behind):
    asked = ask()
    others = [lambda: asked("total", x=rows(1, 2)), lambda: asked("total", x=rows(3, 0))]
    for future, total in zip(behind(asked, lambda: asked("total", x=rows(9)), others), (9, 3, 3), strict=True):
        same(future, [total] * 3)
    held.runs.clear()
    held.gate.clear()
    again = [asked("total", x=rows(n)) for n in range(3)]
    held.gate.set()
    for n, future in enumerate(again):
        same(future, [n] * 3)
    assert held.sizes == [1, 1, 1]


def test_signature_that_changes_state_is_never_batched(ask, held, until):
    asked = ask()
    before = int(asked("counted", x=rows(0)).result(30)[0][0])
    held.gate.clear()
    futures = [asked("counted", x=rows(0)) for _ in range(5)]
    until(lambda: len(held.runs) == 6)  # none of them waits for another
    held.gate.set()
    for future in futures:  # what each reads may be of after another's step: adding and reading are two ops
        assert before < int(future.result(30)[0][0]) <= before + 5
    assert held.sizes == [1] * 6
    assert int(asked("counted", x=rows(0)).result(30)[0][0]) == before + 6


def test_empty_scalar_large_and_unequal_inputs_run_alone_with_their_usual_answers(ask):
    asked = ask()
    assert asked.now("serving_default", x=rows())[0].shape == (0, 3)
    assert asked.now("scalar", x=rows(1, 2)) == [9]
    assert len(asked.now("serving_default", x=rows(*range(200)))[0]) == 200
    one, three = np.array([1], np.int32), np.array([1, 2, 3], np.int32)
    np.testing.assert_array_equal(asked.now("pair", a=three, b=one)[1], [2, 3, 4])


def test_deadline_that_passes_in_the_queue_ends_the_wait_and_nothing_else(ask, held, until, fails):
    asked = ask()
    held.gate.clear()
    first = asked("serving_default", x=rows(1))
    until(lambda: held.runs)
    fails(EXHAUSTED, IN_QUEUE, asked.now, "serving_default", deadline=time.monotonic() + 0.01, x=rows(2))
    assert asked.runner.waiting == 0
    held.gate.set()
    same(first, rows(2))
    np.testing.assert_array_equal(asked.now("serving_default", x=rows(3))[0], rows(6))


def test_queue_of_the_default_is_bounded(ask, held, until, fails, monkeypatch):
    monkeypatch.setattr(adaptive, "MAX_WAITING", 2)
    asked = ask()
    held.gate.clear()
    futures = [asked("serving_default", x=rows(1))]
    until(lambda: held.runs)
    futures += [asked("serving_default", x=rows(1)) for _ in range(2)]
    until(lambda: asked.runner.waiting == 2)
    fails(UNAVAILABLE, FULL + "currently 2 requests wait", asked.now, "serving_default", x=rows(1))
    held.gate.set()
    for future in futures:
        same(future, rows(2))


@pytest.mark.parametrize("settings", [None, Parameters(allowed_batch_sizes=(4, 16), max_batch_size=16)])
def test_many_clients_at_once_all_get_their_own_rows(ask, settings):
    asked = ask(settings)

    def client(number):
        for turn in range(20):
            value = 1000 * number + turn
            (output,) = asked.now("serving_default", x=rows(*[value] * (1 + turn % 5)))
            np.testing.assert_array_equal(output, rows(*[2 * value] * (1 + turn % 5)))

    for future in [asked.pool.submit(client, number) for number in range(32)]:
        future.result(60)


FILE = """
max_batch_size { value: 64 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 7 }
num_batch_threads { value: 3 }
thread_pool_name { value: "mine" }
allowed_batch_sizes: 8
allowed_batch_sizes: 32
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 32 }
"""


def test_parameters_file_says_everything_and_an_empty_one_gives_the_defaults(tmp_path):
    file = tmp_path / "batching.txt"
    file.write_text(FILE)
    assert parameters.read(file) == Parameters(64, 2000, 7, 3, "mine", (8, 32), True, True, 32)
    file.write_text("")
    found = parameters.read(file)
    assert (found.max_batch_size, found.batch_timeout_micros, found.max_enqueued_batches) == (1000, 0, 10)
    assert (found.allowed_batch_sizes, found.execution_size) == ((), 1000)
    assert found.num_batch_threads >= 1


BAD_FILES = {
    "max_batch_size: 4": "max_batch_size",
    "max_batch { value: 4 }": "max_batch",
    "max_batch_size { value: 0 }": "max_batch_size must be positive; was 0",
    "num_batch_threads { value: 0 }": "num_batch_threads must be positive; was 0",
    "batch_timeout_micros { value: -1 }": "batch_timeout_micros must be non-negative; was -1",
    "max_enqueued_batches { value: -1 }": "max_enqueued_batches must be non-negative; was -1",
    "allowed_batch_sizes: 8": (
        "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000"
    ),
    "max_batch_size { value: 4 } allowed_batch_sizes: 4 allowed_batch_sizes: 2 allowed_batch_sizes: 4": (
        "allowed_batch_sizes entries must be positive and monotonically increasing"
    ),
    "max_batch_size { value: 8 } allowed_batch_sizes: 8 enable_large_batch_splitting { value: true } "
    "max_execution_batch_size { value: 4 }": (
        "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 8; expected 4"
    ),
    "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 8 }": (
        "When enable_large_batch_splitting is true, max_batch_size must be greater than or equal to "
        "max_execution_batch_size; were 4 and 8"
    ),
    "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }": (
        "max_enqueued_batches must be positive; was 0"
    ),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_parameters_file_is_refused_in_one_line_that_names_file_and_field(tmp_path, text):
    file = tmp_path / "batching.txt"
    file.write_text(text)
    with pytest.raises(FlagError) as failure:
        parameters.read(file)
    message = str(failure.value)
    assert message.startswith("--batching_parameters_file")
    assert str(file) in message
    assert BAD_FILES[text] in message
    assert "\n" not in message


def test_missing_and_binary_parameters_files_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary", "."):
        with pytest.raises(FlagError, match="--batching_parameters_file"):
            parameters.read(tmp_path / name)


def test_full_batch_does_not_wait_for_the_timeout_and_the_timeout_sends_what_there_is(ask, held):
    patient = ask(Parameters(max_batch_size=4, batch_timeout_micros=60_000_000))
    for future in [patient("serving_default", x=rows(n)) for n in range(4)]:
        assert future.result(30)
    assert held.sizes == [4]
    hasty = ask(Parameters(max_batch_size=4, batch_timeout_micros=1000))
    np.testing.assert_array_equal(hasty.now("serving_default", x=rows(1))[0], rows(2))


def test_batch_is_padded_to_the_next_allowed_size_with_its_last_requests_first_row(ask, held):
    reports = []
    settings = Parameters(max_batch_size=8, allowed_batch_sizes=(2, 8), batch_timeout_micros=0)
    asked = ask(settings, observe=reports.append)
    np.testing.assert_array_equal(asked.now("serving_default", x=rows(1, 2, 3))[0], rows(2, 4, 6))
    (fed,) = held.runs[0].values()
    np.testing.assert_array_equal(fed, rows(1, 2, 3, 1, 1, 1, 1, 1))
    assert reports == [(1, 3, 5)]


def test_batch_threads_bear_the_pools_name_and_are_shared_by_all_models(held, pool, until):
    settings = Parameters(num_batch_threads=1, thread_pool_name="shared")
    threads = batching.Threads(settings)
    runners = [Asked(batching.make(held, settings, threads), pool) for _ in range(2)]
    held.gate.clear()
    futures = [runner("serving_default", x=rows(1)) for runner in runners]
    until(lambda: sum(runner.runner.waiting for runner in runners) == 1)  # one thread: the other batch waits
    held.gate.set()
    for future in futures:
        same(future, rows(2))
    assert set(held.threads) == {"shared_0"}
    for runner in runners:
        runner.runner.close()
    threads.close()


def test_request_that_is_too_large_is_refused(ask, fails):
    message = "Task size 5 is larger than maximum input batch size 4"
    fails(INVALID, message, ask(Parameters(max_batch_size=4)).now, "serving_default", x=rows(*range(5)))


def test_inputs_that_cannot_be_batched_are_refused(ask, fails):
    asked = ask(Parameters())
    one, two = np.array([1], np.int32), np.array([1, 2], np.int32)
    message = "Batching Run() input tensors must have equal 0th-dimension size"
    fails(INVALID, message, asked.now, "pair", a=one, b=two)
    message = "Batching Run() input tensors must have at least one dimension"
    fails(INVALID, message, asked.now, "serving_default", x=np.float32(1))


def test_outputs_that_cannot_be_split_are_refused(ask, fails):
    asked = ask(Parameters())
    fails(PRECONDITION, "Batched output tensor has 0 dimensions", asked.now, "scalar", x=rows(1))
    message = (
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
    )
    fails(PRECONDITION, message, asked.now, "total", x=rows(1, 2))


def test_output_filter_and_empty_batch_go_past_the_batcher(ask, held):
    asked = ask(Parameters(batch_timeout_micros=60_000_000))
    one = np.array([1], np.int32)
    assert asked.now("pair", outputs=["sum"], a=one, b=one)[0].tolist() == [2]
    assert asked.now("serving_default", x=rows())[0].shape == (0, 3)
    assert held.threads == [threading.current_thread().name] * 2


def busy(ask, held, until, settings, *waiting):
    """A batcher whose only thread is held up by one request, with others of so many rows in the queue."""
    asked = ask(settings)
    held.gate.clear()
    futures = [asked("loose", x=np.zeros((1, 1), np.float32))]
    until(lambda: held.runs)
    for number, count in enumerate(waiting, start=1):
        futures.append(asked("loose", x=np.ones((count, 1), np.float32)))
        until(lambda number=number: asked.runner.waiting >= number)
    return asked, futures


def test_full_queue_refuses_and_goes_on(ask, held, until, fails):
    settings = Parameters(max_batch_size=2, max_enqueued_batches=2, num_batch_threads=1)
    asked, futures = busy(ask, held, until, settings, 2, 2)
    message = FULL + "currently 2 batches enqueued and max_enqueued_batches is 2"
    fails(UNAVAILABLE, message, asked.now, "loose", x=np.ones((1, 1), np.float32))
    held.gate.set()
    assert [len(future.result(30)[0]) for future in futures] == [1, 2, 2]
    assert len(asked.now("loose", x=np.ones((1, 1), np.float32))[0]) == 1


def test_deadline_that_passes_in_a_scheduled_queue(ask, held, until, fails):
    asked, futures = busy(ask, held, until, Parameters(num_batch_threads=1))
    deadline = time.monotonic() + 0.01
    fails(EXHAUSTED, IN_QUEUE, asked.now, "loose", deadline=deadline, x=np.ones((3, 1), np.float32))
    held.gate.set()
    assert futures[0].result(30)
    assert len(asked.now("loose", x=np.ones((1, 1), np.float32))[0]) == 1
    assert 3 not in held.sizes


def test_different_inner_shapes_fail_together_unless_they_are_padded(ask, held, until):
    for pad in (False, True):
        held.runs.clear()
        settings = Parameters(num_batch_threads=1, pad_variable_length_inputs=pad)
        asked, _ = busy(ask, held, until, settings)
        futures = [asked("loose", x=np.array([[1, 2]], np.float32))]
        until(lambda asked=asked: asked.runner.waiting == 1)
        futures.append(asked("loose", x=np.array([[5, 6, 7]], np.float32)))
        until(lambda asked=asked: asked.runner.waiting == 2)
        held.gate.set()
        if pad:
            same(futures[0], [[2, 3, 2]])  # padded with the tensor's own first value
            same(futures[1], [[6, 7, 8]])
            continue
        for future in futures:
            with pytest.raises(ServeError, match="different shapes and padding is turned off") as failure:
                future.result(30)
            assert failure.value.code is PRECONDITION


def test_bad_request_fails_alone_in_a_scheduled_batch_too(ask, held):
    asked = ask(Parameters(max_batch_size=3, batch_timeout_micros=60_000_000))
    futures = [asked("number", s=words(text)) for text in (b"1", b"two", b"3")]
    same(futures[0], [1])
    same(futures[2], [3])
    with pytest.raises(ServeError, match="could not correctly convert string: two"):
        futures[1].result(30)


def test_large_request_is_split_over_batches_and_put_together_again(ask, held):
    settings = Parameters(
        max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=4, allowed_batch_sizes=(1, 4)
    )
    asked = ask(settings)
    np.testing.assert_array_equal(asked.now("serving_default", x=rows(*range(10)))[0], rows(*range(0, 20, 2)))
    assert sorted(held.sizes) == [4, 4, 4]
    first, second = asked.now("pair", a=np.arange(10, dtype=np.int32), b=np.ones(10, np.int32))
    assert (first.tolist(), second.tolist()) == (list(range(-1, 9)), list(range(1, 11)))


def test_split_request_fills_the_open_batch_and_is_refused_where_it_does_not_fit(ask, held, until, fails):
    settings = Parameters(
        max_batch_size=8,
        max_execution_batch_size=4,
        enable_large_batch_splitting=True,
        max_enqueued_batches=2,
        num_batch_threads=1,
    )
    asked, futures = busy(ask, held, until, settings, 1, 5)
    message = FULL + (
        "task size is 3 but scheduling capacity is only 2 (num_enqueued_batches=2, max_enqueued_batches=2, "
        "open_batch_size=2, max_execution_batch_size=4)"
    )
    fails(UNAVAILABLE, message, asked.now, "loose", x=np.ones((3, 1), np.float32))
    held.gate.set()
    assert [len(future.result(30)[0]) for future in futures] == [1, 1, 5]
    assert held.sizes == [1, 4, 2]


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
