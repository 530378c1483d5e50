"""Ctrl-C before a command has begun: it ends with 130 and without a word, whatever is being imported."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Stops where the first import of a command outside its own package, or of its own heavy ones, begins.
HELD = """
import sys
class Hold:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            print("importing", flush=True)
            sys.stdin.readline()
sys.meta_path.insert(0, Hold())
sys.argv = [{command!r}, *{arguments!r}]
from {command}.cli import main
main()
"""


@pytest.mark.parametrize(
    ("command", "module", "arguments"),
    [
        ("genclient", "click", ["status"]),
        ("genclient", "genclient.commands.status", ["status"]),
        ("genclient", "grpc", ["status"]),
        ("gentrain", "click", ["presets"]),
        ("gentrain", "gentrain.commands.report", ["presets"]),
        ("genexport", "click", ["list", "."]),
        ("genexport", "genexport.commands.versions", ["list", "."]),
        ("genserve", "click", ["--model_base_path", "."]),
        ("genserve", "genserve.options.flags", ["--model_base_path", "."]),
    ],
)
def test_ctrl_c_during_imports_ends_with_130_and_no_traceback(command, module, arguments):
    program = HELD.format(command=command, module=module, arguments=arguments)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=180)
    assert (process.returncode, stdout, stderr.strip()) == (130, b"", b"")


def test_the_library_leaves_ctrl_c_alone():
    program = "import genclient, genclient.cli, signal; assert signal.getsignal(2) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=180)
