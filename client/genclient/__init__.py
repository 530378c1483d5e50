"""Image batches from a served (or embedded) generator, without TensorFlow: the client room of genline.

`from genclient import Client, ClientError` is the library. Client is loaded when first asked for, so that the command
can show its help without numpy and gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genclient.errors import ClientError, UsageError

if TYPE_CHECKING:
    from genclient.client import Client
    from genclient.device import DeviceGenerator

__all__ = ["Client", "ClientError", "DeviceGenerator", "UsageError"]


def __getattr__(name: str) -> Any:
    """Load a class when it is first asked for (PEP 562)."""
    if name == "Client":
        from genclient.client import Client

        return Client
    if name == "DeviceGenerator":
        from genclient.device import DeviceGenerator

        return DeviceGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
