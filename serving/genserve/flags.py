"""The settings of one server, under the names and with the defaults of tensorflow_model_server.

Checks each value and says in one line what is wrong with it. Not for parsing the command line: that is cli.py.
Source: main.cc and server.cc of TF Serving's model_servers/.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class FlagError(ValueError):
    """A flag whose value cannot be served; the message names the flag."""


@dataclass(frozen=True)
class Flags:
    """What `genserve` was asked to do."""

    model_base_path: str
    model_name: str = "default"
    port: int = 8500
    rest_api_port: int = 0
    file_system_poll_wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what this server cannot do.

        Raises:
            FlagError: naming the flag, what was found and what was expected.
        """
        if not self.model_name:
            raise FlagError("--model_name is empty; give the name that clients ask for")
        if not self.model_base_path:
            raise FlagError("--model_base_path is empty; give the folder that holds the versions")
        if "://" in self.model_base_path:
            raise FlagError(f"--model_base_path={self.model_base_path}: only local folders are served")
        if self.rest_api_port != 0:
            raise FlagError(
                f"--rest_api_port={self.rest_api_port}: there is no REST API yet; leave the flag out, or give 0"
            )
        if not self.file_system_poll_wait_seconds >= 0:  # also refuses nan
            raise FlagError(
                f"--file_system_poll_wait_seconds={self.file_system_poll_wait_seconds:g}: expected seconds "
                "between two looks at the folder, or 0 to look only once"
            )

    @property
    def base_path(self) -> Path:
        """The folder of versions, absolute, so that messages name it wholly."""
        return Path(self.model_base_path).expanduser().absolute()
