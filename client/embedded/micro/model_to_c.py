"""A TFLite file as a C array, for a microcontroller that has no file system: `model_data.h` and `model_data.cc`.

    python client/embedded/micro/model_to_c.py models/digits/1/tflite/digits-micro.tflite build

Only the standard library is needed. What the file needs of the controller says report.py.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

HEADER = """\
// {name}, {size} bytes, SHA-256 {digest}; written by model_to_c.py.
#ifndef MODEL_DATA_H_
#define MODEL_DATA_H_

extern const unsigned char model_data[];
extern const unsigned int model_data_size;

#endif  // MODEL_DATA_H_
"""

SOURCE = """\
// {name}; written by model_to_c.py.
#include "model_data.h"

// Constant, so it stays in flash; FlatBuffers are read in place and want 16 bytes of alignment.
alignas(16) const unsigned char model_data[] = {{
{rows}
}};
const unsigned int model_data_size = {size};
"""


class ModelFileError(Exception):
    """What is wrong with a file, in one line."""


def read(path: Path) -> bytes:
    """The bytes of a TFLite file.

    Raises:
        ModelFileError: it cannot be read or is no TFLite file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror}") from None
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{path} is not a TFLite model")
    return content


def sources(name: str, content: bytes) -> dict[str, str]:
    """File name → text of the header and of the source that hold `content`."""
    plain = "".join(c if c.isprintable() and c != "\\" else "?" for c in name)
    rows = "\n".join(
        "  " + " ".join(f"0x{byte:02x}," for byte in content[start : start + 16])
        for start in range(0, len(content), 16)
    )
    fields = {"name": plain, "size": len(content), "digest": hashlib.sha256(content).hexdigest(), "rows": rows}
    return {"model_data.h": HEADER.format(**fields), "model_data.cc": SOURCE.format(**fields)}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write text files, whole or not at all, whoever else writes there.

    Raises:
        ModelFileError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as own:
            for name, text in files.items():
                (Path(own) / name).write_bytes(text.encode())
            for name in files:
                (Path(own) / name).replace(folder / name)
    except OSError as error:
        raise ModelFileError(f"cannot write {folder}: {error.strerror}") from None


def main() -> int:
    """Run the command; 0, 1 for a failure, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Write a TFLite file as a C array.")
    parser.add_argument("model", type=Path, help="NAME-micro.tflite of a version")
    parser.add_argument("folder", type=Path, help="where model_data.h and model_data.cc go")
    arguments = parser.parse_args()
    try:
        write(arguments.folder, sources(arguments.model.name, read(arguments.model)))
    except ModelFileError as error:
        print(f"model_to_c.py: {error}", file=sys.stderr)
        return 1
    print(arguments.folder / "model_data.h", arguments.folder / "model_data.cc", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
