"""The parameters file: what it says, and what is refused."""

from __future__ import annotations

import pytest
from genserve.batching import Parameters, parameters
from genserve.options.flags import FlagError

FILE = """
max_batch_size { value: 64 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 7 }
num_batch_threads { value: 3 }
thread_pool_name { value: "mine" }
allowed_batch_sizes: 8
allowed_batch_sizes: 32
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 32 }
"""


def test_parameters_file_says_everything_and_an_empty_one_gives_the_defaults(tmp_path):
    file = tmp_path / "batching.txt"
    file.write_text(FILE)
    assert parameters.read(file) == Parameters(64, 2000, 7, 3, "mine", (8, 32), True, True, 32)
    file.write_text("")
    found = parameters.read(file)
    assert (found.max_batch_size, found.batch_timeout_micros, found.max_enqueued_batches) == (1000, 0, 10)
    assert (found.allowed_batch_sizes, found.execution_size) == ((), 1000)
    assert found.num_batch_threads >= 1


BAD_FILES = {
    "max_batch_size: 4": "max_batch_size",
    "max_batch { value: 4 }": "max_batch",
    "max_batch_size { value: 0 }": "max_batch_size must be positive; was 0",
    "num_batch_threads { value: 0 }": "num_batch_threads must be positive; was 0",
    "batch_timeout_micros { value: -1 }": "batch_timeout_micros must be non-negative; was -1",
    "max_enqueued_batches { value: -1 }": "max_enqueued_batches must be non-negative; was -1",
    "allowed_batch_sizes: 8": (
        "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; expected 1000"
    ),
    "max_batch_size { value: 4 } allowed_batch_sizes: 4 allowed_batch_sizes: 2 allowed_batch_sizes: 4": (
        "allowed_batch_sizes entries must be positive and monotonically increasing"
    ),
    "max_batch_size { value: 4 } allowed_batch_sizes: 2 allowed_batch_sizes: 2 allowed_batch_sizes: 4": (
        "allowed_batch_sizes entries must be positive and monotonically increasing"
    ),
    "max_batch_size { value: 8 } allowed_batch_sizes: 8 enable_large_batch_splitting { value: true } "
    "max_execution_batch_size { value: 4 }": (
        "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last entry was 8; expected 4"
    ),
    "max_batch_size { value: 4 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 8 }": (
        "When enable_large_batch_splitting is true, max_batch_size must be greater than or equal to "
        "max_execution_batch_size; were 4 and 8"
    ),
    "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }": (
        "max_enqueued_batches must be positive; was 0"
    ),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_parameters_file_is_refused_in_one_line_that_names_file_and_field(tmp_path, text):
    file = tmp_path / "batching.txt"
    file.write_text(text)
    with pytest.raises(FlagError) as failure:
        parameters.read(file)
    message = str(failure.value)
    assert message.startswith("--batching_parameters_file")
    assert str(file) in message
    assert BAD_FILES[text] in message
    assert "\n" not in message


def test_missing_and_binary_parameters_files_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary", "."):
        with pytest.raises(FlagError, match="--batching_parameters_file"):
            parameters.read(tmp_path / name)
