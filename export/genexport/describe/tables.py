"""Text for people out of manifests: artifacts beside Keras, signatures, files, and lists of versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# saved_model.pb and variables/ are one artifact; all its signatures run on it.
SAVEDMODEL_FILES = ("saved_model.pb", "variables/", "assets/", "fingerprint.pb")

PARITY_HEADER = ("against Keras", "max error", "mean error", "PSNR", "Fréchet", "size")


def parity_rows(manifest: Mapping[str, Any], parity: Mapping[str, Mapping[str, Any]] | None = None) -> list[list[str]]:
    """A row for each artifact, by `PARITY_HEADER`: `parity` if given, else what was measured when it was published."""
    return [
        [
            what,
            f"{difference['max_error']:.1e}",
            f"{difference['mean_error']:.1e}",
            _decibels(difference.get("psnr_db")),
            _rise(difference.get("frechet_rise")),
            size_of(what, manifest),
        ]
        for what, difference in (manifest["parity"] if parity is None else parity).items()
    ]


def remarks(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(artifact, what there is to say): those left out and why, and integer files with ops in float32."""
    lines = [(what, f"left out: {reason}") for what, reason in manifest.get("left_out", {}).items()]
    for variant in ("int8", "micro"):
        needs = manifest.get("tflite", {}).get(variant, {})
        if floats := floats_text(needs):
            lines.append((f"tflite/{variant}", floats))
    return lines


def floats_text(needs: Mapping[str, Any]) -> str:
    """`12 of 75 ops compute in float32 (ADD 4, RSQRT 8)`; nothing where none does."""
    floats = needs.get("float32_ops", {})
    if not floats:
        return ""
    kinds = ", ".join(f"{kind} {count}" for kind, count in floats.items())
    return f"{sum(floats.values())} of {needs['ops']} ops compute in float32 ({kinds})"


def size_of(what: str, manifest: Mapping[str, Any]) -> str:
    """The size of the artifact that `parity` calls so; nothing for a signature of another one."""
    folder, _, variant = what.partition("/")
    files = manifest["files"]
    if folder == "savedmodel":
        names = [] if variant else [name for name in files if name.startswith(SAVEDMODEL_FILES)]
    else:
        names = [name for name in files if name.startswith(f"{folder}/{manifest['name']}-{variant}.")]
    return bytes_text(sum(files[name]["bytes"] for name in names)) if names else ""


def bytes_text(size: float) -> str:
    """`1.2 MB`: three digits at most, in thousands."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 99.5 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def total_bytes(manifest: Mapping[str, Any]) -> int:
    """Of all files that it names."""
    return sum(file["bytes"] for file in manifest["files"].values())


def shape_text(manifest: Mapping[str, Any]) -> str:
    """`28×28×1`, of clips `16 frames of 28×28×1`."""
    height, width, channels = manifest["image_shape"]
    frames = f"{manifest['frame_count']} frames of " if manifest.get("frame_count") else ""
    return f"{frames}{width}×{height}×{channels}"


def quality_text(manifest: Mapping[str, Any]) -> str:
    """`frechet 0.28 (reference 0.22)`, the metric that the best snapshot was chosen by; nothing where none is known."""
    quality = manifest.get("quality")
    if not quality:
        return ""
    score = quality["metrics"][quality["by"]]
    reference = f" (reference {score['floor']:.3g})" if "floor" in score else ""
    return f"{quality['by']} {score['value']:.3g}{reference}"


def inputs_outputs(signature: Mapping[str, Any]) -> str:
    """`latents float32 (N, 32) → images float32 (N, 28, 28, 1)`."""
    sides = (
        ", ".join(f"{name} {_spec(spec)}" for name, spec in signature[side].items()) for side in ("inputs", "outputs")
    )
    return " → ".join(sides)


def aligned(rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Lines with columns of one width each: the first `left` of them to the left, the others to the right."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _spec(spec: Mapping[str, Any]) -> str:
    return f"{spec['dtype']} ({', '.join('N' if size is None else str(size) for size in spec['shape'])})"


def _decibels(psnr: float | None) -> str:
    return "identical" if psnr is None else f"{psnr:.1f} dB"


def _rise(rise: float | None) -> str:
    return "" if rise is None else f"{round(100 * rise, 1) + 0.0:+.1f}%"  # + 0.0: no minus before 0
