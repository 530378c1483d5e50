"""What users have on disk and on the wire stays as it was: values taken from an earlier state of the product.

The images are of a generator whose arithmetic is exact (each pixel is half a latent), so that they are the same to the
bit on every machine. A change here breaks somebody's files, seeds or clients: it belongs into the CHANGELOG.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageSequence

LATENTS = 16


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory, command, forked) -> Iterator[list[object]]:
    """The options that reach a server of the exact generator; its first version is beside it in a repository."""
    folder = tmp_path_factory.mktemp("exact")
    latents = keras.Input([LATENTS], name="latents")
    labels = keras.Input([], dtype="int32", name="labels")
    shift = keras.layers.Embedding(2, LATENTS, embeddings_initializer="zeros")(labels)
    pixels = keras.layers.Dense(64, use_bias=False, kernel_initializer="zeros")(keras.layers.Add()([latents, shift]))
    images = keras.layers.Activation("hard_tanh")(keras.layers.Reshape([8, 8, 1])(pixels))
    generator = keras.Model([latents, labels], images)
    table, kernel = generator.get_weights()
    table[1] = 0.25
    kernel[np.arange(64) % LATENTS, np.arange(64)] = 0.5
    generator.set_weights([table, kernel])
    generator.save(folder / "exact.keras")
    done = command(
        "genexport", "publish", folder / "exact.keras", "--repository", folder, "--name", "exact", "--no-onnx"
    )
    assert done.returncode == 0, done.stderr
    socket = f"unix:{folder}/socket"
    options = ["--port", "0", "--grpc_socket_path", folder / "socket", "--model_name", "exact"]
    server = forked.start("genserve", *options, "--model_base_path", folder / "exact")
    try:
        waited = command("genclient", "wait", "--target", socket, "--model", "exact", "--timeout", 180)
        assert waited.returncode == 0, waited.stderr
        yield ["--target", socket, "--model", "exact"]
    finally:
        server.terminate()
        assert server.wait(60) == 0


def digest(path: Path) -> str:
    """A hash of what a file or folder of images shows, whatever compressed it."""
    seen = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.iterdir()):
            seen.update(f"{file.name} {digest(file) if file.suffix == '.png' else ''}".encode())
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in sorted(arrays):
                seen.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode() + arrays[name].tobytes())
    else:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                seen.update(f"{frame.size}".encode() + frame.convert("RGB").tobytes())
    return seen.hexdigest()[:16]


OUTPUTS = {
    "arrays": ["sample", "--n", 16, "--seed", 5, "--label", "1", "--out", "images.npz"],
    "arrays by bytes": [
        "sample",
        "--n",
        16,
        "--signature",
        "png",
        "--label",
        "all",
        "--classes",
        "2",
        "--out",
        "png.npz",
    ],
    "arrays by seeds": ["sample", "--seeds", "3,8-9", "--signature", "seeds", "--label", "0", "--out", "seeds.npz"],
    "truncated": ["sample", "--n", 4, "--truncation", 0.5, "--label", "0", "--out", "truncated.npz"],
    "image grid": ["sample", "--n", 12, "--label", "1", "--out", "grid.png"],
    "folder": ["sample", "--n", 5, "--label", "1", "--out", "pictures/"],
    "walk": ["interpolate", "--seeds", "0-2", "--frames", 3, "--label", "1", "--out", "walk.png"],
    "classes": ["interpolate", "--labels", "0,1", "--seed", 3, "--frames", 4, "--out", "classes.png"],
}
DIGESTS = {
    "arrays": "fcca49319be7adc8",
    "arrays by bytes": "0e388e3a81735e0f",
    "arrays by seeds": "bb9dc83016862dd8",
    "truncated": "5c6f677069da902f",
    "image grid": "34b9b2f9bbd1a8e7",
    "folder": "0eda67f30c79af05",
    "walk": "b194c5fdd5ca29cc",
    "classes": "c2c0f32a11b8d976",
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_images_of_fixed_seeds_are_the_same_to_the_bit(name: str, exact: list[object], tmp_path: Path, command) -> None:
    subcommand, *arguments, out = OUTPUTS[name]
    done = command("genclient", subcommand, *exact, *arguments, tmp_path / str(out))
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / str(out)) == DIGESTS[name]


def test_the_device_runner_makes_the_same_images(exact: list[object], tmp_path: Path, command) -> None:
    file = Path(str(exact[1]).removeprefix("unix:")).parent / "exact" / "1" / "tflite" / "exact-float32.tflite"
    images = []
    for source in (exact, ["--tflite", file]):
        out = tmp_path / f"{len(images)}.npz"
        done = command("genclient", "sample", *source, "--n", 16, "--seed", 5, "--label", "1", "--out", out)
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            images.append(arrays["images"].astype(int))
    assert np.abs(images[0] - images[1]).max() <= 1


RUN_FILES = {
    ".lock",
    "checkpoints/000000004096/progress.json",
    "checkpoints/000000004096/state.data-00000-of-00001",
    "checkpoints/000000004096/state.index",
    "config.json",
    "dataset.json",
    "discriminator.keras",
    "events",
    "generator.keras",
    "log.jsonl",
    "samples/000000kimg.png",
    "samples/000004kimg.png",
}
# Means of 64 regions of the two image grids: the networks as a seed draws them, and after 64 steps on images in order.
GRIDS = {
    "000000kimg.png": (
        "908f908e908f908e8f8d8f8d8e8d8f8d908f908e908f908e8f8d8f8d8f8d8e8d"
        "908f908f908f908f8f8d8e8d8f8d8f8d908e908f908f918f8e8d8f8d8f8d8e8d",
        1,
    ),
    "000004kimg.png": (
        "3b3b42383c4040323b2e4b373438433a42403740413c403a322f3253403635383d"
        "3d3e393f3b3f4134403c3f3d4c3e3643353a3c3c3a413d333c3b413a393c36",
        4,
    ),
}
# The second grid again, of a machine that multiplies bfloat16: 64 steps round another way there.
WITH_BFLOAT16 = (
    "393a433545413a343f353c4033394237483f3a3f413c3f3c363e3d4f4a393439"
    "34454337443b3e3e38493e30413f3b3f3f35393b3a3543313e3e37303e323935"
)


def files(folder: Path) -> set[str]:
    """The files of a folder; events, which have the time in their names, as one."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {"events" if file.startswith("events/") else file for file in found}


