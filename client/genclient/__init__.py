"""Image batches from a served (or embedded) generator, without TensorFlow: the client room of genline.

`from genclient import Client, AsyncClient` is the library. Everything is loaded on first use, so that the
command can show its help without numpy and gRPC, and so that Ctrl-C finds it ready from its first import on.

In the order of the data, each package knowing only those above it:

    errors/         the exceptions, and why a call failed
    files/          files that are whole or not there, and locks
    rpc/            the connection, and tensors on the wire
    latents/        from seeds to latents, and between latents
    images/         pixels, picture files, image grids
    model/          what a model takes and gives
    tasks/          what a model can be used for
    client/         Client and AsyncClient
    device/         a .tflite file run on this machine
    outputs/        where images go: a grid, a folder, an archive, shards
    bench/          the load test
    cli/            what the commands share; commands/ has a file for each

aio.py, seeds.py and rehearsal.py are old names.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import Any

    from genclient.client.aio import AsyncClient
    from genclient.client.call import Batch
    from genclient.client.client import Client
    from genclient.client.detection import Detection
    from genclient.client.inversion import Inversion
    from genclient.device.generator import DeviceGenerator
    from genclient.errors import ClientError, RpcError, UsageError, VersionGoneError
    from genclient.images.image_grid import ImageGrid
    from genclient.rpc.status import VersionStatus

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "ClientError",
    "Detection",
    "DeviceGenerator",
    "ImageGrid",
    "Inversion",
    "RpcError",
    "UsageError",
    "VersionGoneError",
    "VersionStatus",
]

_LATER = {
    "AsyncClient": "genclient.client.aio",
    "Batch": "genclient.client.call",
    "Client": "genclient.client.client",
    "ClientError": "genclient.errors",
    "Detection": "genclient.client.detection",
    "Inversion": "genclient.client.inversion",
    "DeviceGenerator": "genclient.device.generator",
    "RpcError": "genclient.errors",
    "UsageError": "genclient.errors",
    "VersionGoneError": "genclient.errors",
    "ImageGrid": "genclient.images.image_grid",
    "Sheet": "genclient.images.image_grid",  # the old name of ImageGrid
    "VersionStatus": "genclient.rpc.status",
}


def __getattr__(name: str) -> Any:
    """Load a class on first use (PEP 562)."""
    import importlib

    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, loaded or not."""
    return sorted({*globals(), *__all__})
