"""The schedule of a call: however servers refuse, split or lose its parts, every row comes out once and in order."""

import random

import grpc
import pytest
from genclient import ClientError, RpcError
from genclient.client.retry import FIRST_PAUSE, Throttle, more_specific, pause
from genclient.client.schedule import Limits, Plan, Schedule

MOST_STEPS = 5_000


def refusal(code, details=""):
    """What a server answers instead."""
    return RpcError("server:8500", grpc.StatusCode[code], details)


def plan(count, **settings):
    """A call of so many rows to a patient caller."""
    values = {"min_batch": 16, "max_batch": 64, "batch_bytes": 2**22, "max_batch_bytes": 2**25, "batch_size": None}
    values |= {"concurrency": 4, "timeout_seconds": 1e6, "retry_seconds": 1e6, **settings}
    return Plan(count, **values)


def run(schedule, answer, draw):
    """Drive a call to its end on a clock of its own, responses in any order; gives the rows that came out, in order.

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
        else:
            assert schedule.pause(now) is not None, f"nothing is under way and nothing follows; {len(rows)} rows so far"
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


def test_a_reply_with_too_many_bytes_is_cut_once_to_what_fits_and_no_row_is_lost():
    refused = []

    def answer(part):
        size = len(part) * 700
        if size > 4000:
            refused.append(len(part))
            return refusal("RESOURCE_EXHAUSTED", f"Received message larger than max ({size} vs. 4000)")
        return None

    limits = Limits()
    assert run(Schedule(plan(77, batch_size=16), limits), answer, random.Random(0)) == list(range(77))
    assert (refused, limits.batch_size) == ([16], 5)


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


CROWDED = refusal("RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!")


def begun(schedule, now):
    """Every part that the schedule would have sent at a time."""
    return list(iter(lambda: schedule.start(now), None))


def answered(schedule, parts):
    """Have parts answered and their results taken."""
    for part in parts:
        schedule.arrived(part, part.start, 100)
    list(schedule.ready())


def in_flight(schedule, now):
    """How many requests are in flight at a time; they are answered then."""
    parts = begun(schedule, now)
    answered(schedule, parts)
    return len(parts)


def test_a_server_with_too_many_requests_has_half_as_many_in_flight_and_slowly_more_again():
    schedule = Schedule(plan(1000, batch_size=1, concurrency=8), Limits())
    answered(schedule, begun(schedule, 0.0))
    parts = begun(schedule, 0.0)
    assert len(parts) == 8
    for part in parts[3:]:  # the refusals of one moment halve once
        schedule.failed(part, CROWDED, 0.0)
    assert begun(schedule, 0.0) == [], "three are in flight, and those that were refused wait for their pause"
    answered(schedule, parts[:3])
    parts = begun(schedule, 1.0)
    assert [(part.start, part.attempts) for part in parts] == [(start, 2) for start in (4, 5, 6, 7)]
    schedule.failed(parts[3], CROWDED, 1.0)
    answered(schedule, parts[:3])
    assert [in_flight(schedule, 2.0 + step) for step in range(8)] == [2, 2, 2, 3, 3, 3, 3, 4]
    assert max(in_flight(schedule, 20.0) for _ in range(30)) == 8


def test_a_server_that_takes_one_request_at_a_time_still_gets_one():
    schedule = Schedule(plan(3, batch_size=1, concurrency=2), Limits())
    answered(schedule, begun(schedule, 0.0))
    for now in (0.0, 10.0, 20.0):  # each refusal halves, and there is no half of one request
        parts = begun(schedule, now)
        assert parts
        for part in parts:
            schedule.failed(part, CROWDED, now)
    answered(schedule, begun(schedule, 30.0))
    answered(schedule, begun(schedule, 31.0))
    assert schedule.finished


def test_what_was_once_too_large_is_never_sent_again():
    limits = Limits()
    schedule = Schedule(plan(400, batch_size=50), limits)
    answered(schedule, begun(schedule, 0.0))
    first, second, *_ = begun(schedule, 0.0)
    for part, most in ((first, 8), (second, 20)):  # of two servers behind one address the other takes more
        details = f"Task size {len(part)} is larger than maximum input batch size {most}"
        schedule.failed(part, refusal("INVALID_ARGUMENT", details), 0.0)
    assert limits.batch_size == 8
    assert {len(part) for part in begun(schedule, 0.0)} <= {8, 2}


def test_what_no_cutting_helps_ends_the_call():
    with pytest.raises(RpcError, match="larger than maximum"):
        run(
            Schedule(plan(5, batch_size=5), Limits()),
            lambda part: refusal("INVALID_ARGUMENT", "Task size 1 is larger than maximum input batch size 1"),
            random.Random(0),
        )


def test_the_first_request_goes_alone_and_the_next_have_the_size_that_its_reply_allows():
    for example_bytes, rows in ((100, 32), (10_000_000, 3)):
        schedule = Schedule(plan(200, batch_bytes=3200), Limits())
        first = schedule.start(0.0)
        assert (len(first), schedule.start(0.0)) == (16, None)
        schedule.arrived(first, "images", 16 * example_bytes)
        assert [len(schedule.start(0.0)) for _ in range(4)] == [rows] * 4
        assert schedule.start(0.0) is None


def test_results_that_wait_for_an_earlier_one_are_bounded():
    schedule = Schedule(plan(100, batch_size=1, concurrency=2), Limits())
    schedule.arrived(schedule.start(0.0), "first", 100)
    assert list(schedule.ready()) == ["first"]
    held, others = schedule.start(0.0), []
    while (part := schedule.start(0.0)) is not None:
        others.append(part.start)
        schedule.arrived(part, part.start, 100)
    assert (held.start, others, list(schedule.ready())) == (1, [2, 3, 4], [])
    schedule.arrived(held, held.start, 100)
    assert list(schedule.ready()) == [1, 2, 3, 4]


def test_no_part_outlives_its_call():
    schedule = Schedule(plan(1, timeout_seconds=60, end=5.0), Limits())
    assert schedule.start(0.0).deadline == 5.0
    with pytest.raises(ClientError, match="the time for the whole call is over"):
        schedule.start(5.0)


def test_pauses_double_up_to_two_seconds_and_half_of_each_is_random():
    for failures in range(1, 2000, 3):
        longest = min(2.0, 0.1 * 2 ** min(failures - 1, 10))
        pauses = [pause(failures) for _ in range(20)]
        assert all(longest / 2 <= seconds <= longest for seconds in pauses)
        assert len(set(pauses)) > 1


def is_spared(throttle):
    """Whether requests to a server are held back once another one has failed."""
    throttle.failed(100.0)
    return throttle.retry_at() > 100.0


@pytest.mark.parametrize(
    ("failures", "successes", "spared"),
    [(0, 0, False), (3, 0, False), (4, 0, True), (8, 38, True), (8, 45, False), (50, 65, False), (4, 2000, False)],
)
def test_a_failure_takes_a_token_of_ten_a_success_gives_a_tenth_and_a_server_is_spared_at_half(
    failures, successes, spared
):
    throttle = Throttle()
    for _ in range(failures):
        throttle.failed(100.0)
    for _ in range(successes):
        throttle.succeeded()
    assert is_spared(throttle) is spared


def test_no_success_fills_the_bucket_over_its_brim():
    throttle = Throttle()
    for _ in range(2000):
        throttle.succeeded()
    assert [is_spared(throttle) for _ in range(6)] == [False] * 4 + [True] * 2


def test_after_a_success_pauses_begin_small_again():
    throttle = Throttle()
    for _ in range(9):
        throttle.failed(100.0)
    assert throttle.retry_at() - 100 > FIRST_PAUSE
    throttle.succeeded()
    throttle.failed(200.0)
    assert 0 < throttle.retry_at() - 200 <= FIRST_PAUSE


def test_of_two_failures_the_one_of_a_server_that_was_there_is_reported():
    there = refusal("UNAVAILABLE", "Socket closed")
    nowhere = refusal("UNAVAILABLE", "failed to connect to all addresses; last error: UNKNOWN: Connection refused")
    assert more_specific(there, nowhere) is there
    assert more_specific(nowhere, there) is there
    assert more_specific(there, again := refusal("UNAVAILABLE", "Socket closed")) is again


def test_calls_to_a_server_in_trouble_send_one_request_again_at_a_time():
    throttle = Throttle()
    for _ in range(8):
        throttle.failed(0.0)
    one, other, fresh = (Schedule(plan(1), Limits(), throttle) for _ in range(3))
    for call in (one, other):
        call.failed(call.start(0.0), refusal("UNAVAILABLE", "gone"), 0.0)
    sent = one.start(10.0)
    assert sent.attempts == 2
    assert (other.start(10.0), other.pause(10.0)) == (None, 2.0)
    assert fresh.start(10.0).attempts == 1, "what never failed is not held back"
    assert other.start(11.9) is None
    one.arrived(sent, "images", 100)
    assert other.start(11.9).attempts == 2, "the server has answered"


def test_a_request_under_way_holds_the_others_back_for_two_seconds_at_most():
    throttle = Throttle()
    for _ in range(8):
        throttle.failed(0.0)
    one, other = (Schedule(plan(1), Limits(), throttle) for _ in range(2))
    for call in (one, other):
        call.failed(call.start(0.0), refusal("UNAVAILABLE", "gone"), 0.0)
    assert (one.start(10.0).attempts, other.start(11.9)) == (2, None)
    assert other.start(12.0).attempts == 2
