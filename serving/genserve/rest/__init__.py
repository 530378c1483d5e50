"""The REST API: TF Serving's JSON over HTTP, on the same models as gRPC.

    paths.py → document.py → leaves.py → rows.py, examples.py → responses.py → api.py (handles a request)
    → body.py → turns.py → application.py → http.py (the server)

reply.py is what a handler returns; open_inference.py is KServe's v2 protocol; connections.py and limits.py say how much
a client may take; excerpts.py quotes JSON in error messages.

Needs uvicorn and orjson, which nothing else here imports.
"""

from __future__ import annotations

from genserve.rest.http import RestServer

__all__ = ["RestServer"]
