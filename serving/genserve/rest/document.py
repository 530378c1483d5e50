"""JSON in: a request's body as Python values, and the words for what is wrong with one.

orjson reads what is JSON; what it refuses is read again by the standard library, which knows NaN and Infinity as
TF Serving does, and says where an error is.
Source: TF Serving's util/json_tensor.cc (ParseJson, JsonValueToString, JsonTypeString); RapidJSON's error/en.h.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from genserve.errors import MESSAGE_LIMIT_BYTES, ServeError, invalid_argument, truncated

SIGNATURE_NAME = "signature_name"
_ENCODER = json.JSONEncoder(indent=4, ensure_ascii=False)
_REASONS = {
    "Extra data": "The document root must not be followed by other values.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
}
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def parse(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        ServeError: INVALID_ARGUMENT with RapidJSON's words and offset.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parse_leniently(body)
    if not isinstance(document, dict):
        raise wrong(document, "Is not object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The signature asked for, or "".

    Raises:
        ServeError: INVALID_ARGUMENT if it is no string.
    """
    name = document.get(SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise wrong(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def wrong(value: Any, complaint: str) -> ServeError:
    """INVALID_ARGUMENT that shows a value, the first 1024 bytes of it, and says what is wrong with it."""
    return invalid_argument(f"JSON Value: {shown(value)} {complaint}")


def shown(value: Any) -> str:
    """A value as JSON again, indented by four."""
    text = ""
    for part in _ENCODER.iterencode(value):
        text += part
        if len(text) > MESSAGE_LIMIT_BYTES:
            break
    return truncated(text)


def type_name(value: Any) -> str:
    """A value's type in the words of RapidJSON."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
    return names.get(type(value), "Null")


def _parse_leniently(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise invalid_argument(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    if not text.strip():
        raise invalid_argument(f"JSON Parse error: The document is empty. at offset: {len(body)}")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise invalid_argument(f"JSON Parse error: {_reason(error, text)} at offset: {offset}") from error
    except (RecursionError, ValueError) as error:  # ValueError: an integer of thousands of digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise invalid_argument(f"JSON Parse error: {reason}") from error


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg != "Expecting ',' delimiter":
        return _REASONS.get(error.msg, "Invalid value.")
    opened: list[str] = []
    for token in _STRUCTURE.findall(text[: error.pos]):
        if token in "[{":
            opened.append(token)
        elif token in "]}":
            opened.pop()
    if opened and opened[-1] == "[":
        return "Missing a comma or ] after an array element."
    return "Missing a comma or } after an object member."
