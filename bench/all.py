"""Run measurements and write their sections of bench/RESULTS.md: `make bench`, `make bench-training`.

A section is found by its heading and replaced; sections that are not measured now stay as they are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import date
from pathlib import Path

from common import HERE, machine, tell
from gentrain.files import replacing

RESULTS = HERE / "RESULTS.md"
HEAD = """# Results

Written by `make bench` and `make bench-training`, each section by the script that it names. The machines are shared and
noisy: read ratios before seconds."""

PACKAGES = ("genline", "tensorflow", "keras", "numpy", "grpcio", "protobuf")
GROUPS: dict[str, tuple[str, ...]] = {
    "main": ("pipeline", "client_cost"),
    "client": ("client_cost", "client_decoding", "client_shards"),
    "device": ("device",),
    "serving": ("serving", "serving_attack"),
    "training": (
        *("training_speed", "training_quality", "training_growth", "training_devices"),
        *("training_presets", "emoji", "features", "augmentation", "detector"),
    ),
}

WITH_EMOJI = ("emoji", "training_presets", "features")


def main() -> None:
    """Measure what is asked for, one script after another; a script that fails leaves its section as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scripts = [script for group in GROUPS.values() for script in group]
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        default=["main"],
        help="a group (main, client, training, device, serving) or scripts by name",
    )
    parser.add_argument(
        "--package", type=Path, metavar="DIR", help="for emoji and the presets: unpacked npm emoji-datasource-google"
    )
    arguments, rest = parser.parse_known_args()
    asked = list(dict.fromkeys(script for name in arguments.names for script in GROUPS.get(name, (name,))))
    if unknown := set(asked) - set(scripts):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join([*GROUPS, *scripts])}")
    if rest and len(asked) > 1:
        parser.error(f"{' '.join(rest)}: options of a script need that script alone")
    failed = [script for script in asked if not measure(script, arguments.package, rest)]
    if failed:
        sys.exit(f"no new results from {', '.join(failed)}")


def measure(script: str, package: Path | None, rest: list[str]) -> bool:
    """Run one script, with options of its own, and put what it prints into the results; False if there is nothing."""
    if script in ("emoji", "features") and package is None:
        tell(f"bench/{script}.py: left out; it needs --package DIR")
        return True
    options = ["--package", str(package)] if script in WITH_EMOJI and package else []
    tell(f"bench/{script}.py …")
    command = [sys.executable, str(HERE / f"{script}.py"), *options, *rest]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return False
    where = f"*{date.today()}: {machine(PACKAGES)}*"
    found = sections(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for heading, body in sections(done.stdout).items():
        found[heading] = f"{where}\n\n{body}"
    with replacing(RESULTS) as temporary:
        parts = [HEAD, *(f"{heading}\n\n{body}" for heading, body in found.items())]
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return True


def sections(text: str) -> dict[str, str]:
    """Heading (`## …`) → what stands below it, in the order of the text; what comes before the first is left out."""
    found: dict[str, str] = {}
    for part in f"\n{text}".split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        found[f"## {heading.strip()}"] = body.strip()
    return found


if __name__ == "__main__":
    main()
