"""Parses the method and path of a REST request.

Source: TF Serving's model_servers/http_rest_api_util.cc; for `/v2` github.com/kserve/open-inference-protocol,
specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from genserve.errors import invalid_argument, not_found
from genserve.runtime.tensors import INT64_MAX

_MODEL = r"/v1/models(?:/(?P<model>[^/:]+))"
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(f"{_MODEL}{_VERSION}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(f"{_MODEL}?{_VERSION}(?:/(?P<verb>metadata))?", re.IGNORECASE)
_PATTERNS = {"POST": _POST, "GET": _GET}
_V2_MODEL = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[0-9]+))?"
_V2 = {
    ("GET", "v2_server"): re.compile("/v2/?"),
    ("GET", "v2_live"): re.compile("/v2/health/live/?"),
    ("GET", "v2_ready"): re.compile("/v2/health/ready/?"),
    ("GET", "v2_model"): re.compile(f"{_V2_MODEL}/?"),
    ("GET", "v2_model_ready"): re.compile(f"{_V2_MODEL}/ready/?"),
    ("POST", "infer"): re.compile(f"{_V2_MODEL}/infer/?"),
}


@dataclass(frozen=True)
class Target:
    """A verb (`predict`, `classify`, `regress`, `metadata`, `status`, `list`, or one of `/v2`) and what it is for."""

    verb: str
    model: str = ""
    version: int | None = None
    label: str | None = None

    def spec(self) -> Any:
        """The same as a ModelSpec."""
        spec = model_pb2.ModelSpec(name=self.model)
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label
        return spec


def parse_target(method: str, path: str) -> Target:
    """The target of a path as it came, percent signs and all.

    Raises:
        ServeError: INVALID_ARGUMENT in TF Serving's words.
    """
    if path.startswith("/v2"):
        return _v2_target(method, path)
    pattern = _PATTERNS.get(method)
    found = pattern.fullmatch(path) if pattern else None
    if found is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    model, version, label, verb = (found[name] for name in ("model", "version", "label", "verb"))
    number = _number(version) if version else None
    if not model and (version or label or verb):
        raise invalid_argument("Missing model name in request.")
    return Target(
        verb.lower() if verb else "status" if model else "list",
        unquote(model or ""),
        number,
        unquote(label) if label else None,
    )


def _v2_target(method: str, path: str) -> Target:
    path = path.partition("?")[0]
    for (expected, verb), pattern in _V2.items():
        if method == expected and (found := pattern.fullmatch(path)):
            groups = found.groupdict()
            version = _number(groups["version"]) if groups.get("version") else None
            return Target(verb, unquote(groups.get("model") or ""), version)
    raise not_found(f"Not found: {method} {path}")


def _number(version: str) -> int:
    digits = version.lstrip("0") or "0"  # Python reads no numbers of thousands of digits
    if len(digits) > len(str(INT64_MAX)) or int(digits) > INT64_MAX:
        raise invalid_argument(f"Failed to convert version: {version} to numeric.")
    return int(digits)
