"""Where a server is, as users write it, and as gRPC reads it. It opens no connection."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from genclient.errors import ClientError, UsageError

_ONE = re.compile(r"(?:(?P<scheme>dns|ipv4|ipv6):)?(?://[^/\s]*/)?(?P<host>[^\s/]*[^\s/:]):(?P<port>\d{1,5})")
_EXPECTED = "HOST:PORT or unix:PATH, several HOST:PORT with commas between them, or dns:///HOST:PORT"


@dataclass(frozen=True)
class Target:
    """An address in gRPC's words.

    Attributes:
        text: as it was given.
        hosts: the names and addresses in it; none for a unix socket.
        balanced: whether requests go to several servers in turn.
    """

    text: str
    hosts: tuple[str, ...]
    balanced: bool

    @property
    def local(self) -> bool:
        """Whether requests stay on this machine."""
        return all(_is_loopback(host) for host in self.hosts)

    def address(self) -> str:
        """What gRPC connects to. The names of a list are looked up here, once: gRPC takes lists of addresses only.

        Raises:
            ClientError: a name in a list is not known.
        """
        parts = self.text.split(",")
        if len(parts) == 1 or self.text.startswith(("ipv4:", "ipv6:")):
            return self.text
        found = [address for part in parts for address in _look_up(part)]
        if all(ip.version == 4 for ip, _ in found):
            return "ipv4:" + ",".join(f"{ip}:{port}" for ip, port in found)
        return "ipv6:" + ",".join(f"[{ip if ip.version == 6 else f'::ffff:{ip}'}]:{port}" for ip, port in found)


def parse_target(text: str) -> Target:
    """Read an address.

    Raises:
        UsageError: it has no port, or mixes what cannot be mixed.
    """
    if re.fullmatch(r"unix:[^\s,]+|unix-abstract:[^\s,]+", text):
        return Target(text, (), False)
    matches = [_ONE.fullmatch(part) for part in text.split(",")]
    if not all(match and int(match["port"]) < 65536 for match in matches):
        raise UsageError(f"target: found {text!r}, expected {_EXPECTED}")
    schemes = [match["scheme"] for match in matches if match]
    if any(schemes[1:]) or (len(matches) > 1 and ("//" in text or schemes[0] == "dns")):
        raise UsageError(f"target: found {text!r}, expected {_EXPECTED}")
    hosts = tuple(match["host"].strip("[]") for match in matches if match)
    return Target(text, hosts, len(hosts) > 1 or text.startswith("dns://"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _look_up(part: str) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """The addresses of one HOST:PORT, one family of them: a machine that has both must not be asked twice as often."""
    host, _, port = part.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ClientError(f"target: found {host!r}, which has no address: {error}") from None
    families = {family for family, *_ in found}
    wanted = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    addresses = dict.fromkeys(str(at[0]).partition("%")[0] for family, *_, at in found if family == wanted)
    return [(ipaddress.ip_address(address), int(port)) for address in addresses]
