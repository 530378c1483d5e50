"""Reads text protos, such as the model, SSL and session configs, in the format of tensorflow_model_server.

Some messages of TF Serving are not in the pip package tensorflow-serving-api; `message_class` builds them from a list
of fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from genserve.options.flags import FlagError

PACKAGE = "tensorflow.serving"  # also of the messages built here, since errors name it
STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
BOOL = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL


def message_class(name: str, fields: Mapping[str, tuple[int, int]]) -> Any:
    """A message class of optional scalar fields, given as `name: (number, type)`.

    It lives in a pool of its own, so that it cannot clash with the real one where that is installed.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"genserve/{name}.proto", package=PACKAGE, syntax="proto3")
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        message.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def read(path: str, kind: Any, flag: str) -> Any:
    """Parse the file that a flag names into a message of class `kind`.

    Raises:
        FlagError: the file cannot be read or is no such text proto; names flag, file and the place in it.
    """
    try:
        return text_format.Parse(Path(path).expanduser().read_text(encoding="utf-8"), kind())
    except OSError as error:
        raise FlagError(f"--{flag}={path}: {error.strerror}") from error
    except UnicodeDecodeError:
        where = "not UTF-8 text"
    except text_format.ParseError as error:
        where = str(error).split("\n", 1)[0]
    parsing = f"Error parsing text-format {kind.DESCRIPTOR.full_name}: {where}"  # protobuf's words in C++
    raise FlagError(f"--{flag}: Invalid protobuf file: '{path}': {parsing}")
