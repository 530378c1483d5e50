"""Put a published generator into both phone samples: `generator.tflite` and `generator.json`.

    python client/mobile/assets.py models/digits/1

The model is the version's `…-dynamic.tflite`: float32 latents or pictures in, float32 images in [0, 1] out, and a
quarter of the size. The JSON holds what the samples read of the manifest: the size of the latents, the shape of an
image, the classes, and of a model that takes pictures their shape and how they are brought to it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import ImageColor

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "android/app/src/main/assets", HERE / "ios/App/Resources")
"""Where each platform's build looks for them."""

MODEL, ABOUT = "generator.tflite", "generator.json"


class AssetError(Exception):
    """What is wrong with a version or a folder, in one line."""


def assets(version: Path) -> dict[str, bytes]:
    """File name → content of the two assets of a version of the model repository.

    Raises:
        AssetError: it is no version, or has no such TFLite file.
    """
    manifest = _manifest(version)
    try:
        about = {key: manifest[key] for key in ("name", "latent_size", "image_shape")}
        about["class_names"] = _class_names(manifest)
        about |= _picture(manifest)
        file = version / "tflite" / f"{about['name']}-dynamic.tflite"
        if not file.exists():
            raise AssetError(_without(file, manifest))
        model = file.read_bytes()
    except KeyError as error:
        raise AssetError(f"{version / 'manifest.json'}: found no {error}, expected what genexport publishes") from None
    except OSError as error:
        raise AssetError(f"cannot read {error.filename}: {error.strerror}") from None
    return {MODEL: model, ABOUT: (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode()}


def _manifest(version: Path) -> dict[str, Any]:
    file = version / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssetError(f"cannot read {file}: {error.strerror}, expected a version such as models/digits/1") from None
    except ValueError:
        raise AssetError(f"{file}: damaged, expected JSON") from None
    if not isinstance(manifest, dict):
        raise AssetError(f"{file}: found no object, expected what genexport publishes")
    return manifest


def _without(file: Path, manifest: dict[str, Any]) -> str:
    """Why the version has no such file, and how to get one."""
    left_out = manifest.get("left_out")
    reason = left_out.get("tflite/dynamic") if isinstance(left_out, dict) else None
    return f"{file}: not there: " + (f"left out: {reason}" if reason else "publish with --files dynamic")


def _class_names(manifest: dict[str, Any]) -> list[str]:
    """A name a class: its number where it has none; empty where the generator takes no labels."""
    names = manifest.get("class_names") or []
    return [str(name) for name in names] or [str(index) for index in range(manifest.get("class_count") or 0)]


def _picture(manifest: dict[str, Any]) -> dict[str, Any]:
    """What pictures it makes images of, as `picture`; nothing where it takes none.

    Raises:
        AssetError: it takes something else that the samples do not give.
    """
    inputs = manifest.get("signatures", {}).get("serving_default", {}).get("inputs", {})
    if "image" not in inputs:
        return {}
    if others := set(inputs) - {"image", "hints"}:
        raise AssetError(f"this model takes {', '.join(sorted(others))} beside pictures, which the samples do not give")
    tensors = (manifest.get("interface") or {}).get("inputs", [])
    said = next((tensor.get("preprocessing") for tensor in tensors if tensor.get("role") == "image"), None) or {}
    background = list(ImageColor.getrgb(said.get("background", "white"))[:3])
    how = {"crop": said.get("crop", "center"), "resize": said.get("resize", "lanczos"), "background": background}
    return {"picture": {"shape": inputs["image"]["shape"][1:], **how, "hints": "hints" in inputs}}


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write files, whole or not at all, whoever else writes there.

    Raises:
        AssetError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as own:
            for name, content in files.items():
                (Path(own) / name).write_bytes(content)
            for name in files:
                (Path(own) / name).replace(folder / name)
    except OSError as error:
        raise AssetError(f"cannot write {folder}: {error.strerror}") from None


def main() -> int:
    """Run the command; 0, 1 for a failure, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Put a published generator into the phone samples.")
    parser.add_argument("version", type=Path, help="such as models/digits/1")
    parser.add_argument("--out", type=Path, action="append", help="this folder instead of the samples' own; repeatable")
    arguments = parser.parse_args()
    try:
        files = assets(arguments.version)
        for folder in arguments.out or FOLDERS:
            write(folder, files)
            print(*(folder / name for name in files), sep="\n")
    except AssetError as error:
        print(f"assets.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
