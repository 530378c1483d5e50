"""Progress of long steps: how far they are and how long they will take, at most one line in ten seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TypeVar

EVERY_S = 10.0

Item = TypeVar("Item")


class Progress:
    """Reports a loop, `what: 96 of 256 images, about 25 s to go`, unless it is quick."""

    def __init__(self, report: Callable[[str], None], what: str) -> None:
        self.report, self.what = report, what
        self.last = perf_counter()

    @classmethod
    def none(cls) -> Progress:
        """One that reports nothing."""
        return cls(lambda _: None, "")

    def over(self, items: Sequence[Item], unit: str = "images") -> Iterator[Item]:
        """The items, one after the other."""
        start = perf_counter()
        for done, item in enumerate(items):
            if done and (now := perf_counter()) - self.last >= EVERY_S:
                self.last = now
                left = (now - start) / done * (len(items) - done)
                self.report(f"{self.what}: {done} of {len(items)} {unit}, about {max(left, 1):.0f} s to go")
            yield item
