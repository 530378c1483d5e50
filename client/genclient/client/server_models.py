"""What `Client` says of the models that a server has: replace, read, add, change and remove their configuration."""

from __future__ import annotations

from typing import Any

from genclient.client.base import Settings
from genclient.client.server_config import config_text, explained, server_config
from genclient.errors import RpcError
from genclient.rpc import channel, wire
from genclient.rpc.channel import Channel


class ServerModels(Settings):
    """A connection to a server, and the configuration of its models."""

    def _connect(self) -> None:
        self._channel = Channel(self.connection)

    def reload(self, config: str) -> None:
        """Have the server replace its configuration by this one, and return once its new models are available.

        Args:
            config: TensorFlow Serving's ModelServerConfig as text: `model_config_list { config { … } }`.

        Raises:
            UsageError: the text is no such thing.
            ClientError: the server refuses it; it keeps the configuration it has.
        """
        request = wire.ReloadRequest(config=server_config(config))
        self._check_reload(self._channel.call(channel.RELOAD, request))

    def config(self) -> str:
        """The server's configuration of models, as TensorFlow Serving's text format.

        Raises:
            ClientError: the server does not say; TensorFlow Serving does not, genserve does.
        """
        return config_text(self._config_call(channel.GET_CONFIG, wire.ReloadRequest()))

    def merge(self, config: str) -> None:
        """Have the server add or change these models and keep its others; return once they are available.

        Args:
            config: `model_config_list { config { … } }`, a `config` for each model.

        Raises:
            UsageError: the text is no such thing.
            ClientError: the server refuses a model, or is TensorFlow Serving, which takes whole configurations only.
        """
        for model in server_config(config).model_config_list.config:
            self._check_reload(self._config_call(channel.SET_MODEL, model))

    def remove(self, model: str) -> None:
        """Have the server serve a model no longer, and keep its others.

        Raises:
            ClientError: the server has no such model, or is TensorFlow Serving, which takes whole configurations only.
        """
        self._check_reload(self._config_call(channel.REMOVE_MODEL, wire.ModelSpec(name=model)))

    def _config_call(self, method: channel.Method, request: Any) -> Any:
        try:
            return self._channel.call(method, request)
        except RpcError as error:
            raise explained(error) from None
