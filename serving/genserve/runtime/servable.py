"""The protocol of a loaded version. Batchers and limits, which wrap one, implement it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from genserve.runtime.timing import Timing

Feeds = Mapping[str, np.ndarray]


class Servable(Protocol):
    """A loaded version; `signatures` maps signature keys to SignatureDefs."""

    name: str
    version: int
    signatures: dict[str, Any]

    def run(
        self, feeds: Feeds, fetches: Sequence[str], deadline: float | None = None, timing: Timing | None = None
    ) -> list[Any]:
        """Feed and fetch tensors by name.

        Args:
            feeds: an array for each tensor name.
            fetches: names of tensors.
            deadline: on the clock of `time.monotonic`.
            timing: where the seconds spent are added.

        Raises:
            ServeError: with TensorFlow's code and message; DEADLINE_EXCEEDED where it is too late.
        """

    def close(self) -> None:
        """Free the memory of the version."""
