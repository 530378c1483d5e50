"""The state of a version as clients see it, and the record of a failed load. Plain data for model.py."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import IntEnum

from genserve.errors import ServeError
from genserve.repository.versions import Fingerprint, Place, fingerprint

NEVER = float("inf")


class State(IntEnum):
    """The states of a version, numbered as ModelVersionStatus.State of get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version, and why it does not serve where it failed."""

    state: State
    error: ServeError | None = None


@dataclass(frozen=True)
class Retries:
    """How often a version that failed to load is tried again, and how many seconds apart."""

    count: int = 5
    seconds: float = 60.0

    def failure(self, before: Failure | None, files: Fingerprint) -> Failure:
        """The record of one more failed load, of these files."""
        tries = before.tries + 1 if before else 1
        due = time.monotonic() + max(0.0, self.seconds) if tries <= self.count else NEVER
        return Failure(tries, files, files, due)


@dataclass
class Failure:
    """A version that did not load: how often, its files when last tried and as last seen, when it is due again."""

    tries: int
    tried: Fingerprint
    seen: Fingerprint
    due: float  # on the monotonic clock; NEVER once only changed files bring it back

    def look(self, path: Place) -> None:
        """Make it due now where its files have changed since the last try and then lain still for a look."""
        now = fingerprint(path)
        if now == self.seen and now != self.tried:
            self.tries, self.due = 0, 0.0
        self.seen = now

    @property
    def final(self) -> bool:
        """Whether it is not tried again by itself."""
        return self.due == NEVER
