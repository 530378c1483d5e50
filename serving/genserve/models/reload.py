"""Changes the model config of a running server: HandleReloadConfigRequest, and polling of the config file.

Source: TF Serving's model_servers/model_service_impl.cc and server.cc (PollFilesystemAndReloadConfig).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from tensorflow_serving.apis import model_management_pb2

from genserve.errors import ServeError, invalid_argument, truncated
from genserve.models import config
from genserve.models.manager import Manager
from genserve.options.flags import FlagError

log = logging.getLogger(__name__)


def reload(models: Manager, request: Any, keep_waiting: Callable[[], bool] = lambda: True) -> Any:
    """Respond to a ReloadConfigRequest once the models that it adds are available; its status is then OK.

    Args:
        models: what is served.
        request: a ReloadConfigRequest.
        keep_waiting: whether the client still waits.

    Raises:
        ServeError: INVALID_ARGUMENT for a config that cannot be served, and as `Manager.reload`. In each case what was
            served before is still served, except where a new model cannot be loaded.
    """
    if request.config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported"
        )
    try:
        configs = config.from_list(request.config.model_config_list)
        listed = ", ".join(f"{model.name!r} at {str(model.base_path)!r}" for model in configs)
        log.info("new config: %s", truncated(listed))
        models.reload(configs, keep_waiting)
    except ServeError as error:
        log.error("new config refused: %s: %s", error.code.name, truncated(error.line))
        raise
    response = model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    return response


class FilePoller:
    """Applies the model config file again and again, as TF Serving does: what a client reloaded does not outlast it."""

    def __init__(self, models: Manager, path: str) -> None:
        """Apply nothing yet."""
        self._models = models
        self._path = path
        self._complaint = ""

    def run(self, seconds: float, stop: threading.Event) -> None:
        """Poll until told to stop."""
        while not stop.wait(seconds):
            self.poll(lambda: not stop.is_set())

    def poll(self, keep_waiting: Callable[[], bool] = lambda: True) -> None:
        """Apply the file once; one that cannot be read or served changes nothing and is logged when that is news."""
        try:
            models = config.from_file(self._path)
            if models is not None:
                self._models.reload(models, keep_waiting)
            complaint = ""
        except (FlagError, ServeError) as error:
            complaint = str(error).split("\n", 1)[0]
        except Exception as error:
            complaint = f"{type(error).__name__}: {error}"
        if complaint and complaint != self._complaint:
            log.error("model config file not applied: %s", complaint)
        elif self._complaint and not complaint:
            log.info("model config file applied again")
        self._complaint = complaint
