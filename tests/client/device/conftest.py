"""TFLite files converted from functions, and files with something in them changed."""

from __future__ import annotations

import json

import flatbuffers
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tflite_files import with_metadata


@pytest.fixture(scope="session")
def converted(tmp_path_factory, tools):
    """`converted(generate, latents=(1, 5))` writes a TFLite file of a function of tensors named by its keywords."""

    def convert(generate, set_up=lambda converter: None, **shapes):
        kinds = {"labels": tf.int32, "kind": tf.int64}
        specs = [tf.TensorSpec(shape, kinds.get(name, tf.float32), name=name) for name, shape in shapes.items()]
        model = tools._generator()
        converter = tools._converter(
            tmp_path_factory.mktemp("saved"), model, lambda *args: generate(model, *args), *specs
        )
        set_up(converter)
        return tools._save(tmp_path_factory.mktemp("converted"), converter)

    return convert


@pytest.fixture(scope="session")
def changed(tmp_path_factory):
    """`changed(file, change)` writes a copy of a TFLite file in which `change` has changed the model's object."""

    def write(file, change):
        model = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
        change(model)
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        path = tmp_path_factory.mktemp("changed") / "generator.tflite"
        path.write_bytes(builder.Output())
        return path

    return write


@pytest.fixture(scope="session")
def named_tflite(changed, conditional_tflite):
    """A conditional generator that says the names of its classes."""
    said = {"name": "weather", "latent_size": 5, "class_count": 3, "class_names": ["sun", "rain", "snöw"], "later": {}}
    return changed(conditional_tflite, with_metadata(json.dumps(said).encode()))


@pytest.fixture(scope="session")
def foreign_tflite(converted, changed):
    """A file of another origin: no signature, other names, pixels in [-1, 1]."""
    file = converted(lambda model, noise: {"picture": model(noise) * 2 - 1}, noise=(1, 5))
    return changed(file, lambda model: setattr(model, "signatureDefs", None))
