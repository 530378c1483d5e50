"""One model: the state of each of its versions, and the transition between versions.

A new version is loaded, warmed up and made available before an old one is unloaded. A request holds its version until
it has its response, so an old version is only unloaded once no request uses it. A version that fails to load never
replaces another, and is retried. How a version is loaded is up to `load`.
Source: TF Serving's core/availability_preserving_policy.cc, aspired_versions_manager.cc and servable_state_monitor.cc.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from genserve.errors import ServeError, invalid_argument, not_found
from genserve.models.states import NEVER, Failure, Retries, State, VersionStatus
from genserve.repository.versions import LATEST, Fingerprint, Place, Policy, fingerprint, versions_in
from genserve.runtime.servable import Servable

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0  # before the same warning is logged again


Loader = Callable[[str, int, Place], Servable]


@dataclass
class _Loaded:
    """A loaded version, and the number of requests that use it."""

    servable: Servable
    users: int = 0


class Model:
    """The versions of one model.

    `look`, `settle` and `poll` belong to one thread, the watcher; everything else may be called from any thread.
    """

    def __init__(self, name: str, base_path: Place, load: Loader, retries: Retries | None = None) -> None:
        """Load nothing yet; `load(name, version, path)` raises ServeError where a version cannot serve."""
        self.name = name
        self.labels: Mapping[str, int] = {}
        self._load = load
        self._retries = retries or Retries()
        self._source: tuple[Place, Policy] | None = (base_path, LATEST)
        self._aspired: dict[int, Place] = {}
        self._loaded: dict[int, _Loaded] = {}
        self._statuses: dict[int, VersionStatus] = {}
        self._failures: dict[int, Failure] = {}
        self._changed = threading.Condition()  # its lock is reentrant
        self._warnings: dict[str, float] = {}
        self.looked = False  # whether the disk has been looked at

    def configure(self, base_path: Place, policy: Policy) -> None:
        """Serve other versions from the next poll on."""
        self._source = (base_path, policy)
        self.looked = False

    def retire(self) -> None:
        """Serve nothing from the next poll on; the versions stay listed as END."""
        self._source, self.labels = None, {}

    @property
    def retired(self) -> bool:
        """Whether the model has been taken out of the config."""
        return self._source is None

    @property
    def base_path(self) -> Place | None:
        """The folder of versions; None for a retired model."""
        return self._source[0] if self._source else None

    @property
    def aspired(self) -> list[int]:
        """The versions that should serve."""
        return sorted(self._aspired)

    @contextmanager
    def use(self, version: int | None) -> Iterator[Servable]:
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
                if not loaded.users:
                    self._changed.notify_all()

    def available(self) -> list[int]:
        """The versions that serve, the newest first."""
        with self._changed:
            return sorted(self._loaded, reverse=True)

    def statuses(self) -> dict[int, VersionStatus]:
        """The status of every version ever seen, the newest first; those unloaded stay listed as END."""
        with self._changed:
            return dict(sorted(self._statuses.items(), reverse=True))

    def abandoned(self) -> dict[int, ServeError]:
        """Why no version serves, by version, where none does and none will be tried again by itself; else nothing."""
        with self._changed:
            statuses = {version: self._statuses.get(version) for version in self._aspired}
            if self._loaded or any(status is None or status.state != State.END for status in statuses.values()):
                return {}
            return {version: status.error for version, status in statuses.items() if status and status.error}

    def wait(self, seconds: float) -> bool:
        """Wait until a version serves, or will not without a change; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._loaded or self.abandoned()) or self.retired, seconds)

    def poll(self) -> None:
        """Poll the disk once, then load and unload until the aspired versions serve."""
        self.look()
        self.settle()

    def look(self) -> None:
        """Poll the disk once: which versions are aspired, and have the failed ones changed?

        A base path that is missing changes nothing, since it may be away for a moment only; one that exists and holds
        no version takes all away. Both are logged.
        """
        source = self._source
        if source is None:
            self._aspire({})
            return
        base_path, policy = source
        try:
            found = versions_in(base_path)
        except (OSError, ValueError) as error:  # a path with a null character is a ValueError
            reason = getattr(error, "strerror", None) or error
            self._warn(f"could not read base path {base_path} for {self.name}: {reason}")
            self.looked = True
            return
        if not found:
            self._warn(f"no versions of {self.name} found under base path {base_path}: is a folder named 1?")
        for version in policy.missing(found):
            self._warn(f"{self.name} version {version} is asked for by the policy, but not under {base_path}")
        self._forget_warnings(found)
        self._aspire(policy.select(found))
        for version, failure in self._failures.items():
            failure.look(self._aspired[version])
        self.looked = True

    def settle(self) -> None:
        """Load and unload, one version at a time, until there is nothing to do for now."""
        while True:
            version = self._superfluous()
            if version is not None:
                self._unload(version)
                continue
            version = self._loadable()
            if version is None:
                return
            self._make_available(version, self._aspired[version])

    def next_try(self) -> float:
        """Seconds until a version that failed is to be tried again; infinity where none is."""
        due = min((failure.due for failure in self._failures.values()), default=NEVER)
        return max(0.0, due - time.monotonic())

    def _aspire(self, selected: dict[int, Place]) -> None:
        with self._changed:
            for version in selected.keys() - self._aspired.keys() - self._loaded.keys():
                self._statuses[version] = VersionStatus(State.START)  # whatever became of it before
            self._aspired = selected
        for version in self._failures.keys() - selected.keys():
            if not self._failures.pop(version).final:  # it was to be tried again
                self._set(version, State.END, self._statuses[version].error)

    def _superfluous(self) -> int | None:
        """The version to unload now: a new one serves, none is aspired, or two old ones would stay meanwhile."""
        old = sorted(self._loaded.keys() - self._aspired.keys())
        serving = self._aspired.keys() & self._loaded.keys()
        if old and (serving or not self._aspired or len(old) > 1):
            return old[0]
        return None

    def _loadable(self) -> int | None:
        """The highest aspired version that does not serve, and has not failed or is due for a retry."""
        now = time.monotonic()
        for version in sorted(self._aspired.keys() - self._loaded.keys(), reverse=True):
            failure = self._failures.get(version)
            if failure is None or failure.due <= now:
                return version
        return None

    def _make_available(self, version: int, path: Place) -> None:
        before = fingerprint(path)  # taken first, so that a file written during the load counts as a change
        self._set(version, State.LOADING, self._statuses[version].error)
        started = time.monotonic()
        try:
            servable = self._load(self.name, version, path)
        except Exception as error:  # whatever a broken version raises, the watcher goes on
            self._failed(version, before, error if isinstance(error, ServeError) else unforeseen(error))
            return
        self._failures.pop(version, None)
        # Logged first: who waits for the state may end the process, or log what follows from it.
        log.info("%s version %d loaded in %.1f s", self.name, version, time.monotonic() - started)
        with self._changed:
            self._loaded[version] = _Loaded(servable)
            self._statuses[version] = VersionStatus(State.AVAILABLE)
            self._changed.notify_all()

    def _failed(self, version: int, files: Fingerprint, error: ServeError) -> None:
        """LOADING, with the error, as long as it will be tried again; then END."""
        failure = self._failures[version] = self._retries.failure(self._failures.get(version), files)
        plan = "not tried again until its files change"
        if not failure.final:
            plan = f"try {failure.tries + 1} of {self._retries.count + 1} in {self._retries.seconds:g} s"
        log.error("%s version %d failed to load: %s: %s (%s)", self.name, version, error.code.name, error.line, plan)
        self._set(version, State.END if failure.final else State.LOADING, error)

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
            self._changed.notify_all()

    def _warn(self, message: str) -> None:
        """Log a warning, unless the same one was logged within the last minute."""
        now = time.monotonic()
        if now - self._warnings.get(message, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            log.warning("%s", message)
            self._warnings[message] = now

    def _forget_warnings(self, found: Mapping[int, Place]) -> None:
        """Once all is well; a warning that comes back after that is logged at once."""
        policy = self._source[1] if self._source else LATEST
        if found and not policy.missing(found):
            self._warnings.clear()


Models = Mapping[str, Model]


def not_servable(name: str, version: int | None) -> ServeError:
    """NOT_FOUND in the words of TF Serving's ServableRequest::DebugString (core/manager.h)."""
    request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return not_found(f"Servable not found for request: {request}")


@contextmanager
def servable_for(models: Models, spec: Any) -> Iterator[Servable]:
    """Hold the version that a ModelSpec specifies.

    Checks in the order of ServerCore::ServableRequestFromModelSpec (TF Serving's model_servers/server_core.cc).

    Raises:
        ServeError: INVALID_ARGUMENT for no name or an unknown label, NOT_FOUND for what does not serve.
    """
    if not spec.name:
        raise invalid_argument("ModelSpec has no name specified.")
    model = models.get(spec.name)
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    if choice == "version_label":
        version = model.labels.get(spec.version_label) if model else None
        if version is None:
            raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
    if model is None:
        raise not_servable(spec.name, version)
    with model.use(version) as servable:
        yield servable


def unforeseen(error: Exception) -> ServeError:
    """The status of a version whose load raised an unexpected exception."""
    return ServeError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
