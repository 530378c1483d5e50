"""Excerpts of JSON values for error messages, formatted like RapidJSON's PrettyWriter and truncated.

Source: TF Serving's util/json_tensor.cc (JsonValueToDebugString, JsonWriterWithLimit); RapidJSON's prettywriter.h and
internal/dtoa.h (Prettify).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

LIMIT_BYTES = 256  # kMaxJsonDebugStringBytes: no token begins beyond it
_INDENT = "    "


def excerpt(value: Any) -> str:
    """A value as JSON, objects indented by four and lists on one line; ends with the token that passes the limit."""
    text, size = [], 0
    for token in _tokens(value, 0):
        if size >= LIMIT_BYTES:
            break
        text.append(token)
        size += len(token.encode(errors="replace"))
    return "".join(text)


def type_name(value: Any) -> str:
    """A value's type in the words of RapidJSON."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
    return names.get(type(value), "Null")


def _tokens(value: Any, level: int, before: str = "") -> Iterator[str]:
    """The tokens of a value; `before` is what separates it from the one before and belongs to its first token."""
    if isinstance(value, dict):
        yield before + "{"
        for index, (key, item) in enumerate(value.items()):
            yield (",\n" if index else "\n") + _INDENT * (level + 1) + _scalar(key)
            yield from _tokens(item, level + 1, ": ")
        yield ("\n" + _INDENT * level if value else "") + "}"
    elif isinstance(value, list):
        yield before + "["
        for index, item in enumerate(value):
            yield from _tokens(item, level + 1, ", " if index else "")
        yield "]"
    else:
        yield before + _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return _decimal(value)
    return json.dumps(value, ensure_ascii=False)


def _decimal(value: float) -> str:
    """The shortest digits that read back the same, without an exponent where there are few zeros."""
    if not math.isfinite(value):
        return ""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = (
        len(whole + fraction) - len(fraction) + int(exponent or 0)
    )  # digits before the point, zeros in front counted
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0") or "0"
    if value == 0:
        return sign + "0.0"
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits)) + ".0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    return sign + digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1}"
