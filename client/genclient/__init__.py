"""Image batches from a served (or embedded) generator, without TensorFlow: the client room of genline.

`from genclient import Client, AsyncClient` is the library. Classes are loaded when first asked for, so that the command
can show its help without numpy and gRPC.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from genclient.errors import ClientError, RpcError, UsageError, VersionGoneError

if TYPE_CHECKING:
    from genclient.aio import AsyncClient
    from genclient.client import Client
    from genclient.device import DeviceGenerator

__all__ = ["AsyncClient", "Client", "ClientError", "DeviceGenerator", "RpcError", "UsageError", "VersionGoneError"]

_LATER = {"AsyncClient": "genclient.aio", "Client": "genclient.client", "DeviceGenerator": "genclient.device"}


def __getattr__(name: str) -> Any:
    """Load a class when it is first asked for (PEP 562)."""
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
