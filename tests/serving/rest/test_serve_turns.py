"""Long REST requests leave the cores to short ones."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from genserve.rest import turns
from genserve.rest.turns import MOST_SECONDS, Turns


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on where somebody sleeps."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(turns, "time", clock)
    return clock


def waited(clock, turns, seconds=0.0):
    """How long a long request that takes so many seconds waits for its turn."""
    asked = clock.now
    with turns.long():
        begun = clock.now
        clock.sleep(seconds)
    return begun - asked


def test_long_request_waits_as_long_as_the_last_one_took_while_others_come(clock):
    others = Turns(itertools.count().__next__)
    assert waited(clock, others, 0.55) == 0
    assert waited(clock, others, 60) == pytest.approx(0.55, abs=turns.LOOK_SECONDS)
    assert waited(clock, others) == pytest.approx(MOST_SECONDS, abs=turns.LOOK_SECONDS)


def test_long_request_waits_for_nobody_where_there_are_no_others(clock):
    alone = Turns(lambda: 7)
    assert [waited(clock, alone, 1.0) for _ in range(3)] == [0, 0, 0]


def test_long_request_goes_on_once_others_have_gone(clock):
    counts = itertools.chain([1, 2, 3, 4], itertools.repeat(5))
    gone = Turns(counts.__next__)
    assert waited(clock, gone, 1.9) == 0
    assert waited(clock, gone) <= 2 * turns.LOOK_SECONDS
