"""Work that takes long in a process of its own, while this one imports TensorFlow."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Result = TypeVar("Result")

SHORT = 0.3  # seconds: what takes no longer is waited for, and its errors are seen before anything else is begun


def aside(work: Callable[[], Result], meanwhile: Callable[[], None]) -> Result:
    """What `work` returns, or raises; it is done in a forked process while `meanwhile` is done here, if it takes long.

    Where processes cannot be forked, or TensorFlow with its threads is there already, it is done here. So it is where
    the process ends without an answer.

    Args:
        work: gives something that can be pickled, and changes nothing here.
        meanwhile: what is needed afterwards anyhow.
    """
    if not hasattr(os, "fork") or "tensorflow" in sys.modules:
        return work()
    forking = multiprocessing.get_context("fork")
    receiver, sender = forking.Pipe(duplex=False)
    process = forking.Process(target=_answer, args=(work, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(SHORT):
            meanwhile()
        answer = _received(receiver)
    finally:
        process.kill()
        process.join()
        receiver.close()
    if answer is None:
        return work()
    result, error = answer
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _received(receiver: Connection) -> tuple[Any, Exception | None] | None:
    try:
        return receiver.recv()  # type: ignore[no-any-return]
    except Exception:  # the process has ended without an answer, or this one cannot be made here
        return None


def _answer(work: Callable[[], Any], sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C goes to both, and is answered by the other
    gc.disable()  # this process is short, and looking through half a million names takes a tenth of its time
    answer: tuple[Any, Exception | None]
    try:
        answer = work(), None
    except Exception as error:
        answer = None, error
    with contextlib.suppress(Exception):  # whoever waited is gone, or it cannot be sent
        sender.send(answer)
