"""In CI a skipped test fails the run, unless its reason is one that a machine there cannot mend."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ci_skips
import pytest

SUPPORT = Path(ci_skips.__file__).parent
TOOL = "no valgrind: tests/install-tools.sh installs it"


@pytest.mark.parametrize(
    ("ci", "reason", "workers", "code"),
    [
        ("true", TOOL, "0", 1),
        ("true", TOOL, "1", 1),
        ("", TOOL, "0", 0),
        ("true", ci_skips.ACCEPTED[0], "0", 0),
    ],
)
def test_a_skip_fails_in_ci_unless_its_reason_is_accepted(
    tmp_path: Path, ci: str, reason: str, workers: str, code: int
) -> None:
    (tmp_path / "test_one.py").write_text(
        "import pytest\n\n"
        "def test_passes():\n    pass\n\n"
        f"@pytest.mark.skip(reason={reason!r})\ndef test_skips():\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "ci_skips", "-n", workers, "-q", "--rootdir", tmp_path, tmp_path],
        env=os.environ | {"CI": ci, "PYTHONPATH": str(SUPPORT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    assert ("test_skips: Skipped" in done.stdout or f"test_one.py::test_skips: {reason}" in done.stdout) == bool(
        code
    ), done.stdout
