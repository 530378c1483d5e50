"""Where a server is, as users write it, and as gRPC reads it. It opens no connection."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from genclient.errors import ClientError, UsageError

GRPC_PORT = 8500
"""Where TensorFlow Serving and genserve have gRPC by default."""

_NAME = r"[^\s/:\[\]]+"
_ONE = re.compile(
    rf"(?:(?P<scheme>dns|ipv4|ipv6):)?(?P<authority>//[^/\s]*/)?(?P<host>{_NAME}|\[[0-9A-Fa-f:.]+(?:%{_NAME})?\]):(?P<port>\d{{1,5}})"
)
_ALONE = re.compile(rf"{_NAME}|\[[0-9A-Fa-f:.]+(?:%{_NAME})?\]")
_EXPECTED = "HOST:PORT or unix:PATH, several HOST:PORT with commas between them, or dns:///HOST:PORT"


@dataclass(frozen=True)
class Target:
    """An address in gRPC's words.

    Attributes:
        text: as gRPC takes it, with its port.
        hosts: the names and addresses in it; none for a unix socket.
        balanced: whether requests go to several servers in turn.
        local: whether requests stay on this machine.
    """

    text: str
    hosts: tuple[str, ...]
    balanced: bool
    local: bool

    def address(self) -> str:
        """What gRPC connects to. The names of a list are looked up here, once: gRPC takes lists of addresses only.

        Raises:
            ClientError: a name in a list is not known.
        """
        parts = self.text.split(",")
        if len(parts) == 1 or self.text.startswith(("ipv4:", "ipv6:")):
            return self.text
        addresses = [address for part in parts for address in _look_up(part)]
        if all(ip.version == 4 for ip, _ in addresses):
            return "ipv4:" + ",".join(f"{ip}:{port}" for ip, port in addresses)
        return "ipv6:" + ",".join(f"[{ip if ip.version == 6 else f'::ffff:{ip}'}]:{port}" for ip, port in addresses)


def parse_target(text: str) -> Target:
    """Read an address; a host alone is meant with the port 8500.

    Raises:
        UsageError: it is none, or mixes what cannot be mixed; the message has the right spelling where it can.
    """
    if not isinstance(text, str):
        raise UsageError(f"target: found {text!r}, expected {_EXPECTED}")
    if re.fullmatch(r"unix:[^\s,]+|unix-abstract:[^\s,]+", text):
        return Target(text, (), False, True)
    if _ALONE.fullmatch(text) and _is_host(text):
        text = f"{text}:{GRPC_PORT}"
    matches = [match for part in text.split(",") if (match := _ONE.fullmatch(part)) and _is_one(match)]
    schemes = [match["scheme"] for match in matches]
    mixed = any(schemes[1:]) or (len(matches) > 1 and ("//" in text or schemes[0] == "dns"))
    if mixed or len(matches) <= text.count(","):
        meant = _spelling(text)
        hint = f"; did you mean {meant}?" if meant else ""
        raise UsageError(f"target: found {text!r}, expected {_EXPECTED}{hint}")
    hosts = tuple(match["host"].strip("[]") for match in matches)
    # Another name server may say anything of any name, `localhost` included.
    has_authority = (matches[0]["authority"] or "///") != "///"
    local = not has_authority and all(_is_loopback(host) for host in hosts)
    return Target(text, hosts, len(hosts) > 1 or text.startswith("dns://"), local)


def _is_one(match: re.Match[str]) -> bool:
    """Whether what looks like HOST:PORT is one."""
    host, scheme = match["host"], match["scheme"]
    if not 0 < int(match["port"]) < 65536 or (match["authority"] and scheme != "dns"):
        return False
    if host.startswith("["):
        return scheme != "ipv4" and _ip_version(host[1:-1]) == 6
    return {"ipv4": _ip_version(host) == 4, "ipv6": False}.get(scheme, _is_host(host))


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return _ip_version(text[1:-1]) == 6
    return not text.isdigit() and re.fullmatch(r"[^,;?#@=\\%]+", text) is not None and not text.startswith((".", "-"))


def _ip_version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def _spelling(text: str) -> str | None:
    """What was probably meant; None where that cannot be guessed."""
    web = re.fullmatch(r"(?:https?|grpcs?|tcp)://([^/\s]+)/?", text)
    if web:
        tls = " and --tls" if text.startswith(("https", "grpcs")) else ""
        return (_right(web[1]) or _spelling(web[1]) or "HOST:PORT") + tls
    if text == "unix:":
        return None
    if text.isdigit() or re.fullmatch(r":\d{1,5}", text):
        return _right(f"localhost:{text.lstrip(':')}")
    scheme = re.match(r"(?:dns:(?:///)?|ipv[46]:)?", text)
    start = scheme[0] if scheme else ""
    rest = text[len(start) :]
    if start.startswith("ipv4") and _ip_version(rest) == 6:
        start = "ipv6:"
    name, _, port = rest.rpartition(":")
    if _ip_version(rest) == 6 and (_ip_version(name) != 6 or not re.fullmatch(r"\d{4,5}", port)):
        return f"{start}[{rest}]:{GRPC_PORT}"
    if _ip_version(name) == 6 and port.isdigit():
        return _right(f"{start}[{name}]:{port}")
    return _right(f"{start}{rest.rstrip(':')}:{GRPC_PORT}") if rest.rstrip(":") else None


def _right(text: str) -> str | None:
    """An address if it is one."""
    match = _ONE.fullmatch(text)
    return text if match and _is_one(match) else None


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _look_up(part: str) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """The addresses of one HOST:PORT, one family of them: a machine that has both must not get twice the requests."""
    host, _, port = part.rpartition(":")
    try:
        records = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ClientError(f"target: found {host!r}, which has no address: {error}") from None
    families = {family for family, *_ in records}
    preferred = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    addresses = dict.fromkeys(str(at[0]).partition("%")[0] for family, *_, at in records if family == preferred)
    return [(ipaddress.ip_address(address), int(port)) for address in addresses]
