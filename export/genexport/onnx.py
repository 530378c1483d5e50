"""Write a generator as ONNX and run it with ONNX Runtime: the same images for whoever has no TensorFlow.

The packages come with the extra `onnx`; everything else in genexport works without them.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from genexport.errors import CannotBeMade, ExportError
from genexport.generator import layer_names
from genexport.generator.load import Generator
from genexport.progress import Progress
from genexport.roles import ROLES
from genexport.roles.tensor import at_once
from genexport.savedmodel import signatures

PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
INSTALL = "in genline's checkout: pip install '.[onnx]'"

# Old enough for the runtimes of the last years, new enough for every op that a generator has.
OPSET = 17

NODE = re.compile(r"Name:'([^']+)'|Node ?\(([^)]+)\)|In Node, \(\"([^\"]+)\"")
"""Where a message of ONNX Runtime names a node."""


class Model(Protocol):
    """A Keras model, the file that it is from, and examples for it."""

    @property
    def model(self) -> Any:
        """The Keras model."""

    @property
    def path(self) -> Path:
        """Its file."""

    def examples(self, count: int) -> dict[str, tf.Tensor]:
        """Values for the inputs by name."""


class About(NamedTuple):
    """What an ONNX file says of itself: a name, a sentence, and its metadata."""

    name: str
    summary: str
    facts: Mapping[str, str]


def place(name: str) -> str:
    """Where the file lies in a version of the model `name`."""
    return f"onnx/{name}-float32.onnx"


def missing() -> str:
    """The first of the packages that is not installed, or nothing."""
    return next((package for package in PACKAGES if find_spec(package) is None), "")


def convert(generator: Generator, name: str) -> bytes:
    """The ONNX file: the inputs of `serving_default` → `images` float32 (N, H, W, C), or `clips`, in [0, 1].

    Any N, also where the generator's layers name none. Name, Z and the seed rule are in the file's metadata.

    Raises:
        ExportError: a package is missing, or the generator needs an op that ONNX has not.
    """
    specs = signatures.signatures(generator)["serving_default"].specs
    function = tf.function(lambda *values: {generator.output: generator.images(*values)})
    return converted(generator, function, specs, _about(generator, name))


def converted(model: Model, function: Any, specs: Sequence[tf.TensorSpec], about: About) -> bytes:
    """A function as an ONNX file, which ONNX Runtime has run on two examples.

    Raises:
        ExportError: as `convert`.
    """
    require()
    from tf2onnx import convert as tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    try:
        graph, _ = tf2onnx.from_function(function, input_signature=specs, opset=OPSET)
    except Exception as error:  # whatever tf2onnx meets in the graph
        raise CannotBeMade(f"{model.path}: no ONNX file: {_reason(model, str(error))}") from error
    finally:
        if level is not None:  # tf2onnx sets it when it is imported
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
    if lacking := _without_schema(graph):
        raise CannotBeMade(f"{model.path}: no ONNX file: {_lacking(model, lacking)}")
    _describe(graph, about)
    content = bytes(graph.SerializeToString())
    _try(model, content)
    return content


def run(
    file: Path, inputs: Mapping[str, Any], progress: Progress | None = None, output: str = ""
) -> np.ndarray[Any, Any]:
    """The output by ONNX Runtime on the processor, of the inputs that the file knows: (N, …), float32 unless described.

    `output` is the one that is meant, of several.

    Raises:
        ExportError: a package is missing, or ONNX Runtime refuses the file.
    """
    require()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors arrive as exceptions
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        feeds = {info.name: np.asarray(inputs[info.name]) for info in session.get_inputs()}
        count = len(next(iter(feeds.values())))
        batch = at_once([*(values.shape[1:] for values in feeds.values()), session.get_outputs()[0].shape[1:]])
        batches = [
            session.run([output] if output else None, {name: values[i : i + batch] for name, values in feeds.items()})
            for i in (progress or Progress.none()).over(range(0, count, batch), "batches")
        ]
    except Exception as error:  # ONNX Runtime's own classes share no base
        raise CannotBeMade(f"{file.name}: ONNX Runtime cannot run it: {' '.join(str(error).split())[:600]}") from error
    return np.concatenate([batch[0] for batch in batches])


def _try(model: Model, content: bytes) -> None:
    """Run it on two examples, so that what ONNX Runtime refuses is reported by layer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "generator.onnx"
        file.write_bytes(content)
        try:
            run(file, model.examples(2))
        except CannotBeMade as error:
            raise CannotBeMade(f"{model.path}: no ONNX file: {_reason(model, str(error))}") from error


def _without_schema(model: Any) -> dict[str, str]:
    """Op → the name of a node, of ops that ONNX does not have."""
    from onnx import defs

    return {node.op_type: node.name for node in model.graph.node if not defs.has(node.op_type, node.domain)}


def _lacking(model: Model, nodes: dict[str, str]) -> str:
    layers = {op: layer_names.find(model.model, node) for op, node in nodes.items()}
    said = (f"{op}, of layer {layer}" if layer else op for op, layer in layers.items())
    return f"ONNX has no op for {'; '.join(said)}"


def _reason(model: Model, message: str) -> str:
    """What a converter's or a runtime's message says, with the layer where a node is named."""
    text = " ".join(message.split())
    nodes = [node for found in NODE.findall(text) for node in found if node]
    layers = [layer for node in nodes if (layer := layer_names.find(model.model, node))]
    text = text.rpartition("Status Message: ")[2].rpartition("[ShapeInferenceError] ")[2][:200]
    return f"ONNX Runtime refuses layer {layers[0]}: {text}" if layers else text


def require() -> None:
    """Raise ExportError, with what to install, where a package is missing."""
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            raise ExportError(f"ONNX needs {error.name}; {INSTALL}, or leave it out with --no-onnx") from error


def _about(generator: Generator, name: str) -> About:
    """What a reader of a generator's file alone wants to know."""
    takes = " and ".join(tensor.role for tensor in generator.inputs)
    sizes = "N, T, H, W, C" if generator.frame_count else "N, H, W, C"
    facts = {
        "name": name,
        "latent_size": str(generator.latent_size),
        "class_names": "\n".join(generator.class_names),
        generator.output: f"float32 ({sizes}) in [0, 1]",
    }
    for tensor in generator.inputs:
        facts |= ROLES[tensor.role].onnx(tensor)
    if generator.description:
        facts["interface"] = json.dumps(generator.description.json, ensure_ascii=False)
    return About(name, f"{name}: {takes} to {generator.output} in [0, 1]", facts)


def _describe(graph: Any, about: About) -> None:
    """A batch of a readable name, and what the file says of itself."""
    graph.graph.name = about.name
    graph.producer_name, graph.doc_string = "genline", about.summary
    for value in (*graph.graph.input, *graph.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.ClearField("dim_value")
        dimension.dim_param = "N"
    for key, value in about.facts.items():
        graph.metadata_props.add(key=key, value=value)
