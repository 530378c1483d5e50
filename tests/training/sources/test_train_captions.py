"""Captions, wherever they lie: tables, text files, archives, packages of emoji, names of classes."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from gentrain import sources
from gentrain.conditions.tokens import captions_of
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError
from PIL import Image

AUTO = Frame(8, captions="auto")


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (value, 0, 0)).save(file, "PNG")
    return file.getvalue()


PICTURES = {f"{name}.png": png(value) for value, name in enumerate("abc", 1)}
BROKEN = {"aa.png": b"no picture"}
"""Sorted between two others: captions stay with their pictures."""


def write(folder: Path, files: Mapping[str, str | bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


def read(source: str, frame: Frame = AUTO) -> tuple[list[list[str]], str]:
    """The captions of the pictures by their redness, and what is noted of them."""
    found = sources.read(source, frame)
    captions = captions_of(found)
    order = np.argsort(found.images[:, 0, 0, 0], kind="stable")
    return [captions[row] for row in order], "; ".join(note for note in found.notes if "captions" in note)


CSV = 'file_name,text\na.png,a red heart\nb.png,"one, two"\nb.png,two of them\nb.png, \naa.png,nothing\n'
JSONL = "\n".join(
    json.dumps(row)
    for row in ({"file_name": "a.png", "caption": ["a red heart", ""]}, {"file_name": "b.png", "caption": "one, two"})
)


@pytest.mark.parametrize(
    ("files", "expected", "said"),
    [
        ({"metadata.csv": CSV}, [["a red heart"], ["one, two", "two of them"], []], "metadata.csv, text; 1 empty ones"),
        ({"metadata.jsonl": JSONL}, [["a red heart"], ["one, two"], []], "metadata.jsonl, caption; 1 empty ones"),
        ({"a.txt": "a red heart\n", "b.txt": "one\r\ntwo\n", "c.txt": "", "README.txt": "no caption"},
         [["a red heart"], ["one", "two"], []], ".txt files; 1 empty ones are left out; 1 images have none"),
    ],
)  # fmt: skip
def test_captions_stand_in_tables_or_text_files_beside_pictures(
    tmp_path: Path, files: dict[str, str], expected: list[list[str]], said: str
) -> None:
    folder = write(tmp_path / "folder", {**PICTURES, **BROKEN, **files})
    found, note = read(folder)
    assert found == expected
    assert said in note
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for name, content in {**PICTURES, **BROKEN, **files}.items():
            archive.writestr(name, content)
    assert read(str(tmp_path / "zipped.zip"))[0] == expected
    left_out = sources.read(folder, Frame(8, captions="auto")).left_out
    assert left_out.get(".txt", 0) == ("README.txt" in files), "what is read as captions is not left out"
    assert not sources.read(folder, Frame(8)).columns, "they are read where they are asked for"


def test_a_column_is_named_and_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    table = "file_name,text,said\na.png,wrong,right\nb.png,wrong,left\nc.png,wrong,up\n"
    folder = write(tmp_path / "folder", {**PICTURES, "metadata.csv": table})
    assert read(folder, Frame(8, captions="said"))[0] == [["right"], ["left"], ["up"]]
    with pytest.raises(TrainError, match="--captions colour: no such column; it has file_name, text, said"):
        sources.read(folder, Frame(8, captions="colour"))
    with pytest.raises(TrainError, match="has no table with a column said, which --captions asks for"):
        sources.read(write(tmp_path / "alone", PICTURES), Frame(8, captions="said"))


def test_a_text_file_that_changes_is_read_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", {**PICTURES, "a.txt": "before"})
    assert read(folder)[0][0] == ["before"]
    write(tmp_path / "folder", {"a.txt": "after it"})
    assert read(folder)[0][0] == ["after it"]


def test_samples_of_webdataset_and_rows_of_parquet_have_captions(tmp_path: Path) -> None:
    members = {
        "0.png": png(1),
        "0.txt": "a red heart",
        "0.cls": "3",
        "1.png": png(2),
        "1.json": '{"caption": "a star"}',
    }
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert read(str(tmp_path / "set.tar"))[0] == [["a red heart"], ["a star"]]

    images = [{"bytes": png(value), "path": None} for value in (1, 2)]
    table = pyarrow.table({"image": images, "text": [["a red heart", "red"], ["a star"]]})
    pyarrow.parquet.write_table(table, tmp_path / "set.parquet")
    assert read(str(tmp_path / "set.parquet"))[0] == [["a red heart", "red"], ["a star"]]


def test_emoji_are_named_by_their_package_and_others_by_their_class(tmp_path: Path) -> None:
    emoji = {"name": "HEAVY BLACK HEART", "short_names": ["heart", "red_heart"], "subcategory": "heart"}
    listed = [{"image": "1.png", "category": "Symbols", "has_img_x": True, **emoji}]
    package = write(tmp_path / "package", {"emoji.json": json.dumps(listed), "img/x/64/1.png": png(1)})
    assert read(f"emoji:{package}", Frame(64, captions="auto"))[0] == [["heavy black heart", "heart", "red heart"]]

    folder = write(tmp_path / "classes", {"black_cat/1.png": png(1), "dog/2.png": png(2), "dog/2.txt": "a dog"})
    assert read(folder)[0] == [[], ["a dog"]]
    assert read(folder, Frame(8, captions="classes"))[0] == [["black_cat"], ["dog"]]
    alone = write(tmp_path / "alone", PICTURES)
    with pytest.raises(TrainError, match="has neither captions nor classes"):
        read(alone)
