"""Who writes a set of files: several runs of one request may, and none of another one beside them.

Which request it is says the set's manifest; it is changed by one run at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from genclient.files import locks
from genclient.files.whole import writing


class Claim:
    """Held by every run that writes the set, from `share` on; it ends with the run, however that ends.

    Where files cannot be locked all are taken to be alone: there a manifest that is created once has to do.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Take where the set is and what distinguishes it from others there; nothing is held yet."""
        self._folder, self._path = folder, folder / f".genclient-{name}.lock"
        self._held: int | None = None

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Make the folder, and wait until nobody else is in such a block of it.

        Raises:
            ClientError: the folder cannot be made.
        """
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone_in_folder():
            yield

    def share(self) -> None:
        """Hold it with all others; within `changing`, as are all methods.

        Raises:
            ClientError: the folder takes no file.
        """
        if self._held is None:
            with writing(self._path):
                self._held = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
            locks.take(self._held, shared=True)

    def alone(self) -> bool:
        """Whether nobody else holds it."""
        if self._held is None:
            return True
        locked = locks.take(self._held)
        locks.take(self._held, shared=True)
        return locked is not False

    def release(self) -> None:
        """Let go; the last one leaves no lock file."""
        if self._held is None:
            return
        with contextlib.suppress(OSError), self._alone_in_folder():
            if locks.take(self._held) is not False:
                os.unlink(self._path)
        os.close(self._held)
        self._held = None

    @contextlib.contextmanager
    def _alone_in_folder(self) -> Iterator[None]:
        if os.name == "nt":  # where folders cannot be opened
            yield
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            locks.take(descriptor, wait=True)
            yield
        finally:
            os.close(descriptor)
