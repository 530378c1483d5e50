"""All models of a server by name: which there are, a thread for each that watches its folder, and their labels.

A new config replaces the old one whole. Not for where configs come from (config.py, reload.py) nor for the versions of
one model (model.py).
Source: TF Serving's model_servers/server_core.cc (ReloadConfig, UpdateModelVersionLabelMap).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import grpc

from genserve.config import ModelConfig
from genserve.errors import ServeError
from genserve.model import Loader, Model, S
from genserve.states import Retries

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.1  # between two questions whether whoever waits is still there


class Manager(Mapping[str, Model[S]]):
    """Every model that has ever been in the config, by name; those taken out of it serve nothing."""

    def __init__(
        self, load: Loader[S], poll_seconds: float = 1.0, retries: Retries | None = None, labels_ahead: bool = False
    ) -> None:
        """Serve nothing yet.

        Args:
            load: what loads a version.
            poll_seconds: between two looks at a model's folder; 0 looks once.
            retries: of versions that fail to load.
            labels_ahead: allow a new label to name a version that is not available yet.
        """
        self._load = load
        self._poll_seconds = poll_seconds
        self._retries = retries
        self._labels_ahead = labels_ahead
        self._models: dict[str, Model[S]] = {}
        self._wake: dict[str, threading.Event] = {}
        self._reloading = threading.Lock()

    def __getitem__(self, name: str) -> Model[S]:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def reload(self, configs: Sequence[ModelConfig], wanted: Callable[[], bool] = lambda: True) -> None:
        """Serve these models and no others; return once the new ones among them are available.

        Args:
            configs: checked, each name once.
            wanted: asked now and then while waiting; False ends the wait.

        Raises:
            ServeError: FAILED_PRECONDITION for a label on a version that is not available (nothing has changed then);
                UNKNOWN where a new model cannot be loaded.
        """
        with self._reloading:
            self._check_labels(configs)
            names = {config.name for config in configs}
            new = [config.name for config in configs if config.name not in self or self[config.name].retired]
            for name in self._models.keys() - names:
                self._retire(name)
            for config in configs:
                self._configure(config)
        self._wait(new, wanted)

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
        model = self.get(config.name)
        if model is None:
            model = Model(config.name, config.base_path, self._load, self._retries)
        model.labels = config.labels
        model.configure(config.base_path, config.policy)
        if config.name in self:
            self._wake[config.name].set()
        else:
            self._start(model)

    def _start(self, model: Model[S]) -> None:
        woken = threading.Event()
        woken.set()
        # A dict is replaced, not changed, where other threads may be iterating over it.
        self._models = {**self._models, model.name: model}
        self._wake[model.name] = woken
        threading.Thread(target=self._watch, args=(model, woken), name=f"watcher-{model.name}", daemon=True).start()

    def _retire(self, name: str) -> None:
        self._models[name].retire()
        self._wake[name].set()

    def _watch(self, model: Model[S], woken: threading.Event) -> None:
        """Poll one model's folder for as long as the process lives; only when woken where `poll_seconds` is 0."""
        while True:
            # Nothing wakes a model that has been retired, or is not polled, but a new config or a try that is due.
            period = self._poll_seconds if self._poll_seconds and not model.retired else threading.TIMEOUT_MAX
            look = woken.wait(min(period, model.next_try())) or self._poll_seconds > 0
            woken.clear()
            try:
                if look:
                    model.look()
                model.settle()
            except Exception:
                log.exception("looking for versions of %s failed", model.name)

    def _wait(self, names: Sequence[str], wanted: Callable[[], bool]) -> None:
        """Until every one of these models is available or has no hope of it."""
        waiting = set(names)
        while waiting and wanted():
            waiting = {name for name in waiting if not self[name].wait(WAIT_SECONDS / len(waiting))}
        failures = [
            f"{{{{name: {name} version: {version}}} due to error: {error.code.name}: {error.line}}}, "
            for name in names
            for version, error in self[name].given_up().items()
        ]
        if failures:
            raise ServeError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{''.join(failures)}}}",
            )
