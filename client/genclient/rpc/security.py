"""How a connection is encrypted, and by what a server knows its caller: TLS, certificates, a token, headers."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from genclient.errors import ClientError, UsageError
from genclient.rpc.target import Target

_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"

_RESERVED = ("grpc-", ":", "content-type", "te", "user-agent", "host")


@dataclass(frozen=True)
class Security:
    """What the options of Client say about it; see there."""

    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)
    insecure_token: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used: requested, or meant, since a certificate is named."""
        return self.tls or any((self.ca_file, self.certificate_file, self.key_file, self.server_name))

    def check(self, target: Target) -> None:
        """See that the options fit each other and the target.

        Raises:
            UsageError: a certificate without its key, a token that would travel in clear, a malformed header, or one
                certificate name for several hosts.
        """
        for name in ("ca_file", "certificate_file", "key_file"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, (str, os.PathLike)):
                raise UsageError(f"{name}: found {path!r:.60}, expected the path of a file")
        if (self.certificate_file is None) != (self.key_file is None):
            raise UsageError("certificate_file and key_file: found one of them, expected both or neither")
        if self.encrypted and self.server_name is None and len(set(target.hosts)) > 1:
            raise UsageError("server_name: found none, expected the name in the certificate that all targets share")
        if self.token is not None:
            if not isinstance(self.token, str) or not re.fullmatch(r"[!-~]+", self.token):
                raise UsageError("token: found an empty one, or characters that no header holds (token not shown)")
            if not (self.encrypted or target.local or self.insecure_token):
                raise UsageError(
                    f"token: found {target.text} without TLS, where anybody can read it, expected tls or a CA file; "
                    "insecure_token (--insecure-token) allows it all the same"
                )
        for name, value in self.headers.items():
            _check_header(name, value)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers that go with each request."""
        bearer = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        return tuple({**{name.lower(): value for name, value in self.headers.items()}, **bearer}.items())

    def credentials(self) -> Any:
        """Credentials for gRPC, or None without TLS.

        Raises:
            ClientError: a file cannot be read.
            UsageError: a file is not what it should be.
        """
        if not self.encrypted:
            return None
        roots = _read(self.ca_file, "ca_file") if self.ca_file else _roots()
        key = _read(self.key_file, "key_file") if self.key_file else None
        chain = _read(self.certificate_file, "certificate_file") if self.certificate_file else None
        self._check_files(roots)
        return grpc.ssl_channel_credentials(roots, key, chain)

    def context(self) -> ssl.SSLContext:
        """The same for connections that are not gRPC's.

        Raises:
            ClientError: a file cannot be read.
            UsageError: a file is not what it should be.
        """
        roots = _read(self.ca_file, "ca_file") if self.ca_file else _roots()
        context = self._check_files(roots)
        if not self._names_roots:
            context.load_default_certs()
        return context

    @property
    def _names_roots(self) -> bool:
        return bool(self.ca_file or os.environ.get(_ROOTS))

    def _check_files(self, roots: bytes | None) -> ssl.SSLContext:
        """See by OpenSSL what gRPC would only call a failed handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        named = f"ca_file: found {self.ca_file}" if self.ca_file else f"{_ROOTS}: found {os.environ.get(_ROOTS)}"
        try:
            if self._names_roots and roots is not None:
                context.load_verify_locations(cadata=roots.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(f"{named}, expected certificates in PEM: {error}") from None
        try:
            if self.certificate_file and self.key_file:
                # The password is requested on the terminal unless there is something to answer it.
                context.load_cert_chain(self.certificate_file, self.key_file, password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError) as error:
            pair = f"{self.certificate_file} and {self.key_file}"
            raise UsageError(
                f"certificate_file and key_file: found {pair}, expected a certificate in PEM and its key, "
                f"not encrypted: {error}"
            ) from None
        return context


def _check_header(name: str, value: str) -> None:
    lower = name.lower() if isinstance(name, str) else ""
    if not re.fullmatch(r"[a-z0-9_.-]+", lower) or lower.startswith(_RESERVED) or lower.endswith("-bin"):
        raise UsageError(f"headers: found the name {name!r}, expected letters, digits, and - _ . (no -bin, no grpc-)")
    if not isinstance(value, str) or not re.fullmatch(r"[ -~]*", value):
        raise UsageError(f"headers: found a value of {name} that is not printable ASCII (value not shown)")


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"{name}: cannot read {path}: {error.strerror}") from None


def _roots() -> bytes | None:
    """The certificates to trust by default: gRPC's variable says, else this system; None: those that come with gRPC.

    Raises:
        ClientError: the variable names what cannot be read, which gRPC would pass over.
    """
    named = os.environ.get(_ROOTS)
    if named:
        return _read(named, _ROOTS)
    path = ssl.get_default_verify_paths().cafile
    try:
        return Path(path).read_bytes() if path else None
    except OSError:
        return None
