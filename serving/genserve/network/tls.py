"""TLS and mutual TLS for gRPC, from the SSL config file: PEM contents in a text proto, not paths.

Source: TF Serving's config/ssl_config.proto and model_servers/server.cc (BuildServerCredentialsFromSSLConfigFile).
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import grpc

from genserve.options import textproto
from genserve.options.flags import FlagError

FLAG = "ssl_config_file"
# Not in tensorflow-serving-api.
SSLConfig = textproto.message_class(
    "SSLConfig",
    {
        "server_key": (1, textproto.STRING),
        "server_cert": (2, textproto.STRING),
        "custom_ca": (3, textproto.STRING),
        "client_verify": (4, textproto.BOOL),
    },
)
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n.+?\n-----END \1-----", re.DOTALL)


def credentials(path: str) -> grpc.ServerCredentials:
    """The credentials that the file describes; with `client_verify` clients have to show a certificate of `custom_ca`.

    Raises:
        FlagError: the file cannot be read, a field of it holds no PEM, or key and certificate are of no use together.
    """
    config = textproto.read(path, SSLConfig, FLAG)
    _check(path, "server_key", config.server_key, "PRIVATE KEY")
    _check(path, "server_cert", config.server_cert, "CERTIFICATE")
    if config.custom_ca or config.client_verify:
        _check(path, "custom_ca", config.custom_ca, "CERTIFICATE")
    pair = (config.server_key.encode(), config.server_cert.encode())
    made = grpc.ssl_server_credentials([pair], config.custom_ca.encode() or None, config.client_verify)
    _try(path, made)
    return made


def _try(path: str, made: grpc.ServerCredentials) -> None:
    """Open some port with them: only so does gRPC look into keys and certificates."""
    probe = grpc.server(ThreadPoolExecutor(1))
    try:
        probe.add_secure_port("127.0.0.1:0", made)
    except RuntimeError as error:
        raise FlagError(
            f"--{FLAG}: {path}: server_key and server_cert are of no use together: expected a certificate and its key"
        ) from error
    finally:
        probe.stop(None)


def _check(path: str, field: str, value: str, kind: str) -> None:
    """Refuse what is no PEM: gRPC would only say that the port could not be opened."""
    found = [match[1] for match in _PEM.finditer(value)]
    if not any(label.endswith(kind) for label in found):
        what = "nothing" if not value.strip() else f"a {found[0]}" if found else "something else (a path?)"
        raise FlagError(f"--{FLAG}: {path}: {field}: expected the contents of a PEM {kind}, found {what}")
