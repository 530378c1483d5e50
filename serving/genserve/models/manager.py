"""All models of a server by name, each with a thread that watches its folder, and their version labels.

A new config replaces the old one. Configs come from config.py and reload.py; model.py manages the versions of a model.
Source: TF Serving's model_servers/server_core.cc (ReloadConfig, UpdateModelVersionLabelMap).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import grpc

from genserve.errors import ServeError
from genserve.models.config import ModelConfig
from genserve.models.model import Loader, Model
from genserve.models.states import Retries

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.1  # between two questions whether whoever waits is still there
REMEMBERED = 1000  # models taken out of the config whose versions' states can still be asked for


class Manager(Mapping[str, Model]):
    """The models of the config, by name.

    Iteration lists these alone. A model taken out of the config, once unloaded, has no thread any more; the states of
    its versions (END) can still be asked for by its name, as from TF Serving's servable_state_monitor.
    """

    def __init__(
        self, load: Loader, poll_seconds: float = 1.0, retries: Retries | None = None, labels_ahead: bool = False
    ) -> None:
        """Serve nothing yet.

        Args:
            load: what loads a version.
            poll_seconds: between polls of a model's folder; 0 polls once.
            retries: of versions that fail to load.
            labels_ahead: allow a new label to name a version that is not available yet.
        """
        self._load = load
        self._poll_seconds = poll_seconds
        self._retries = retries
        self._labels_ahead = labels_ahead
        self._models: dict[str, Model] = {}
        self._gone: dict[str, Model] = {}  # the oldest first
        self._wake: dict[str, threading.Event] = {}
        self._configs: list[ModelConfig] = []
        self._awaited: set[str] = set()  # new models that no reload has seen available yet
        self._reloading = threading.Lock()

    def __getitem__(self, name: str) -> Model:
        model = self._models.get(name)
        return self._gone[name] if model is None else model

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def configs(self) -> list[ModelConfig]:
        """The current config, in its order."""
        return list(self._configs)

    def reload(self, configs: Sequence[ModelConfig], keep_waiting: Callable[[], bool] = lambda: True) -> None:
        """Serve these models and no others; return once the new ones among them are available.

        New is also what another reload has added and still waits for: TF Serving does one reload after the other.

        Args:
            configs: checked, each name once.
            keep_waiting: called now and then while waiting; False ends the wait.

        Raises:
            ServeError: FAILED_PRECONDITION for a label on a version that is not available (nothing has changed then);
                UNKNOWN where a new model cannot be loaded.
        """
        self.change(lambda before: configs, keep_waiting)

    def change(
        self,
        change: Callable[[list[ModelConfig]], Sequence[ModelConfig]],
        keep_waiting: Callable[[], bool] = lambda: True,
    ) -> None:
        """As `reload`, with the config that `change` makes of the current one, atomically."""
        with self._reloading:
            configs = change(self.configs)
            self._check_labels(configs)
            names = {config.name for config in configs}
            self._awaited = (self._awaited & names) | {name for name in names if name not in self or self[name].retired}
            new = [config.name for config in configs if config.name in self._awaited]
            for name in self._models.keys() - names:
                self._retire(name)
            for config in configs:
                self._configure(config)
            self._configs = list(configs)
        self._wait(new, keep_waiting)

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            model = self.get(config.name)
            labels, available = (model.labels, model.available()) if model else ({}, [])
            for label, version in config.labels.items():
                ahead = self._labels_ahead and labels.get(label, version) == version
                if not ahead and version not in available:
                    raise ServeError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, "
                        "which is not currently available for inference",
                    )

    def _configure(self, config: ModelConfig) -> None:
        model = self.get(config.name) or Model(config.name, config.base_path, self._load, self._retries)
        model.labels = config.labels
        model.configure(config.base_path, config.policy)
        if config.name in self._models:
            self._wake[config.name].set()
        else:
            self._start(model)

    def _start(self, model: Model) -> None:
        woken = threading.Event()
        woken.set()
        # A dict is replaced, not changed, where other threads may be iterating over it.
        self._models = {**self._models, model.name: model}
        self._gone.pop(model.name, None)
        self._wake[model.name] = woken
        threading.Thread(target=self._watch, args=(model, woken), name=f"watcher-{model.name}", daemon=True).start()

    def _retire(self, name: str) -> None:
        self._models[name].retire()
        self._wake[name].set()

    def _forget(self, model: Model) -> bool:
        """Drop a model that has been taken out of the config and unloaded; False where it has not."""
        with self._reloading:
            if not model.retired or model.aspired or model.available():
                return False
            self._models = {name: other for name, other in self._models.items() if name != model.name}
            del self._wake[model.name]
            self._gone[model.name] = model
            for name in list(self._gone)[:-REMEMBERED]:
                del self._gone[name]
            return True

    def _watch(self, model: Model, woken: threading.Event) -> None:
        """Poll a model's folder while it is in the config; only when woken if `poll_seconds` is 0."""
        while not (model.retired and self._forget(model)):
            # Nothing wakes a model that is not polled but a new config or a try that is due.
            period = self._poll_seconds or threading.TIMEOUT_MAX
            look = woken.wait(min(period, model.next_try())) or self._poll_seconds > 0
            woken.clear()
            try:
                if look:
                    model.look()
                model.settle()
            except Exception:
                log.exception("looking for versions of %s failed", model.name)

    def _wait(self, names: Sequence[str], keep_waiting: Callable[[], bool]) -> None:
        """Wait until each of these models is available or has failed for good."""
        waiting = set(names)
        while waiting and keep_waiting():
            waiting = {name for name in waiting if not self[name].wait(WAIT_SECONDS / len(waiting))}
        with self._reloading:
            self._awaited -= set(names) - waiting
        failures = [
            f"{{{{name: {name} version: {version}}} due to error: {error.code.name}: {error.line}}}, "
            for name in names
            for version, error in self[name].abandoned().items()
        ]
        if failures:
            raise ServeError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{''.join(failures)}}}",
            )
