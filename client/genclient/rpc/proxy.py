"""Which proxy gRPC goes through to a server, so that messages can name it; gRPC finds it by itself, by the same rules.

Source: grpc/src/core/handshaker/http_connect/http_proxy_mapper.cc and gRPC proposal A1.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True)
class Proxy:
    """A proxy, without the password that may be in its address, and the variable that names it."""

    address: str
    variable: str

    def __str__(self) -> str:
        """`the proxy 10.0.0.1:3128 (http_proxy)`."""
        return f"the proxy {self.address} ({self.variable})"


def proxy_for(hosts: Sequence[str], environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy between here and a server that is not on this machine; None: there is none."""
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    if variable is None or not hosts:
        return None
    exceptions = next((environment[name] for name in _EXCEPTIONS if environment.get(name)), "")
    if all(any(_excepted(host, entry.strip()) for entry in exceptions.split(",")) for host in hosts):
        return None
    url = urlsplit(environment[variable])
    # gRPC knows no other kind and then goes without.
    return Proxy(url.netloc.rpartition("@")[2], variable) if url.scheme == "http" else None


def _excepted(host: str, entry: str) -> bool:
    """Whether `no_proxy` means a host by an entry: the end of its name, or a network that has its address."""
    if not entry:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return host.lower().endswith(entry.lower())
