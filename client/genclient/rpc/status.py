"""What a server says of the versions of a model. Asking is for the clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


@dataclass(frozen=True)
class VersionStatus:
    """A version of a model on a server: its number, its state by name, and what went wrong with it, if anything."""

    version: int
    state: str
    message: str


def version_statuses(response: Any) -> list[VersionStatus]:
    """The versions in a wire.StatusResponse, the newest first."""
    versions = [
        VersionStatus(item.version, _STATES.get(item.state, str(item.state)), item.status.error_message)
        for item in response.model_version_status
    ]
    return sorted(versions, key=lambda version: version.version, reverse=True)


def newest_available(versions: list[VersionStatus]) -> int | None:
    """The newest version that can be used, if there is one."""
    return next((version.version for version in versions if version.state == "AVAILABLE"), None)


def in_words(versions: list[VersionStatus]) -> str:
    """The versions in a line."""
    return "; ".join(f"version {v.version} {v.state} {v.message}".strip() for v in versions) or "no versions"
