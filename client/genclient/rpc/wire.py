"""The messages of `wire.proto` as Python classes. Not for meaning: codec.py and channel.py know what the fields say.

The classes are built from the descriptor that protoc wrote into `wire.binpb`, not from generated Python: generated
code is tied to the protobuf release it was made with and stops importing two major releases later. They live in a
descriptor pool of their own, so they cannot clash with tensorflow_serving's in the same process.

After a change of wire.proto, run in this folder:

    python -m grpc_tools.protoc -I . --descriptor_set_out=wire.binpb wire.proto
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_files = descriptor_pb2.FileDescriptorSet.FromString(resources.files(__package__).joinpath("wire.binpb").read_bytes())
_pool = descriptor_pool.DescriptorPool()
for _file in _files.file:
    _pool.Add(_file)


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"genline.wire.{name}"))


Tensor = _message("Tensor")
LooseTensor = _message("LooseTensor")
ModelSpec = _message("ModelSpec")
PredictRequest = _message("PredictRequest")
PredictResponse = _message("PredictResponse")
Signatures = _message("Signatures")
MetadataRequest = _message("MetadataRequest")
MetadataResponse = _message("MetadataResponse")
StatusRequest = _message("StatusRequest")
StatusResponse = _message("StatusResponse")
ServerConfig = _message("ServerConfig")
ReloadRequest = _message("ReloadRequest")
ReloadResponse = _message("ReloadResponse")
