"""An old version becomes the newest again: a copy under the next number, so that every server takes it up by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from genexport.errors import ExportError
from genexport.repository import manifest, store


def rollback(base: Path, version: int) -> Path:
    """Publish a copy of an old version as the newest; its manifest says what it is a copy of.

    Every SHA-256 is checked before and after. The files are copied, since a hard link would share its damage.

    Args:
        base: the model's folder.
        version: the old one's number.

    Returns:
        The folder of the new version.

    Raises:
        ExportError: no such version, it is the newest already or not what was published, or the disk is full.
    """
    old, known = base / str(version), store.versions(base)
    if version not in known:
        there = f"there are {', '.join(map(str, known))}" if known else "the model has no versions"
        raise ExportError(f"{old}: no such version; {there} (genexport list)")
    if version == known[-1]:
        raise ExportError(f"{old}: is the newest version already")
    described = manifest.check(old)
    with store.staging(base) as folder:
        try:
            shutil.copytree(old, folder, dirs_exist_ok=True)
            described["copy_of"] = {
                "version": version,
                "created": described["created"],
                "manifest_sha256": manifest.sha256(old / manifest.MANIFEST),
            }
            described["created"] = manifest.now()
            files = described.pop("files")
            manifest.write(folder, described)
        except (OSError, shutil.Error) as error:
            reason = getattr(error, "strerror", None) or "not every file could be copied"
            raise ExportError(f"{base}: cannot be written: {reason}") from error
        if manifest.check(folder)["files"] != files:
            raise ExportError(f"{old}: changed while it was copied; run genexport verify {old}")
        return store.publish(folder, base)