def test_a_run_directory_has_the_files_and_the_images_it_had(run_directory: Path) -> None:
    assert files(run_directory) - {"interface.json"} == RUN_FILES
    config = json.loads((run_directory / "config.json").read_text(encoding="utf-8"))
    for name, (before, most) in GRIDS.items():
        if name == "000004kimg.png" and config["settings"]["precision"] == "bfloat16":
            before = WITH_BFLOAT16
        with Image.open(run_directory / "samples" / name) as grid:
            now = np.asarray(grid.convert("L").resize((8, 8), Image.Resampling.BOX), int).ravel()
        assert np.abs(now - list(bytes.fromhex(before))).max() <= most, name


def tensor(dtype: str, *shape: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": [None, *shape]}


LATENTS_IN, IMAGES, SCORES = (
    {"latents": tensor("float32", 32)},
    {"images": tensor("float32", 28, 28, 1)},
    {"scores": tensor("float32")},
)
SIGNATURES = {
    "digits": {
        "serving_default": {"inputs": LATENTS_IN, "outputs": IMAGES},
        "uint8": {"inputs": LATENTS_IN, "outputs": {"images": tensor("uint8", 28, 28, 1)}},
        "png": {"inputs": LATENTS_IN, "outputs": {"png_bytes": tensor("string")}},
        "seeds": {"inputs": {"seeds": tensor("int64")}, "outputs": {"images": tensor("uint8", 28, 28, 1)}},
    },
    "digits-critic": {
        "serving_default": {"inputs": IMAGES, "outputs": SCORES},
        "discriminate": {"inputs": IMAGES, "outputs": SCORES},
        "encoded": {"inputs": {"image_bytes": tensor("string")}, "outputs": SCORES},
    },
}
EVERY_VERSION = {
    "assets.extra/tf_serving_warmup_requests",
    "fingerprint.pb",
    "manifest.json",
    "manifest.json.sha256",
    "reference.npz",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
}
VERSION_FILES = {
    "digits": {
        "MODEL_CARD.md",
        "contact_sheet.png",
        "directions.png",
        "onnx/digits-float32.onnx",
        *(f"tflite/digits-{kind}.tflite" for kind in ("dynamic", "float16", "float32", "int8", "micro")),
    },
    "digits-critic": set[str](),
}
MANIFEST = {
    "class_count",
    "class_names",
    "created",
    "files",
    "image_shape",
    "kind",
    "latent_size",
    "limits",
    "name",
    "output_range_of_the_generator",
    "parity",
    "provenance",
    "signatures",
    "warmup_batch_sizes",
}
MANIFESTS = {
    "digits": MANIFEST
    | {
        "data",
        "directions",
        "left_out",
        "notes",
        "quality",
        "target",
        "tflite",
        "training",
    },
    "digits-critic": MANIFEST | {"generator", "limit", "scores"},
}


@pytest.mark.parametrize("model", SIGNATURES)
def test_a_version_has_the_files_the_signatures_and_the_manifest_it_had(model: str, repository: Path) -> None:
    version = repository / model / "1"
    assert files(version) - {"assets.extra/interface.json"} == EVERY_VERSION | VERSION_FILES[model]
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["signatures"] == SIGNATURES[model]
    assert set(manifest) - {"interface"} == MANIFESTS[model]
