"""How tests are shared out: the files of a folder that makes much for all of them go to one worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import units

ROOT = Path(__file__).parents[2]
TEST = """
import os, pathlib
def test_notes_its_worker():
    pathlib.Path(__file__).with_suffix(".worker").write_text(os.environ["PYTEST_XDIST_WORKER"])
"""


def test_files_of_a_folder_that_makes_much_for_all_of_them_go_to_one_worker(tmp_path: Path) -> None:
    for folder in units.FOLDERS:
        assert (ROOT / folder / "conftest.py").exists()
        (tmp_path / folder).mkdir(parents=True)
        for name in ("a", "b", "c"):
            (tmp_path / folder / f"test_{name}.py").write_text(TEST)
    options = ["-p", "units", "-n", "2", "--dist", "loadfile", "--import-mode=importlib", "--rootdir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path],
        env=os.environ | {"PYTHONPATH": str(Path(units.__file__).parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for folder in units.FOLDERS:
        workers = [path.read_text() for path in (tmp_path / folder).glob("*.worker")]
        assert len(workers) == 3
        assert len(set(workers)) == 1, folder
