"""The flags of tensorflow_model_server, as genserve takes them."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from genserve.cli import cli
from genserve.options.flags import REFUSED, WITHOUT_EFFECT, FlagError, Flags, unknown_flag
from model_server_flags import TENSORFLOW_MODEL_SERVER

OWN = {
    "bind_address",
    "imitate_tensor_content_fault",
    "keep_socket_in_use",
    "max_queued_requests",
    "max_request_rows",
    "v",
}
OWN |= {f"rest_api_max_{what}" for what in ("body_bytes", "bytes_in_flight", "connections", "json_values")}
OWN |= {f"rest_api_{what}_timeout_in_ms" for what in ("header", "idle", "stall")}


def parse(*arguments):
    """The flags that a command line stands for."""
    options = cli.make_context("genserve", [*arguments]).params
    return Flags(**{name: value for name, value in options.items() if name not in WITHOUT_EFFECT})


def test_every_flag_of_tensorflow_model_server_is_known_and_has_its_default():
    fields = {field.name: field.default for field in dataclasses.fields(Flags)}
    assert {*fields, *WITHOUT_EFFECT, *REFUSED} == {*TENSORFLOW_MODEL_SERVER, *OWN}
    for name in fields.keys() - OWN:
        if TENSORFLOW_MODEL_SERVER[name] is not None:
            assert fields[name] == TENSORFLOW_MODEL_SERVER[name], name


def test_values_come_after_an_equals_sign_or_a_space_and_the_last_one_wins():
    flags = parse("--model_base_path", "m", "--port=1", "--port", "2", "--grpc_channel_arguments=a=1,b=x,c=99999999999")
    assert (flags.model_base_path, flags.port) == ("m", 2)
    assert flags.channel_arguments() == {"a": 1, "b": "x", "c": "99999999999"}


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], False),
        (["--enable_batching"], True),
        (["--enable_batching=true"], True),
        (["--enable_batching=1"], True),
        (["--enable_batching", "true"], True),
        (["--enable_batching=false"], False),
        (["--enable_batching=0"], False),
        (["--enable_batching", "--enable_batching=false"], False),
    ],
)
def test_booleans_are_taken_as_tensorflows_parser_takes_them(arguments, value):
    assert parse(*arguments, "--model_base_path=m").enable_batching is value
    assert parse("--model_base_path=m", *arguments).enable_batching is value


def test_another_value_of_a_boolean_is_refused_with_what_is_expected():
    with pytest.raises(click.BadParameter) as failure:
        parse("--model_base_path=m", "--enable_model_warmup=maybe")
    assert failure.value.message == "'maybe' is not one of 'true', 'false', '1', '0'."


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "use_alts_credentials",
            "--use_alts_credentials: TensorFlow Serving has this flag, genserve does not: TLS is --ssl_config_file",
        ),
        ("frobnicate", "no such flag: --frobnicate, neither here nor in TensorFlow Serving"),
        (
            "max_load_retries",
            "no such flag: --max_load_retries, neither here nor in TensorFlow Serving; "
            "did you mean --max_num_load_retries?",
        ),
    ],
)
def test_unknown_flag_says_whether_tensorflow_serving_has_it(name, line):
    with pytest.raises(click.NoSuchOption):
        parse("--model_base_path=m", f"--{name}=1")
    assert unknown_flag(name) == line


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"port": 0}, "--port=0: at least one of --port and --grpc_socket_path must be set"),
        ({"port": 65536}, "--port=65536: expected 0 to 65535"),
        ({"rest_api_port": 8500}, "--rest_api_port=8500: must be different from --port"),
        ({"grpc_max_threads": 0}, "--grpc_max_threads=0: expected 1 to 10000"),
        ({"max_num_load_retries": -1}, "--max_num_load_retries=-1: expected 0 to 2147483647"),
        ({"per_process_gpu_memory_fraction": 1.5}, "--per_process_gpu_memory_fraction=1.5: expected 0 to 1"),
        (
            {"model_config_file_poll_wait_seconds": float("nan")},
            "--model_config_file_poll_wait_seconds=nan: expected seconds between two looks at the file, "
            "or 0 to look only once",
        ),
        ({"batching_parameters_file": "b"}, "--batching_parameters_file is set without --enable_batching"),
        (
            {"tensorflow_session_parallelism": 2, "tensorflow_intra_op_parallelism": 1},
            "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism: give it or them",
        ),
        ({"grpc_channel_arguments": "a=1,b"}, "--grpc_channel_arguments: expected KEY=VALUE,…, found 'b'"),
        (
            {"model_base_path": "hdfs://h/m"},
            "--model_base_path=hdfs://h/m: only local folders, s3:// and gs:// are served",
        ),
        (
            {"model_base_path": "s3://"},
            "--model_base_path=s3://: expected a bucket and a folder in it, such as s3://models/digits",
        ),
    ],
)
def test_value_that_cannot_be_served_is_named(settings, line):
    with pytest.raises(FlagError) as failure:
        Flags(**{"model_base_path": "m", **settings})
    assert str(failure.value) == line


def test_config_file_makes_name_and_base_path_superfluous():
    assert Flags(model_config_file="f").model_base_path == ""


def test_flag_without_effect_is_taken_with_a_warning_that_says_why():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        arguments = ["--model_base_path=m", f"--port={taken.getsockname()[1]}", "--num_load_threads=4"]
        command = [Path(sys.executable).with_name("genserve"), *arguments, "--enable_profiler"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    warnings = [line.partition(" WARNING ")[2] for line in result.stderr.splitlines()[:-1]]
    assert sorted(warnings) == [
        "--enable_profiler has no effect here: there is no profiler service",
        "--num_load_threads has no effect here: each model loads in a thread of its own",
    ]
