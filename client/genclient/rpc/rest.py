"""A server's list of its models, over REST: genserve has one, TensorFlow Serving has not."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from typing import Any

from genclient.errors import ClientError, UsageError
from genclient.rpc.security import Security
from genclient.rpc.status import VersionStatus

MAX_BYTES = 2**24
_ADDRESS = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s/:\[\]]+):(?P<port>\d{1,5})/?")


def list_models(
    address: str, timeout_seconds: float, security: Security | None = None
) -> dict[str, list[VersionStatus]]:
    """The versions of every model, by name; the newest first.

    Args:
        address: HOST:PORT, http://HOST:PORT or https://HOST:PORT; without either as `security` says.
        timeout_seconds: for the connection, and again for each part of the response.
        security: whether to encrypt, whom to trust and who this client is. No token: it is for gRPC.

    Raises:
        UsageError: the address is none.
        ClientError: nothing responds there, or it has no such list.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise UsageError(f"rest: found {address!r}, expected HOST:PORT or https://HOST:PORT")
    try:
        status, content = _get(match, timeout_seconds, security or Security())
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ClientError(f"{address} gives no list of models: {reason}") from None
    if status != 200:
        raise ClientError(f"{address} gives no list of models: HTTP {status}; TensorFlow Serving has none")
    try:
        models = json.loads(content)["models"]
        return {str(model["name"]): _versions(model) for model in models}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ClientError(f"{address} gives no list of models: found another answer to GET /v1/models") from None


class _Encrypted(http.client.HTTPSConnection):
    """A connection to a server whose certificate may have another name than its host."""

    name = ""

    def connect(self) -> None:
        """Connect, and see the certificate."""
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(self.sock, server_hostname=self.name)


def _get(address: re.Match[str], timeout_seconds: float, security: Security) -> tuple[int, bytes]:
    host, port = address["host"].strip("[]"), int(address["port"])
    connection: http.client.HTTPConnection
    if address["scheme"] == "https" or (address["scheme"] is None and security.encrypted):
        connection = _Encrypted(host, port, timeout=timeout_seconds, context=security.context())
        connection.name = security.server_name or host
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/v1/models", headers={"Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(MAX_BYTES)
    finally:
        connection.close()


def _versions(model: dict[str, Any]) -> list[VersionStatus]:
    versions = [
        VersionStatus(
            int(item["version"]), str(item["state"]), str((item.get("status") or {}).get("error_message", ""))
        )
        for item in model["model_version_status"]
    ]
    return sorted(versions, key=lambda version: version.version, reverse=True)
