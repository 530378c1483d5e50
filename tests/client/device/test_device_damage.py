"""Files that cannot be run, or no longer: one line, and the process lives."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from genclient import ClientError
from genclient.model import tflite_metadata


def test_files_that_cannot_be_run_are_refused(fails, tflite, tmp_path):
    (tmp_path / "garbage.tflite").write_bytes(b"no model" * 99)
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "half.tflite").write_bytes(tflite.read_bytes()[: tflite.stat().st_size // 2])
    for name in ("garbage", "empty", "half"):
        code, line = fails("sample", "--tflite", f"{name}.tflite")
        assert (code, line.split(":")[0]) == (1, f"{name}.tflite is not a TFLite model that LiteRT can run")
    assert fails("sample", "--tflite", "none.tflite") == (1, "cannot read none.tflite: No such file or directory")
    assert fails("sample", "--tflite", ".") == (1, "cannot read .: Is a directory")
    assert fails("info", "--tflite", "/dev/zero")[0] == 1


def test_an_op_that_litert_has_not_is_named(fails, tflite, changed):
    def change(model):
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "Dreaming"

    code, line = fails("sample", "--tflite", changed(tflite, change))
    assert code == 1
    assert "custom op: Dreaming" in line


def test_a_tensor_larger_than_memory_is_refused(fails, converted):
    def generate(model, latents):
        return {"images": model(latents) + tf.reduce_max(tf.tile(latents, (50_000, 10_000)))}

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    code, line = fails("sample", "--tflite", converted(generate, latents=(1, 5)), preexec_fn=little_memory)
    assert code == 1
    assert line.endswith("need more memory than is free")


MUTATIONS = """
import os, random, sys
import numpy as np
from genclient import ClientError, DeviceGenerator
from genclient.device.sandbox import rehearse

original, place, count = open(sys.argv[1], "rb").read(), sys.argv[2], int(sys.argv[3])
chance, refused, crashed = random.Random(5), 0, 0
words = [b"\\xff" * 4, b"\\xff\\xff\\xff\\x7f", b"\\0\\0\\0\\x80", b"\\0" * 4, b"\\1\\0\\0\\0"]

def check(error):
    assert "\\n" not in str(error) and place.split("/")[-1][:-7] in str(error) or "images" in str(error), error

def make_one(place):
    generator = DeviceGenerator(place)
    labels = {"label": 0} if generator.generator() and generator.generator().conditional else {}
    next(generator.stream([0], **labels))

for number in range(count):
    content = bytearray(original)
    at = chance.randrange(len(content) - 4)
    if number % 5 == 0:
        content = content[:at]
    elif number % 5 < 3:
        content[at] = chance.randrange(256)
    else:
        content[at & ~3 : (at & ~3) + 4] = chance.choice(words)
    with open(place, "wb") as file:
        file.write(content)
    try:
        rehearse(place)
    except ClientError as error:
        refused += 1
        check(error)
        continue
    # LiteRT may read past what it was given and live, or not, so what passes is run in a child as well.
    child = os.fork()
    if not child:
        try:
            make_one(place)
        except ClientError as error:
            check(error)
            os._exit(1)
        except BaseException:
            os._exit(9)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code < 9, code
    refused += code == 1
    crashed += code < 0
print("refused", refused)
assert crashed <= count // 50, crashed
"""


@pytest.mark.parametrize("file", ["conditional_tflite", "quantised_tflite", "named_tflite"])
def test_a_damaged_file_never_ends_the_process(request, tmp_path, file):
    original, place = request.getfixturevalue(file), tmp_path / "damaged.tflite"
    command = [sys.executable, "-c", MUTATIONS, str(original), str(place), "150"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[1]) >= 30  # every fifth is cut short


def test_a_file_on_which_litert_crashes_is_one_line(genclient, tflite, changed):
    def change(model):  # LiteRT 2.3 follows the second input of a RESHAPE without looking
        graph = model.subgraphs[0]
        for operator in graph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.RESHAPE:
                operator.inputs = [operator.inputs[0], -1]

    done = genclient("sample", "--tflite", changed(tflite, change))
    assert done.returncode in (0, 1)  # a later LiteRT may run it
    assert done.stderr.count(b"\n") == done.returncode


def test_metadata_whose_offsets_lead_out_of_the_file_is_refused():
    table = (100).to_bytes(4, "little")  # says that its list of fields stands 100 bytes before it
    content = b"\x08\0\0\0TFL3" + table + b"\4\0" * 150
    with pytest.raises(ClientError, match=r"^x.tflite: damaged"):
        tflite_metadata.read(content, "x.tflite")
