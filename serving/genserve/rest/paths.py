"""What a REST request asks for, read from its method and path.

Source: TF Serving's model_servers/http_rest_api_util.cc.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from genserve.errors import invalid_argument
from genserve.tensors import INT64_MAX

_MODEL = r"/v1/models(?:/(?P<model>[^/:]+))"
_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(f"{_MODEL}{_VERSION}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(f"{_MODEL}?{_VERSION}(?:/(?P<verb>metadata))?", re.IGNORECASE)
_PATTERNS = {"POST": _POST, "GET": _GET}


@dataclass(frozen=True)
class Target:
    """A verb (`predict`, `classify`, `regress`, `metadata`, `status` or `list`) and what it is for."""

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


def target(method: str, path: str) -> Target:
    """The target of a path as it came, percent signs and all.

    Raises:
        ServeError: INVALID_ARGUMENT in TF Serving's words.
    """
    pattern = _PATTERNS.get(method)
    found = pattern.fullmatch(path) if pattern else None
    if found is None:
        raise invalid_argument(f"Malformed request: {method} {path}")
    model, version, label, verb = (found[name] for name in ("model", "version", "label", "verb"))
    if version and int(version) > INT64_MAX:
        raise invalid_argument(f"Failed to convert version: {version} to numeric.")
    if not model and (version or label or verb):
        raise invalid_argument("Missing model name in request.")
    return Target(
        verb.lower() if verb else "status" if model else "list",
        unquote(model or ""),
        int(version) if version else None,
        unquote(label) if label else None,
    )
