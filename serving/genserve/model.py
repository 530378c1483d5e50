"""One model by name: the state of each of its versions, and the swap from one to the next.

A new version is loaded, warmed up and made available before the old one goes; a request holds its version until it has
its answer, so the old one unloads only when nobody uses it. A version that fails to load never displaces another. Not
for how a version is loaded or run: `load` is handed in, and what it returns only has to close.
Source: TF Serving's core/availability_preserving_policy.cc, aspired_versions_manager.cc and servable_state_monitor.cc.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import grpc

from genserve.errors import ServeError, invalid_argument, not_found
from genserve.repository import Fingerprint, fingerprint, versions_on_disk, wanted

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0  # how often a standing complaint is logged again


class State(IntEnum):
    """The states of a version, numbered as ModelVersionStatus.State of get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version, and why it ended where it did not end in peace."""

    state: State
    error: ServeError | None = None


class Closable(Protocol):
    """What a loaded version must be able to do here."""

    def close(self) -> None:
        """Let go of the version's memory."""


S = TypeVar("S", bound=Closable)
Loader = Callable[[str, int, Path], S]


@dataclass
class _Loaded(Generic[S]):
    """A version that serves, and how many requests hold it."""

    servable: S
    users: int = 0


@dataclass
class _Failure:
    """A version that did not load: its files when it was tried, and as they were last seen."""

    tried: Fingerprint
    seen: Fingerprint


class Model(Generic[S]):
    """The versions of one model.

    `poll` belongs to one thread, the watcher; everything else may be called from any thread.
    """

    def __init__(self, name: str, base_path: Path, load: Loader[S]) -> None:
        """Load nothing yet; `load(name, version, path)` raises ServeError where a version cannot serve."""
        self.name = name
        self.base_path = base_path
        self.ready = threading.Event()  # set once a version has become available
        self._load = load
        self._loaded: dict[int, _Loaded[S]] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._failures: dict[int, _Failure] = {}
        self._changed = threading.Condition()
        self._complaint = ("", 0.0)

    @contextmanager
    def use(self, version: int | None) -> Iterator[S]:
        """Hold a version (the latest available for None) while a request runs on it.

        Raises:
            ServeError: NOT_FOUND, with TF Serving's words (ServableRequest::DebugString).
        """
        with self._changed:
            chosen = max(self._loaded, default=None) if version is None else version
            loaded = self._loaded.get(chosen) if chosen is not None else None
            if loaded is None:
                raise not_servable(self.name, version)
            loaded.users += 1
        try:
            yield loaded.servable
        finally:
            with self._changed:
                loaded.users -= 1
                self._changed.notify_all()

    @property
    def latest(self) -> int | None:
        """The version that answers where none is asked for."""
        with self._changed:
            return max(self._loaded, default=None)

    def statuses(self) -> dict[int, VersionStatus]:
        """The status of every version ever seen, the newest first; those unloaded stay listed as END."""
        with self._changed:
            return dict(sorted(self._statuses.items(), reverse=True))

    def poll(self) -> None:
        """Look at the disk once, then load and unload until the wanted versions serve.

        A base path that is missing changes nothing, since it may be away for a moment only; one that exists and holds
        no version unloads all. Both are logged.
        """
        try:
            found = versions_on_disk(self.base_path)
        except OSError as error:
            self._complain(f"could not read base path {self.base_path} for {self.name}: {error.strerror}")
            return
        if found:
            self._complaint = ("", 0.0)  # what comes back later is news again
        else:
            self._complain(f"no versions of {self.name} found under base path {self.base_path}: is a folder named 1?")
        for version in self._failures.keys() - found.keys():
            del self._failures[version]
        aspired = wanted(found)
        for version in sorted(aspired.keys() - self._loaded.keys(), reverse=True):
            if self._worth_trying(version, aspired[version]):
                self._make_available(version, aspired[version])
        if not aspired or aspired.keys() & self._loaded.keys():
            for version in sorted(self._loaded.keys() - aspired.keys()):
                self._unload(version)

    def _worth_trying(self, version: int, path: Path) -> bool:
        """Whether to load a version: not where it failed, unless its files have changed since and then lain still."""
        failure = self._failures.get(version)
        if failure is None:
            return True
        now = fingerprint(path)
        settled = now == failure.seen
        failure.seen = now
        return settled and now != failure.tried

    def _make_available(self, version: int, path: Path) -> None:
        before = fingerprint(path)  # taken first, so that a file written during the load counts as a change
        self._set(version, State.START)
        self._set(version, State.LOADING)
        started = time.monotonic()
        try:
            servable = self._load(self.name, version, path)
        except Exception as error:  # whatever a broken version raises, the watcher goes on
            failure = error if isinstance(error, ServeError) else unforeseen(error)
            self._failures[version] = _Failure(tried=before, seen=before)
            self._set(version, State.END, failure)
            log.error("%s version %d failed to load: %s: %s", self.name, version, failure.code.name, failure.line)
            return
        self._failures.pop(version, None)
        with self._changed:
            self._loaded[version] = _Loaded(servable)
            self._statuses[version] = VersionStatus(State.AVAILABLE)
        log.info("%s version %d loaded in %.1f s", self.name, version, time.monotonic() - started)
        self.ready.set()

    def _unload(self, version: int) -> None:
        """Take a version away from new requests, wait for those that hold it, then close it."""
        with self._changed:
            loaded = self._loaded.pop(version)
            self._statuses[version] = VersionStatus(State.UNLOADING)
            self._changed.wait_for(lambda: loaded.users == 0)
        loaded.servable.close()
        self._set(version, State.END)
        log.info("%s version %d unloaded", self.name, version)

    def _set(self, version: int, state: State, error: ServeError | None = None) -> None:
        with self._changed:
            self._statuses[version] = VersionStatus(state, error)

    def _complain(self, message: str) -> None:
        """Log a standing complaint once, then again now and then."""
        last, at = self._complaint
        if message != last or time.monotonic() - at > REPEAT_SECONDS:
            log.warning("%s", message)
            self._complaint = (message, time.monotonic())


Models = Mapping[str, Model[S]]


def not_servable(name: str, version: int | None) -> ServeError:
    """NOT_FOUND in the words of TF Serving's ServableRequest::DebugString (core/manager.h)."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return not_found(f"Servable not found for request: {asked}")


@contextmanager
def servable_for(models: Models[S], spec: Any) -> Iterator[S]:
    """Hold the version that a ModelSpec asks for.

    Checks in the order of ServerCore::ServableRequestFromModelSpec (TF Serving's model_servers/server_core.cc).

    Raises:
        ServeError: INVALID_ARGUMENT for no name or a label (there are none), NOT_FOUND for what does not serve.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
    version = spec.version.value if choice == "version" else None
    model = models.get(spec.name)
    if model is None:
        raise not_servable(spec.name, version)
    with model.use(version) as servable:
        yield servable


def unforeseen(error: Exception) -> ServeError:
    """An exception that nobody foresaw during a load, as the status of the version that it broke."""
    return ServeError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
