"""From a response's bytes to images, beside tf.make_ndarray: every encoding in which 16 images of 128×128×3 can travel.

Both sides read the same bytes, in turns, in one process. Prints Markdown.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from common import paragraph, table
from genclient.images import pixels
from genclient.rpc import channel, codec, guard, wire
from numpy.typing import NDArray
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

ROWS, SIDE = 16, 128


@dataclass(frozen=True)
class Encoding:
    """One way to send the images: its name and the bytes of the PredictResponse."""

    name: str
    content: bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=41, help="times that each is read (default: 41)")
    runs = parser.parse_args().runs
    rows = [row(encoding, runs) for encoding in encodings()]
    head = ["as", "MB on the wire", "tf.make_ndarray, ms", "genclient, ms", "times"]
    head += ["from bytes, tf, ms", "genclient, ms", "times", "to pixels, ms"]
    print("## Reading a response: 16 images of 128×128×3\n")
    print("`make bench-client`, or `python bench/client_decoding.py`\n")
    print(table(head, rows))
    print()
    print(
        paragraph(
            f"""Medians of {runs} in turns. The first three are of the parsed response; `from bytes` is parsing as well,
            which for genclient includes a look over the message, whose sender may mean harm; `to pixels` goes on to
            uint8 images."""
        )
    )


def encodings() -> list[Encoding]:
    """The same smooth pictures in each encoding."""
    small = np.random.default_rng(0).random((ROWS, 9, 9, 3), np.float32)
    floats = np.clip(tf.image.resize(small, (SIDE, SIDE), "bicubic").numpy(), 0, 1).astype(np.float32)
    whole = np.rint(floats * 255).astype(np.uint8)
    return [
        Encoding("float32 in `float_val`, the default", _reply("images", _values(floats, "float_val"))),
        Encoding("float32 in `tensor_content`", _reply("images", _content(floats))),
        Encoding("uint8 in `int_val`, the default", _reply("images", _values(whole, "int_val"))),
        Encoding("uint8 in `tensor_content`", _reply("images", _content(whole))),
        Encoding("PNG", _reply("png_bytes", tf.make_tensor_proto([_png(image) for image in whole]))),
    ]


def row(encoding: Encoding, runs: int) -> list[str]:
    """The cells of one encoding."""
    name = "png_bytes" if encoding.name == "PNG" else "images"
    theirs = predict_pb2.PredictResponse.FromString(encoding.content)
    mine = wire.PredictResponse.FromString(encoding.content)
    steps: list[Callable[[], Any]] = [
        lambda: tf.make_ndarray(theirs.outputs[name]),
        lambda: codec.decode(mine.outputs[name], name),
        lambda: tf.make_ndarray(predict_pb2.PredictResponse.FromString(encoding.content).outputs[name]),
        lambda: _read(encoding.content, name),
        lambda: _pixels(_read(encoding.content, name), name),
    ]
    assert (steps[0]() == steps[1]()).all()
    taken = [[_milliseconds(step) for step in steps] for _ in range(runs + 1)][1:]
    tf_array, our_array, tf_bytes, our_bytes, to_pixels = (
        statistics.median(column) for column in zip(*taken, strict=True)
    )
    size = f"{len(encoding.content) / 1e6:.2f}"
    first = [_cell(tf_array), _cell(our_array), f"{tf_array / our_array:.1f}"]
    return [
        encoding.name,
        size,
        *first,
        _cell(tf_bytes),
        _cell(our_bytes),
        f"{tf_bytes / our_bytes:.1f}",
        _cell(to_pixels),
    ]


def _read(content: bytes, name: str) -> NDArray[Any]:
    guard.check(content, channel.PREDICT.response.DESCRIPTOR, channel.PREDICT.max_fields)
    return codec.decode(wire.PredictResponse.FromString(content).outputs[name], name)


def _pixels(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    return pixels.decode_pngs(array, name) if name == "png_bytes" else pixels.to_pixels(array, name)


def _milliseconds(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1000


def _cell(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds < 1 else f"{milliseconds:.1f}"


def _reply(name: str, tensor: Any) -> bytes:
    response = predict_pb2.PredictResponse()
    response.outputs[name].CopyFrom(tensor)
    return bytes(response.SerializeToString())


def _values(array: NDArray[Any], field: str) -> Any:
    dtype = tf.as_dtype(array.dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(array.shape).as_proto())
    getattr(proto, field).extend(array.reshape(-1).tolist())
    return proto


def _content(array: NDArray[Any]) -> Any:
    dtype = tf.as_dtype(array.dtype)
    shape = tf.TensorShape(array.shape).as_proto()
    return tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape, tensor_content=array.tobytes())


def _png(image: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


if __name__ == "__main__":
    main()
