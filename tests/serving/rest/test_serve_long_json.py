"""JSON of more values than are worked on at a time, in the process: it is read and written as short JSON is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from genserve.errors import ServeError
from genserve.rest import document, leaves, responses
from genserve.rest.leaves import array
from tensorflow.core.framework import types_pb2

PART = document.PART_BYTES
PIECE = leaves.PIECE_VALUES
SPACES = b" " * (PART - 20)  # so that what follows is cut in two by the end of the first part


def complaint(function, *arguments):
    """The message of the error that a call ends with."""
    with pytest.raises(ServeError) as failure:
        function(*arguments)
    return failure.value.message


@pytest.mark.parametrize("gap", [b"", SPACES, SPACES + b" " * 18, 17 * SPACES], ids=["near", "cut", "end", "far"])
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"", b"\0", "Invalid value."),
        (b'{"a": [', b"tru", "Invalid value."),
        (b'{"a": [[1]', b"2]}", "Missing a comma or ] after an array element."),
        (b'{"a": 1', b'"b"', "Missing a comma or } after an object member."),
        (b'{"a": ', b'"\xff"}', "Invalid encoding in string."),
        (b'{"a": [', b"9" * 400 + b"]}", "Number too big to be stored in double."),
        (b'{"a": [', b'"' + b"x" * 200, "Missing a closing quotation mark in string."),
    ],
)
def test_error_of_a_long_text_is_found_where_it_is(before, after, message, gap):
    offset = len(before + gap) + (1 if b"\xff" in after else 0)
    for text in (before + gap + after, before + gap + after + b" " * 2 * PART):
        expected = f"JSON Parse error: {message} at offset: {offset}"
        assert complaint(document.parse, text) == expected


@pytest.mark.parametrize("gap", [SPACES, 17 * SPACES], ids=["cut", "far"])
@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b"9" * 400 + b"e-390", b"9" * 70, b'"\xc3\xa9"'])
def test_value_that_only_rapidjson_reads_is_read_in_a_long_text(value, gap):
    for end in (b"]}", b"]} and more" + b"x" * PART):
        read = document.parse(b'{"odd": NaN, "a": [' + gap + value + end)
        assert repr(read["a"]) == repr([json.loads(value, parse_int=float)])


def test_whole_numbers_and_floats_beyond_one_piece_become_one_array():
    count = 2 * PIECE + 5
    values = list(range(count))
    for dtype, expected in ((types_pb2.DT_INT32, np.int32), (types_pb2.DT_UINT8, np.uint8), (1, np.float32)):
        found = array([values, values], dtype)
        assert (found.dtype, found.shape) == (expected, (2, count))
        assert (found == np.array([values, values]).astype(expected)).all()
    assert array([[value] for value in values], 1).shape == (count, 1)
    assert array([["a", {"b64": "Yg=="}]] * PIECE, types_pb2.DT_STRING)[-1].tolist() == [b"a", b"b"]
    assert array([2**64 - 1] * count, types_pb2.DT_UINT64)[-1] == 2**64 - 1


@pytest.mark.parametrize("place", [0, PIECE - 1, PIECE, 2 * PIECE + 4])
@pytest.mark.parametrize(("dtype", "good", "bad"), [("FLOAT", 0.5, "x"), ("INT32", 1, 2**31), ("BOOL", True, 1)])
def test_first_value_that_does_not_fit_is_named_wherever_it_is(place, dtype, good, bad):
    values = [good] * (2 * PIECE + 5)
    values[-1] = None
    values[place] = bad
    shown = json.dumps(bad)
    assert complaint(array, values, types_pb2.DataType.Value(f"DT_{dtype}")).startswith(f"JSON Value: {shown} Type: ")


@pytest.mark.parametrize(
    "shape", [(3 * responses.PIECE_VALUES,), (2, responses.PIECE_VALUES + 1), (1, 5, 7000), (900, 7, 9)]
)
def test_long_tensor_is_written_as_one_list(shape):
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 7
    numbers.flat[[1, -1]] = [np.nan, -np.inf]
    text = responses.values("x", numbers)
    found = np.array(json.loads(text), np.float32)
    np.testing.assert_array_equal(found, numbers)
    assert text.count(b", ") == text.count(b",") == numbers.size - 1
