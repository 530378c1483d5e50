"""Whether the port can be had, asked before the seconds that TensorFlow and the models take to load.

Not for opening it: server.py does, once there is something to serve.
"""

from __future__ import annotations

import socket

import grpc

from genserve.errors import ServeError

ADDRESS = "0.0.0.0"  # every IPv4 interface, as TF Serving binds


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
            raise cannot_listen(port, error.strerror or str(error)) from error


def cannot_listen(port: int, why: str) -> ServeError:
    """The port is not to be had."""
    return ServeError(grpc.StatusCode.UNAVAILABLE, f"cannot listen on {ADDRESS}:{port}: {why}")
