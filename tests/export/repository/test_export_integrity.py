"""Is a version what was published? Damage is found in any file of it, and told in one line."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from genexport.errors import ExportError
from genexport.repository import manifest, store
from genexport.verify import verify
from google.protobuf import text_format


def files_of(version: Path) -> Iterator[Path]:
    yield from sorted(path for path in version.rglob("*") if path.is_file())


def test_a_flipped_byte_is_found_in_any_file_of_a_version(base: Path) -> None:
    places = random.Random(0)
    files = list(files_of(base / "1"))
    assert {"manifest.json", "manifest.json.sha256", "reference.npz"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        position = places.randrange(len(content))
        file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(ExportError, match=f"{file.name.removesuffix('.sha256')}: changed"):
            manifest.check(base / "1")
        file.write_bytes(content)
        manifest.check(base / "1")


def test_a_missing_an_added_and_a_linked_file_are_found(base: Path) -> None:
    for file in files_of(base / "1"):
        file.rename(base / "away")
        with pytest.raises(ExportError, match=r"missing|no manifest\.json in it"):
            manifest.check(base / "1")
        (base / "away").rename(file)
    (base / "1" / "assets" / "more").write_bytes(b"")
    with pytest.raises(ExportError, match="more: not a file that was published"):
        manifest.check(base / "1")
    (base / "1" / "assets" / "more").unlink()
    card = base / "1" / "MODEL_CARD.md"
    card.unlink()
    card.symlink_to(base / "2" / "MODEL_CARD.md")
    with pytest.raises(ExportError, match="a link or the like"):
        manifest.check(base / "1")


def test_a_version_of_genline_0_1_0_has_no_seal_and_is_checked_all_the_same(base: Path) -> None:
    (base / "1" / "manifest.json.sha256").unlink()
    found = manifest.read(base / "1")
    old = {key: value for key, value in found.items() if key not in ("kind", "limits", "notes", "data", "directions")}
    (base / "1" / "manifest.json").write_text(json.dumps(old))
    assert "savedmodel/seeds" in verify(base / "1")
    (base / "1" / "reference.npz").unlink()
    with pytest.raises(ExportError, match=r"reference\.npz: missing"):
        verify(base / "1")


def test_a_manifest_that_is_no_manifest_is_told_in_one_line(tmp_path: Path, command) -> None:
    for content in ("", "{", "[]", '{"files": 1}', "\x00"):
        (tmp_path / "manifest.json").write_text(content)
        shown = command("genexport", "show", tmp_path)
        assert shown.returncode == 1
        assert "manifest.json: " in shown.stderr
        assert len(shown.stderr.splitlines()) == 1
    assert "no manifest.json in it" in command("genexport", "verify", tmp_path / "nothing").stderr


def test_batching_parameters_match_the_warm_up(published: Path, batching_parameters) -> None:
    text = (published.parent / "batching_parameters.txt").read_text()
    parameters = text_format.Parse(text, batching_parameters)
    sizes = json.loads((published / "manifest.json").read_text())["warmup_batch_sizes"]
    assert list(parameters.allowed_batch_sizes) == sizes == [1, 4, 16, 64]
    assert parameters.max_batch_size.value == 64
    assert store.versions(published.parent) == [1]


@pytest.fixture
def batching_parameters():
    """TensorFlow Serving's BatchingParameters, of whose fields tensorflow-serving-api has no message."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="batching_of_export.proto", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParametersOfExport")
    message.field.add(name="allowed_batch_sizes", number=1, label=field.LABEL_REPEATED, type=field.TYPE_INT64)
    wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    for number, name in enumerate(wrapped, start=2):
        kind = ".google.protobuf.Int64Value"
        message.field.add(name=name, number=number, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParametersOfExport"))()
