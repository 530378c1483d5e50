"""What is to be published, a run directory, a file or a SavedModel: which file that is, and where it comes from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from genexport import run_files
from genexport.errors import ExportError
from genexport.generator import file_kinds


def is_run(source: Path) -> bool:
    """Whether a source is a run directory, not a file or a SavedModel."""
    return source.is_dir() and file_kinds.kind(source) != "saved_model"


def file_of(source: Path, snapshot: str) -> Path:
    """The generator's file: of a run its best snapshot, or the last.

    Raises:
        ExportError: nothing there.
    """
    best = source / "best" / "generator.keras"
    if snapshot == "best" and best.exists():
        return best
    path = source / "generator.keras" if is_run(source) else source
    if not path.exists():
        raise ExportError(f"{source}: {file_kinds.ADVICE['folder'] if source.is_dir() else 'no such file'}")
    return path


def provenance(source: Path, path: Path) -> dict[str, Any]:
    """Where a generator comes from, for the manifest: its SHA-256, and what its run says of itself."""
    from_run: dict[str, Any] = {}
    if source.is_dir() and (source / run_files.CONFIG).exists():
        dataset = run_files.read(source / run_files.DATASET)
        described = {key: dataset[key] for key in ("source", "count", "image_shape", "fingerprint") if key in dataset}
        said = {"run": run_files.read(source / run_files.CONFIG), "dataset": described}
        if path.parent.name == "best":
            said["measured"] = run_files.read(source / run_files.MEASURED)
        from_run = {name: facts for name, facts in said.items() if facts}
        from_run["snapshot"] = "best" if path.parent.name == "best" else "last"
    return {"generator_sha256": _digest(path), **from_run}


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files in order."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
