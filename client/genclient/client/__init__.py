"""The clients: `client.py` for threads, with `pictures.py` for what takes pictures, whose calls run in `blocking.py`,
and `aio.py` for asyncio, whose calls run in `awaited.py`, on `base.py`, which has what no network is in.
`translation.py` is what both make of pictures of pictures, `texts.py` of words, `detection.py` what is asked of a
detector and what it answers, `inversion.py` the same of an encoder.

`arguments.py` checks arguments. `call.py` is one call: `schedule.py` says which part is due, `retry.py` when one is
sent again, `requests.py` sends them. `server_models.py` configures the models
of a server, in the text of `server_config.py`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from genclient.client.aio import AsyncClient
    from genclient.client.call import Batch, Exchange
    from genclient.client.client import Client
    from genclient.rpc.status import VersionStatus

__all__ = ["AsyncClient", "Batch", "Client", "Exchange", "VersionStatus"]

_LATER = {
    "AsyncClient": "genclient.client.aio",
    "Batch": "genclient.client.call",
    "Client": "genclient.client.client",
    "Exchange": "genclient.client.call",
    "VersionStatus": "genclient.rpc.status",
}


def __getattr__(name: str) -> Any:
    """Load a class on first use (PEP 562)."""
    import importlib

    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
