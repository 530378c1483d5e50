"""An HTTP response, and what the predict requests of both protocols share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from genserve.errors import invalid_argument

JSON, TEXT, OCTETS = "application/json", "text/plain", "application/octet-stream"


@dataclass(frozen=True)
class Reply:
    """What goes back: an HTTP status, a body and its type, and further headers."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def signature_of(servable: Any, key: str) -> Any:
    """The signature that a predict request names.

    Raises:
        ServeError: INVALID_ARGUMENT where there is none, or one without inputs.
    """
    signature = servable.signatures.get(key)
    if signature is None:
        raise invalid_argument(f'Serving signature name: "{key}" not found in signature def')
    if not signature.inputs:
        raise invalid_argument(f"Failed to get input map for signature: {key}")
    return signature


def as_array(result: Any) -> np.ndarray:
    """What a session returns as an array; a string scalar comes as bytes."""
    return np.asarray(result, object) if isinstance(result, bytes) else np.asarray(result)
