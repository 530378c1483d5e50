"""The schedule of a call: however servers refuse, split or lose its parts, every row comes out once and in order."""

import random

import grpc
import pytest
from genclient import RpcError
from genclient.schedule import Limits, Plan, Schedule

MOST_STEPS = 5_000


def refusal(code, details=""):
    """What a server answers instead."""
    return RpcError("server:8500", grpc.StatusCode[code], details)


def plan(rows, **settings):
    """A call of so many rows to a patient caller."""
    values = {"fewest": 16, "most": 64, "batch_bytes": 2**22, "most_bytes": 2**25, "batch_size": None}
    values |= {"concurrency": 4, "timeout_seconds": 1e6, "retry_seconds": 1e6, **settings}
    return Plan(rows, **values)


def run(schedule, answer, draw):
    """Drive a call to its end on a clock of its own, replies in any order; gives the rows that came out, in order.

    `answer` takes a part and gives the error it meets, or None.
    """
    now, running, rows = 0.0, [], []
    for _ in range(MOST_STEPS):
        while (part := schedule.start(now)) is not None:
            running.append(part)
        if running:
            part = running.pop(draw.randrange(len(running)))
            error = answer(part)
            if error is None:
                schedule.arrived(part, range(part.start, part.stop), 100 * len(part))
            else:
                schedule.failed(part, error, now)
        for result in schedule.ready():
            rows += result
        if schedule.finished:
            return rows
        now += schedule.pause(now) or 0.1
    raise AssertionError(
        f"not over after {MOST_STEPS} steps; {len(rows)} rows so far, and {len(running)} parts under way"
    )


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 130, 1000])
@pytest.mark.parametrize("most", [1, 3, 8, 50])
def test_a_part_that_is_too_large_is_cut_and_no_row_is_lost(rows, most):
    def answer(part):
        if len(part) > most:
            return refusal("INVALID_ARGUMENT", f"Task size {len(part)} is larger than maximum input batch size {most}")
        return None

    draw = random.Random(rows * most)
    for batch_size in (None, 64):
        assert run(Schedule(plan(rows, batch_size=batch_size), Limits()), answer, draw) == list(range(rows))


def test_a_reply_with_too_many_bytes_is_cut_and_no_row_is_lost():
    def answer(part):
        size = len(part) * 700
        if size > 4000:
            return refusal("RESOURCE_EXHAUSTED", f"Received message larger than max ({size} vs. 4000)")
        return None

    assert run(Schedule(plan(77, batch_size=16), Limits()), answer, random.Random(0)) == list(range(77))


@pytest.mark.parametrize("seed", range(20))
def test_parts_that_are_lost_refused_and_cut_at_random_come_out_once_and_in_order(seed):
    draw = random.Random(seed)

    def answer(part):
        if draw.random() < 0.3:
            return refusal("UNAVAILABLE", "gone")
        if draw.random() < 0.2 and len(part) > 1:
            return refusal("RESOURCE_EXHAUSTED", "OOM when allocating tensor")
        return None

    rows = draw.randint(1, 400)
    schedule = Schedule(plan(rows, batch_size=draw.choice([None, 1, 7, 50]), concurrency=draw.randint(1, 5)), Limits())
    assert run(schedule, answer, draw) == list(range(rows))


def test_what_no_cutting_helps_ends_the_call():
    with pytest.raises(RpcError, match="larger than maximum"):
        run(
            Schedule(plan(5, batch_size=5), Limits()),
            lambda part: refusal("INVALID_ARGUMENT", "Task size 1 is larger than maximum input batch size 1"),
            random.Random(0),
        )
