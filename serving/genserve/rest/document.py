"""Parses the JSON body of a request, with TF Serving's error messages.

orjson parses valid JSON. What it rejects, and what may have duplicate keys, is parsed again by the standard library the
way RapidJSON does: NaN and Infinity are numbers, the first of duplicate keys wins, anything after the document is
ignored, and errors give an offset.
Source: TF Serving's util/json_tensor.cc (ParseJson); RapidJSON's reader.h and error/en.h.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import math
import re
from typing import Any

import orjson

from genserve.errors import ServeError, invalid_argument
from genserve.rest.excerpts import excerpt

SIGNATURE_NAME = "signature_name"
MANY_KEYS = 16
PART_BYTES = 2**16  # that are parsed the slow way at first, then 16 times as many
TOKEN = 64  # characters before the end of a part: a token may be cut there
_WHITE_SPACE = " \t\n\r"
_UNTERMINATED = "Missing a closing quotation mark in string."
_REASONS = {
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": _UNTERMINATED,
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
}
_NO_UTF8 = re.compile("[\udc80-\udcff]")  # what surrogateescape makes of bytes that are none
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_NUMBER = re.compile(_STRING + r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)", re.DOTALL)
_STRUCTURE = re.compile(_STRING + r"|[][{}]", re.DOTALL)


def parse(body: bytes) -> dict[str, Any]:
    """The object that a body holds.

    Raises:
        ServeError: INVALID_ARGUMENT with RapidJSON's words and offset.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = orjson.loads(body)
        if isinstance(document, dict) and _may_repeat_keys(body, document):
            document = _parse_as_rapidjson(body)
    except orjson.JSONDecodeError:
        document = _parse_as_rapidjson(body)
    if not isinstance(document, dict):
        raise wrong(document, "Is not object")
    return document


def signature_name(document: dict[str, Any]) -> str:
    """The signature asked for, or "".

    Raises:
        ServeError: INVALID_ARGUMENT if it is not a string.
    """
    name = document.get(SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise wrong(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def wrong(value: Any, complaint: str) -> ServeError:
    """INVALID_ARGUMENT that shows the beginning of a value and says what is wrong with it."""
    return invalid_argument(f"JSON Value: {excerpt(value)} {complaint}")


def _may_repeat_keys(body: bytes, document: dict[str, Any]) -> bool:
    """Whether a key of the document, of its inputs or of its instances stands in the body more often than it should."""
    inputs, instances = document.get("inputs"), document.get("instances")
    expected = dict.fromkeys(document, 1)
    expected |= dict.fromkeys(inputs, 1) if isinstance(inputs, dict) else {}
    if isinstance(instances, list) and instances and isinstance(instances[0], dict):
        expected |= dict.fromkeys(instances[0], len(instances))
    if len(expected) > MANY_KEYS:  # counting each would take its number times the body
        return True
    return any(body.count(orjson.dumps(key)) > count for key, count in expected.items())


class _Cut(Exception):
    """A part of a text ends before it is clear what is wrong with the text."""


def _parse_as_rapidjson(body: bytes) -> Any:
    """Parse the beginning first: most errors are there, and what follows the document does not matter."""
    size = PART_BYTES
    while size < len(body):
        with contextlib.suppress(_Cut):
            return _parse_part(body[:size], whole=False)
        size *= 16
    return _parse_part(body, whole=True)


def _parse_part(part: bytes, whole: bool) -> Any:
    start = len(codecs.BOM_UTF8) if part.startswith(codecs.BOM_UTF8) else 0
    text = part[start:].decode(errors="surrogateescape")

    def seen(end: int) -> None:
        if not whole and end > len(text) - TOKEN:
            raise _Cut

    def failed(reason: str, at: int) -> ServeError:
        seen(len(text) if reason == _UNTERMINATED else at)
        return _parse_error(reason, start + _size(text[:at]))

    begin = len(text) - len(text.lstrip(_WHITE_SPACE))
    if begin == len(text):
        raise failed("The document is empty.", begin)
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError as error:
        raise failed(_reason(error, text), error.pos) from error
    except OverflowError as error:
        first, last = _too_big(text)
        seen(last)
        raise failed("Number too big to be stored in double.", first) from error
    except RecursionError as error:
        raise invalid_argument("JSON Parse error: nested too deeply") from error
    seen(end)
    if foreign := _NO_UTF8.search(text, begin, end):
        raise failed("Invalid encoding in string.", foreign.start())
    return value


def _parse_error(reason: str, offset: int) -> ServeError:
    return invalid_argument(f"JSON Parse error: {reason} at offset: {offset}")


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))


def _first_of_equals(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise OverflowError
    return value


def _int(digits: str) -> int | float:
    """Whole numbers beyond 64 bits are floats, as for RapidJSON and orjson."""
    if len(digits) <= 20 and -(2**63) <= int(digits) < 2**64:
        return int(digits)
    return _float(digits)


def _too_big(text: str) -> tuple[int, int]:
    """Where the first number that no double can hold begins and ends."""
    for found in _NUMBER.finditer(text):
        if found["number"] and math.isinf(float(found["number"])):
            return found.span()
    return 0, 0


_DECODER = json.JSONDecoder(object_pairs_hook=_first_of_equals, parse_float=_float, parse_int=_int)


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg != "Expecting ',' delimiter":
        return _REASONS.get(error.msg, "Invalid value.")
    opened: list[str] = []
    for found in _STRUCTURE.finditer(text, 0, error.pos):
        if (token := found[0]) in "[{":
            opened.append(token)
        elif token in "]}":
            opened.pop()
    if opened and opened[-1] == "[":
        return "Missing a comma or ] after an array element."
    return "Missing a comma or } after an object member."
