"""Checks that ports and sockets are free before TensorFlow and the models take seconds to load.

server.py opens them once there is something to serve.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc

from genserve.errors import ServeError
from genserve.options.flags import ANY_ADDRESS

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 2**16  # files and connections of this process
FEWEST_CONNECTIONS = 16
OWN_DESCRIPTORS = 100  # for models, libraries and clients of other ports


def check_addresses(
    port: int, socket_path: str, rest_port: int = 0, keep_socket: bool = False, host: str = ANY_ADDRESS
) -> None:
    """Refuse ports that another server has, and a unix socket that cannot be made; 0 and "" stand for none.

    Args:
        port: for gRPC.
        socket_path: for gRPC.
        rest_port: for REST.
        keep_socket: also refuse a unix socket that another server listens on, instead of taking it over.
        host: where the ports are.

    Raises:
        ServeError: UNAVAILABLE, naming the address.
    """
    for number in filter(None, (port, rest_port)):
        for listening in bound(host, number):  # without listening: clients are refused until the server opens it
            listening.close()
    if socket_path:
        check_socket(socket_path, keep_socket)


def most_connections() -> int:
    """How many connections each of the two ports may have, as each takes a file descriptor; raises the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(FEWEST_CONNECTIONS, (most - OWN_DESCRIPTORS) // 2)


def address(host: str, port: int) -> str:
    """Host and port as one text, as gRPC and people write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to a port of every address of a host, as gRPC binds them; 0.0.0.0 and :: are every interface.

    Raises:
        ServeError: UNAVAILABLE, naming the address.
    """
    try:
        if host in (ANY_ADDRESS, "::"):
            return [_bound_to_all(port)]
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return _bound_to({(family, where): None for family, _, _, _, where in found})
    except OSError as error:
        raise cannot_listen(address(host, port), error.strerror or str(error)) from error


def _bound_to_all(port: int) -> socket.socket:
    """A socket for IPv6 and IPv4, or for IPv4 alone where there is no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return _bind(socket.AF_INET6, ("::", port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
    return _bind(socket.AF_INET, (ANY_ADDRESS, port))


def _bound_to(addresses: Iterable[tuple[int, Any]]) -> list[socket.socket]:
    """A socket for each address that this machine has."""
    sockets, missing = list[socket.socket](), OSError()
    for family, where in addresses:
        try:
            sockets.append(_bind(family, where))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:  # such as ::1 of localhost where IPv6 is off
                for each in sockets:
                    each.close()
                raise
            missing = error
    if not sockets:
        raise missing
    return sockets


def _bind(family: int, where: Any) -> socket.socket:
    """A bound socket; what is left of the connections of a server before this one is no hindrance."""
    bare = socket.socket(family, socket.SOCK_STREAM)
    try:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bare.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, where[0] != "::")
        bare.bind(where)
    except OSError:
        bare.close()
        raise
    return bare


def check_socket(path: str, keep: bool) -> None:
    """Knock at a unix socket, since gRPC removes one that is there, whoever listens on it, and makes its own.

    Args:
        path: of the socket.
        keep: refuse one that a server listens on; else a warning says that it is taken over, as by TF Serving.

    Raises:
        ServeError: UNAVAILABLE, naming the path.
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise cannot_listen(f"unix:{path}", f"there is no folder {file.parent}")
    if file.exists() and not file.is_socket():
        raise cannot_listen(f"unix:{path}", "another kind of file is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):  # none, or left behind by a server that was killed
            return
        except OSError as error:
            raise cannot_listen(f"unix:{path}", error.strerror or str(error)) from error
    if keep:
        raise cannot_listen(f"unix:{path}", "Address already in use")
    log.warning("unix:%s is taken over from a server that still listens there (--keep_socket_in_use)", path)


def cannot_listen(address: str, why: str) -> ServeError:
    """The address is not to be had."""
    return ServeError(grpc.StatusCode.UNAVAILABLE, f"cannot listen on {address}: {why}")
