"""Runs TensorFlow Serving's own black-box test of tensorflow_model_server against genserve.

    python tests/serving/upstream/run.py CHECKOUT [TEST …]

CHECKOUT is a clone of github.com/tensorflow/serving; README.md beside this file says how to get one, which tests pass
and why the others do not. Nothing is copied from the clone, and nothing of it is part of this repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TEST = "tensorflow_serving.model_servers.tensorflow_model_server_test"
NEEDED = "tensorflow_serving/model_servers/tensorflow_model_server_test.py"

# The pip package tensorflow_serving holds the protos alone; model_servers and its test come from the clone.
PROGRAM = f"""
import sys
import tensorflow_serving
tensorflow_serving.__path__.append(sys.argv.pop(1))
import {TEST} as test
test.tf.enable_eager_execution()
sys.modules["__main__"].__dict__.update(vars(test))
test.tf.test.main()
"""


def lay_out(checkout: Path, runfiles: Path) -> None:
    """What Bazel would lay out: the test's data, and a tensorflow_model_server, which is genserve."""
    inside = runfiles / "tf_serving" / "tensorflow_serving"
    servers = inside / "model_servers"
    servers.mkdir(parents=True)
    for folder in ("servables", "session_bundle"):
        (inside / folder).symlink_to(checkout / "tensorflow_serving" / folder)
    (servers / "tensorflow_model_server").symlink_to(Path(sys.executable).with_name("genserve"))


def main() -> int:
    """Run the tests that are named, or all; unittest's exit code."""
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / NEEDED).is_file():
        print(f"usage: run.py CHECKOUT [TEST …]: expected a clone with {NEEDED}", file=sys.stderr)
        return 2
    checkout = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as runfiles:
        lay_out(checkout, Path(runfiles))
        # tf.keras is Keras 2 (tf_keras) in the test: two of its models are saved with Keras 2's tf.saved_model.save.
        environment = {"TEST_SRCDIR": runfiles, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        tests = [f"TensorflowModelServerTest.{name}" for name in sys.argv[2:]]
        command = [sys.executable, "-c", PROGRAM, str(checkout / "tensorflow_serving"), *tests]
        return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
