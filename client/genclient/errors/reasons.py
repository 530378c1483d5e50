"""Why a call failed, in words for a user with the option that helps: gRPC's own account of it is for its developers."""

from __future__ import annotations

import re

_NETWORK = (
    (
        r"No such file or directory|Connection refused",
        "nothing listens at {target} ({found}); start one with genserve, or see --target",
    ),
    (
        r"lookup failed|lookup error|DNS resolution",
        "no server is ready at {target}: no such host in DNS; choose another --target",
    ),
    (
        r"timed out|No route to host|Network is unreachable|Host is unreachable",
        "no server is ready at {target}: no response ({found}); check --target and the network",
    ),
    (r"HTTP proxy returned", "cannot reach {target} ({text})"),
)
"""What gRPC says of connections that did not come about, from 1.62 on, and what it means."""

_HANDSHAKE = (
    (
        r"http1\.x|Failed parsing HTTP/2|missing selected ALPN",
        "{target} speaks HTTP/1: its REST port? gRPC is usually 8500",
    ),
    (r"certificate has expired|certificate is not yet valid", "{found}, by this machine's clock: {target}"),
    (r"CERTIFICATE_VERIFY_FAILED", "certificate not trusted; --ca-file names the authorities to trust: {target}"),
    (
        r"Hostname Verification|is not in peer certificate",
        "certificate is for another host; --server-name says the name in it: {target}",
    ),
    (r"WRONG_VERSION_NUMBER", "{target} does not speak TLS; drop --tls and the certificate options"),
    (
        r"failed to connect to all addresses.*(Socket closed|Connection reset|handshake failed)",
        "{target} closes the connection at once: does it expect --tls, or --certificate-file? ({text})",
    ),
)

_LOCAL_DEADLINE = re.compile(r"(Stream removed .)?deadline exceeded", re.IGNORECASE)
_NO_RESPONSE = "no reply within"


def explain(target: str, code: str, details: str, proxy: str = "") -> str:
    """A line about a call to `target`, perhaps through a proxy, that ended with a gRPC status and its details."""
    if code == "UNAVAILABLE":
        return _unavailable(target, details, proxy)
    if code == "DEADLINE_EXCEEDED" and details.startswith(_NO_RESPONSE):
        return f"{details} from {target}{_through(proxy)}"
    if "Received http2 header with status" in details:
        return f"{target} returned {code}: a web server or a proxy, not gRPC ({details}){_through(proxy)}"
    message = details or "no message; servers with too many requests at a time respond so"
    hint = "; list the models with: genclient models" if code == "NOT_FOUND" and "Servable not found" in details else ""
    return f"{target} returned {code}: {message}{hint}"


def reached(details: str) -> bool:
    """Whether a server had the request, by what gRPC says of one that was lost."""
    return not any(re.search(pattern, details, re.IGNORECASE) for pattern, _ in (*_NETWORK, *_HANDSHAKE))


def connected(details: str) -> bool:
    """Whether there was something at the address, by what gRPC says of a request that was lost."""
    return not any(re.search(pattern, details, re.IGNORECASE) for pattern, _ in _NETWORK)


def timed_out(details: str, seconds: float) -> str:
    """What a call ended with, by its own deadline or by what a server says about one."""
    return f"{_NO_RESPONSE} {seconds:g} s (--timeout)" if _LOCAL_DEADLINE.match(details) else details


def _unavailable(target: str, details: str, proxy: str) -> str:
    text = details.rpartition("last error: ")[2]
    for pattern, words in _NETWORK:
        if match := re.search(pattern, details, re.IGNORECASE):
            if proxy:
                return f"cannot reach {target} through {proxy}: {text}; no_proxy names hosts to reach without it"
            return words.format(target=target, found=match[0].lower(), text=text)
    for pattern, words in _HANDSHAKE:
        if match := re.search(pattern, details, re.IGNORECASE):
            return words.format(target=target, found=match[0].lower(), text=text) + _through(proxy)
    return f"no server is ready at {target}: {details or 'no message'}{_through(proxy)}"


def _through(proxy: str) -> str:
    return f", through {proxy}" if proxy else ""
