"""A training that is ended by kill -9 in its middle."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any


def kill_after_a_checkpoint(process: Any, run: Path) -> int:
    """Kill -9 the training as soon as it has kept a checkpoint; how many images its newest one has seen.

    Args:
        process: what `forked.start` has returned.
        run: its run directory.
    """
    while not any((run / "checkpoints").glob("[0-9]*")):
        assert process.poll() is None, "the training ended before its first checkpoint"
        time.sleep(0.005)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    return max(int(path.name) for path in (run / "checkpoints").glob("[0-9]*"))
