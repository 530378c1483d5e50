"""Batching by a parameters file: every field means what TensorFlow Serving means by it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from batches import EXHAUSTED, FULL, IN_QUEUE, INVALID, PRECONDITION, UNAVAILABLE, Asked, busy, rows, same, words
from genserve import batching
from genserve.batching import Parameters, Threads
from genserve.batching.scheduler import Queue
from genserve.batching.task import Task
from genserve.errors import ServeError
from genserve.runtime.timing import Timing
from genserve.telemetry.monitoring import Monitoring


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


@pytest.mark.parametrize("settings", [None, Parameters(batch_timeout_micros=0, num_batch_threads=2)])
def test_what_is_too_late_when_its_turn_comes_never_reaches_the_model(ask, held, settings):
    asked = ask(settings)
    asked.now("loose", x=np.ones((1, 1), np.float32))
    for _ in range(200):
        with pytest.raises(ServeError, match="timeout exceeded while waiting in batching queue") as failure:
            asked.now("loose", deadline=time.monotonic(), x=np.ones((3, 1), np.float32))
        assert failure.value.code is EXHAUSTED
    assert held.sizes == [1]


def test_task_that_expires_between_queue_and_model_is_left_out_of_its_batch(ask, held):
    runner = ask(Parameters()).runner
    info = runner.signatures["loose"]
    name, output = info.inputs["x"].name, info.outputs["z"].name
    late, soon = (
        Task({name: np.ones((count, 1), np.float32)}, count, deadline)
        for count, deadline in ((3, time.monotonic()), (1, None))
    )
    for batch in ([late, soon], [late]):
        runner._process_with([output])(batch)
    assert (held.sizes, late.results, late.leads) == ([1], None, False)
    assert soon.results[0].tolist() == [[2]]


def test_metrics_count_the_rows_of_requests_and_those_of_padding_apart(ask):
    monitoring = Monitoring({}, "batch_threads")
    settings = Parameters(max_batch_size=8, allowed_batch_sizes=(4, 8), batch_timeout_micros=0)
    asked = ask(settings, observe=monitoring.batches("toy"))
    for count in (1, 3, 4, 5):
        asked.now("serving_default", x=rows(*range(count)))
    page = monitoring.page().decode()
    for name, value in [
        ("genserve_batch_rows_sum", 1 + 3 + 4 + 5),
        ("genserve_batch_rows_count", 4),
        ("genserve_batch_requests_sum", 4),
        ("genserve_batch_padding_rows_total", 3 + 1 + 0 + 3),
    ]:
        assert f'{name}{{model_name="toy"}} {value}\n' in page
    assert ":tensorflow:serving:batching_session:wrapped_run_count{} 4\n" in page


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


def test_requests_that_run_again_by_themselves_get_their_outputs_in_the_order_asked_for(ask, held, monkeypatch):
    def fail(feeds, *_):
        if len(next(iter(feeds.values()))) > 1:
            raise ServeError(INVALID, "too many")
        return run(feeds, *_)

    run = held.run
    monkeypatch.setattr(held, "run", fail)
    asked = ask(Parameters(max_batch_size=2, batch_timeout_micros=60_000_000))
    five, two = np.array([5], np.int32), np.array([2], np.int32)
    for future in [asked("pair", outputs=["sum", "difference"], a=five, b=two) for _ in range(2)]:
        same(future, [7], [3])


def test_timeout_counts_from_the_first_request_of_a_batch():
    settings = Parameters(max_batch_size=8, batch_timeout_micros=60_000_000)
    threads = Threads(settings)
    queue = Queue(settings, threads, lambda batch: None)
    with threads.changed:
        queue.put([Task({}, 1, None)])
        time.sleep(0.05)
        before = queue.seconds_left()
        queue.put([Task({}, 1, None)])
        assert queue.seconds_left() <= before
    threads.close()


def test_queue_takes_what_just_fills_its_open_batch(fails):
    settings = Parameters(max_batch_size=4, max_enqueued_batches=1, batch_timeout_micros=60_000_000)
    threads = Threads(settings)
    queue = Queue(settings, threads, lambda batch: None)
    with threads.changed:
        queue.put([Task({}, 2, None)])
        assert queue.parts(2) == [2]
        fails(UNAVAILABLE, FULL + "currently 1 batches enqueued and max_enqueued_batches is 1", queue.parts, 3)
    threads.close()


def test_models_that_share_a_thread_get_it_in_turn(held, pool, until):
    settings = Parameters(max_batch_size=1, num_batch_threads=1, max_enqueued_batches=9)
    threads = batching.Threads(settings)
    first, second = (Asked(batching.make(held, settings, threads), pool) for _ in range(2))
    held.gate.clear()
    futures = [first("serving_default", x=rows(1))]
    until(lambda: held.runs)
    for number, (asked, value) in enumerate([(first, 2), (first, 3), (second, 4)], start=1):
        futures.append(asked("serving_default", x=rows(value)))
        until(lambda number=number: first.runner.waiting + second.runner.waiting == number)
    held.gate.set()
    for future in futures:
        future.result(30)
    assert [int(next(iter(feeds.values()))[0, 0]) for feeds in held.runs] == [1, 4, 2, 3]
    for asked in (first, second):
        asked.runner.close()
    threads.close()


def test_seconds_in_the_queue_and_in_the_model_are_told_apart():
    task, timing = Task({}, 1, None), Timing()
    task.enqueued, task.started, task.compute = 1.0, 3.5, 0.25
    task.note(timing)
    assert (timing.queue, timing.compute) == (2.5, 0.25)


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
