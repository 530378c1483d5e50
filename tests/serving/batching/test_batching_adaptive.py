"""Batching without parameters: requests share runs of the model, each gets its own rows or its own error."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from batches import EXHAUSTED, FULL, IN_QUEUE, INVALID, UNAVAILABLE, rows, same, words
from genserve.batching import Parameters, adaptive
from genserve.batching.task import Task
from genserve.errors import ServeError
from genserve.runtime.timing import Timing


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


def test_whoever_has_waited_longest_comes_first_and_no_batch_is_larger_than_the_limit(ask, held, behind, monkeypatch):
    monkeypatch.setattr(adaptive, "MAX_ROWS", 4)
    asked = ask()
    others = [
        lambda: asked("serving_default", x=rows(1, 2, 3)),
        lambda: asked("loose", x=np.ones((2, 2), np.float32)),
        lambda: asked("serving_default", x=rows(4, 5)),
        lambda: asked("serving_default", x=rows(6)),
    ]
    for future in behind(asked, lambda: asked("serving_default", x=rows(9)), others):
        future.result(30)
    batches = [next(iter(feeds.values()))[:, 0].tolist() for feeds in held.runs]
    assert batches == [[9], [1, 2, 3, 6], [1, 1], [4, 5]]


def test_what_became_too_late_while_it_waited_is_left_out_of_the_batch(ask, held, until, monkeypatch):
    monkeypatch.setattr(Task, "wait", lambda task, until=None: task._woken.acquire())  # a thread that is slow to notice
    asked = ask()
    held.gate.clear()
    running = asked("serving_default", x=rows(1))
    until(lambda: held.runs)
    waiting = asked("serving_default", x=rows(2))
    until(lambda: asked.runner.waiting == 1)
    late = asked("serving_default", deadline=time.monotonic() + 0.01, x=rows(3, 4))
    until(lambda: asked.runner.waiting == 2)
    time.sleep(0.02)
    held.gate.set()
    same(running, rows(2))
    same(waiting, rows(4))
    with pytest.raises(ServeError, match="timeout exceeded while waiting in batching queue"):
        late.result(30)
    assert held.sizes == [1, 1]


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
