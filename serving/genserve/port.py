"""Whether port and socket can be had, asked before the seconds that TensorFlow and the models take to load.

Not for opening them: server.py does, once there is something to serve.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import grpc

from genserve.errors import ServeError

log = logging.getLogger(__name__)

ADDRESS = "0.0.0.0"  # every IPv4 interface, as TF Serving binds


def check_addresses(port: int, socket_path: str, rest_port: int = 0, keep_socket: bool = False) -> None:
    """Refuse ports that another server has, and a unix socket that cannot be made; 0 and "" stand for none.

    Args:
        port: for gRPC.
        socket_path: for gRPC.
        rest_port: for REST.
        keep_socket: also refuse a unix socket that another server listens on, instead of taking it over.

    Raises:
        ServeError: UNAVAILABLE, naming the address.
    """
    for number in filter(None, (port, rest_port)):
        check_port_is_free(number)
    if socket_path:
        check_socket(socket_path, keep_socket)


def check_port_is_free(port: int) -> None:
    """Bind the port for a moment, without listening: clients are refused until the server opens it.

    Raises:
        ServeError: UNAVAILABLE, naming the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise cannot_listen(f"{ADDRESS}:{port}", error.strerror or str(error)) from error


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
