"""A task from outside: a model that takes an image beside latents, which the client has never heard of.

It adds half of the image that it is given to half of the one that it makes: `tint`. The task is three lines of a file
that belongs to no package of genline's, and nothing else is touched.
"""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from genclient import AsyncClient, Client, ClientError, DeviceGenerator, UsageError, tasks
from genclient.latents import interpolation, latents
from genclient.model.signature import ModelInfo, SignatureSpec, TensorSpec
from genclient.outputs.archive import Archive
from genclient.outputs.filling import fill
from genclient.outputs.image_set import ImageSet
from genclient.tasks import registry
from PIL import Image
from real_server import genserve
from tensorflow.core.framework import types_pb2

PACKAGE = """
from genclient.tasks import IMAGE, IMAGES, LATENTS, PNG, SEEDS, Task

TINT = Task("tint", inputs=[LATENTS, SEEDS, IMAGE], outputs=[IMAGES, PNG])
"""
ENTRY_POINTS = "[genclient.tasks]\ntint = tint:TINT\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with an installed package that has the task, as pip leaves it."""
    folder = tmp_path_factory.mktemp("package")
    (folder / "tint.py").write_text(PACKAGE)
    (folder / "tint-1.dist-info").mkdir()
    (folder / "tint-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tint\nVersion: 1\n")
    (folder / "tint-1.dist-info/entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@pytest.fixture
def tint(monkeypatch, package):
    """The task, registered for one test as a program would."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr(registry, "_registered", [])
    monkeypatch.setattr(registry, "_installed", tuple)
    from tint import TINT

    return registry.register(TINT)


class Tinted(tf.Module):
    """The model: latents float32 (N, 5), image float32 (N, 6, 4, 3) → images."""

    def __init__(self, tools):
        super().__init__()
        self.weights = tf.Variable(tools.WEIGHTS)

    def generate(self, latents, image):
        made = tf.reshape(tf.sigmoid(latents @ self.weights), [-1, 6, 4, 3])
        return {"images": 0.5 * made + 0.5 * image}


def tinted(tools, z, image):
    """What it makes, as pixels."""
    return tools.pixels(0.5 * tools.render(z) + 0.5 * image.astype(np.float32) / 255)


@pytest.fixture(scope="module")
def exported(tools, tmp_path_factory):
    """The model in a repository, and as a TFLite file."""
    folder, model = tmp_path_factory.mktemp("tint"), Tinted(tools)
    specs = [tf.TensorSpec([None, 5], tf.float32, "latents"), tf.TensorSpec([None, 6, 4, 3], tf.float32, "image")]
    function = tf.function(model.generate, input_signature=specs)
    tf.saved_model.save(model, str(folder / "tint/1"), signatures={"serving_default": function})
    one = [tf.TensorSpec([1, *spec.shape[1:]], tf.float32, spec.name) for spec in specs]
    small = tf.function(model.generate, input_signature=one)
    tf.saved_model.save(model, str(folder / "one"), signatures={"generate": small})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "one"), signature_keys=["generate"])
    (folder / "tint.tflite").write_bytes(converter.convert())
    return folder


@pytest.fixture(scope="module")
def target(exported):
    """The address of a real server of it."""
    with genserve("--model_name", "tint", "--model_base_path", exported / "tint", models=("tint",)) as address:
        yield address


@pytest.fixture
def pictures():
    """An image for each of 40 examples, uint8."""
    return np.random.default_rng(3).integers(0, 256, (40, 6, 4, 3), np.uint8)


def check_all(tools, run, pictures):
    """See what `run` gives for seeds, latents, one image for all, one for each, and floats."""
    seeds = np.arange(40)
    z = latents(seeds, 5)
    near = {"atol": 1}
    expected = tinted(tools, z, pictures).astype(int)
    np.testing.assert_allclose(run(latents=z, image=pictures)["images"].astype(int), expected, **near)
    np.testing.assert_allclose(run(seeds=seeds, image=pictures)["images"].astype(int), expected, **near)
    floats = run({"image": pictures / 255}, seeds=seeds)["images"]
    np.testing.assert_allclose(floats.astype(int), expected, **near)
    alone = tinted(tools, z * np.float32(0.5), pictures[:1]).astype(int)
    shared = run(seeds=seeds, truncation=0.5, image=pictures[0])["images"]
    assert shared.dtype == np.uint8
    np.testing.assert_allclose(shared.astype(int), alone, **near)


def test_a_client_runs_it_by_the_names_of_its_tensors(tools, tint, target, pictures):
    with Client(target, "tint", batch_size=7) as client:
        check_all(tools, client.run, pictures)
        shown = client.sample(40, inputs={"image": pictures})
        assert np.array_equal(shown, client.run(seeds=range(40), image=pictures)["images"])
        (batch, *_) = client.stream([7, 8], inputs={"image": pictures[:2]})
        assert (batch.seeds.tolist(), batch.images.shape, list(batch.outputs)) == ([7, 8], (2, 6, 4, 3), ["images"])


def test_an_asynchronous_client_does_the_same(tools, tint, target, pictures):
    def run(*arguments, **named):
        async def act():
            async with AsyncClient(target, "tint") as client:
                return await client.run(*arguments, **named)

        return asyncio.run(act())

    check_all(tools, run, pictures)


def test_a_file_on_this_machine_does_the_same(tools, tint, exported, pictures):
    device = DeviceGenerator(str(exported / "tint.tflite"), threads=2)
    check_all(tools, device.run, pictures)
    (batch, *_) = device.stream([7], inputs={"image": pictures[0]})
    np.testing.assert_allclose(
        batch.images.astype(int), tinted(tools, latents(np.array([7]), 5), pictures[:1]).astype(int), atol=1
    )


def test_what_does_not_fit_is_one_line(tint, target, exported, pictures):
    device = DeviceGenerator(str(exported / "tint.tflite"))
    with Client(target, "tint") as client:
        for run in (client.run, device.run):
            for named, message in (
                ({"seeds": [1]}, r"^image: found none, expected some"),
                ({"image": pictures}, r"^latents: found none, expected latents or seeds"),
                ({"seeds": [1, 2], "image": pictures}, r"^image: found 40, expected 2, one for each example"),
                ({"seeds": [1], "image": np.zeros((1, 8, 8, 3), np.uint8)}, r"^image: found \(8, 8, 3\), expected"),
                ({"seeds": [1], "image": pictures[:1] * 2.0}, r"^image: found floats from .* expected uint8"),
                ({"seeds": [1], "image": pictures[0], "labels": 3}, r"^labels: found some, expected latents, image"),
                ({"seeds": [1], "image": pictures[0], "depth": 3}, r"^depth: found some, expected latents, image"),
                ({"latents": [["a"]], "image": pictures[0]}, r"^latents: found"),
            ):
                with pytest.raises(UsageError, match=message):
                    run(**named)


def test_a_model_of_a_task_that_nobody_registered_is_reported_with_what_it_takes(
    monkeypatch, target, exported, pictures
):
    monkeypatch.setattr(registry, "_installed", tuple)
    with Client(target, "tint") as client:
        with pytest.raises(
            ClientError, match=r"fits no task: .*image float32 \(N, 6, 4, 3\).*known are image-generation"
        ):
            client.run(seeds=[1], image=pictures[0])
        with pytest.raises(ClientError, match=r"is not a generator: .*expected no input 'image'"):
            client.sample(1)
    with pytest.raises(ClientError, match=r"is not a generator: .*image"):
        DeviceGenerator(str(exported / "tint.tflite")).run(seeds=[1], image=pictures[0])
    with pytest.raises(UsageError, match=r"^task: found 'tint'"):
        registry.register("tint")


def command(package, folder, *arguments):
    """Run genclient beside the installed package."""
    program = [sys.executable, "-c", "from genclient.cli import main; main()", *map(str, arguments)]
    environment = {"PATH": "", "PYTHONPATH": str(package), "HOME": str(folder)}
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def photos(pictures, tmp_path):
    """The first three as files, and as an array."""
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.fromarray(pictures[number]).save(tmp_path / f"photos/{number}.png")
    np.save(tmp_path / "photos.npy", pictures[:3])


@pytest.mark.parametrize("source", ["server", "file"])
def test_the_command_makes_images_of_pictures_once_a_package_with_the_task_is_installed(
    tools, package, target, exported, pictures, photos, tmp_path, source
):
    where = {"server": ("--target", target, "--model", "tint"), "file": ("--tflite", exported / "tint.tflite")}[source]
    sample = ("sample", *where, "--n", 3)
    z, near = latents(np.arange(3), 5), {"atol": 1}
    one, each, array = ("photos/1.png", pictures[1:2]), ("photos/", pictures[:3]), ("photos.npy", pictures[:3])
    for given, reference in (one, each, array) if source == "server" else (each,):
        done = command(package, tmp_path, *sample, "--input", f"image={given}", "--out", "out.npz")
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "out.npz") as made:
            np.testing.assert_allclose(made["images"].astype(int), tinted(tools, z, reference).astype(int), **near)


def test_what_images_were_made_of_is_in_their_manifest_and_distinguishes_other_pictures(
    package, target, photos, tmp_path
):
    sample = ("sample", "--target", target, "--model", "tint", "--n", 3)
    done = command(package, tmp_path, *sample, "--input", "image=photos/", "--out", "made/")
    assert done.returncode == 0, done.stderr
    assert list(json.loads((tmp_path / "made/manifest.json").read_text())["request"]["inputs"]) == ["image"]
    done = command(package, tmp_path, *sample, "--input", "image=photos/0.png", "--out", "made/")
    assert (done.returncode, "found a set with inputs" in done.stderr) == (2, True)
    done = command(package, tmp_path, *sample, "--out", "made/")
    assert (done.returncode, "expected none as requested" in done.stderr) == (2, True)
    done = command(package, tmp_path, *sample, "--input", "picture=photos/", "--out", "x.npz")
    assert done.stderr == "genclient: --input: found picture, expected image\n"
    done = command(package, tmp_path, *sample[:-1], 2, "--input", "image=photos/", "--out", "x.npz")
    assert done.stderr == "genclient: --input: found 3 in photos/, expected one, or one for each of 2 seeds\n"


def test_an_animation_and_a_load_take_one_picture_throughout(package, target, pictures, photos, tools, tmp_path):
    where = ("--target", target, "--model", "tint")
    walk = ("interpolate", *where, "--n", 2, "--frames", 3, "--no-loop", "--out", "frames/")
    done = command(package, tmp_path, *walk, "--input", "image=photos/1.png")
    assert done.returncode == 0, done.stderr
    steps = interpolation.slerp(*latents(np.arange(2), 5), np.arange(4) / 3)
    for number, reference in enumerate(tinted(tools, steps, pictures[1:2])):
        frame = np.asarray(Image.open(tmp_path / f"frames/frame{number:05d}.png")).astype(int)
        assert np.abs(frame - reference).max() <= 1
    np.save(tmp_path / "one.npy", pictures[:1])
    load = ("bench", *where, "--concurrency", 2, "--duration", 0.2, "--warm-up", 0, "--format", "json")
    done = command(package, tmp_path, *load, "--input", "image=one.npy")
    assert done.returncode == 0, done.stderr
    (level,) = json.loads(done.stdout)["levels"]
    assert (level["images"] > 0, level["errors"]) == (True, {})
    Image.fromarray(pictures[0, ..., 0] / np.float32(255)).save(tmp_path / "float.tif")
    grey = np.repeat(pictures[:1, ..., :1], 3, axis=-1)
    deep = ("--input", "image=float.tif", "--value-range", "0:1")
    for number, arguments in enumerate((("sample", *where, "--n", 2, "--out", "grey/"), walk, load)):
        done = command(package, tmp_path, *arguments, *deep)
        assert done.returncode == 0, done.stderr
        if number < 2:
            made = np.asarray(Image.open(tmp_path / ("grey/seed0000.png", "frames/frame00000.png")[number]))
            assert np.abs(made.astype(int) - tinted(tools, latents(np.arange(1), 5), grey)).max() <= 1
    for arguments in (walk, load):
        done = command(package, tmp_path, *arguments, "--input", "image=photos/")
        assert done.stderr == "genclient: --input: found 3 in photos/, expected one, for all images\n"


def test_a_package_that_cannot_be_loaded_is_named(package, target, tmp_path):
    (tmp_path / "tint.py").write_text("import no_such_module")
    (tmp_path / "tint-1.dist-info").symlink_to(package / "tint-1.dist-info")
    done = command(tmp_path, tmp_path, "sample", "--target", target, "--model", "tint", "--n", 1)
    assert done.returncode == 1
    assert "task tint of an installed package cannot be loaded: No module named 'no_such_module'" in done.stderr


FLOATS, FILES = TensorSpec("float32", (None, 5)), TensorSpec("string", (None,))
BYTES = TensorSpec("uint8", (None, 6, 4, 3))
SIGNATURES = {
    "serving_default": SignatureSpec({"latents": FLOATS, "image": BYTES}, {"images": BYTES}),
    "png": SignatureSpec({"latents": FLOATS, "image_bytes": FILES}, {"png_bytes": FILES}),
    "encoded": SignatureSpec({"image_bytes": FILES}, {"scores": TensorSpec("float32", (None,))}),
    "discriminate": SignatureSpec({"images": BYTES}, {"scores": TensorSpec("float32", (None,))}),
}


@pytest.mark.parametrize(
    ("given", "task", "signature"),
    [
        (["latents", "image"], "image-to-image", "serving_default"),
        (["seeds", "image"], "image-to-image", "serving_default"),
        (["seeds", "image_bytes"], "image-to-image", "png"),
        (["images"], "fake-detection", "discriminate"),
        (["image_bytes"], "fake-detection", "encoded"),
    ],
)
def test_the_task_and_the_signature_are_those_that_take_what_is_given(monkeypatch, given, task, signature):
    monkeypatch.setattr(registry, "_installed", tuple)
    monkeypatch.setattr(registry, "_registered", [])
    roles = {"inputs": [tasks.LATENTS, tasks.IMAGE, tasks.FILES], "outputs": [tasks.IMAGES, tasks.PNG]}
    tasks.register(tasks.Task("image-to-image", **roles))
    info = ModelInfo("any", 1, SIGNATURES)
    found, binding = tasks.choose(info, "auto", {}, given=given)
    assert (found.name, binding.signature) == (task, signature)


def test_a_role_of_its_own_says_what_is_sent_and_what_results_are(serve, tools, monkeypatch):
    class Angle(tasks.Role):
        name, expected = "angle", "angle to be float32 (N)"

        def column(self, spec, given, count):
            degrees = np.float32(self.needed(given))
            return tasks.Column(lambda start, stop: np.full(stop - start, np.deg2rad(degrees)))

    monkeypatch.setattr(registry, "_registered", [])
    tasks.register(tasks.Task("turned", inputs=[tasks.LATENTS, Angle()], outputs=[tasks.IMAGES]))
    inputs = {"latents": (types_pb2.DT_FLOAT, [-1, 5]), "angle": (types_pb2.DT_FLOAT, [-1])}
    served = serve(signatures={"serving_default": (inputs, {"images": (types_pb2.DT_FLOAT, [-1, 6, 4, 3])})})
    with Client(served.target) as client:
        made = client.run(seeds=[1, 2], angle=180)["images"]
    assert np.array_equal(made, tools.pixels(tools.render(latents(np.array([1, 2]), 5))))
    sent = tools.tf.make_ndarray(served.prediction.requests[0].inputs["angle"])
    assert (sent.dtype, sent.tolist()) == (np.float32, [np.float32(np.pi)] * 2)


def test_what_a_model_gives_besides_images_is_in_results_and_in_an_archive(serve, tools, monkeypatch, tmp_path):
    class Depth(tasks.Role):
        name, expected, guessed = "depth", "depth to be floats (N)", False

    monkeypatch.setattr(registry, "_registered", [])
    tasks.register(tasks.Task("depth", inputs=[tasks.LATENTS], outputs=[tasks.IMAGES, Depth()]))

    def answer(request, context):
        response = served.prediction.generate(request, context)
        count = response.outputs["images"].tensor_shape.dim[0].size
        response.outputs["depth"].CopyFrom(tools.as_values(np.arange(count, dtype=np.float32)))
        return response

    outputs = {"images": (types_pb2.DT_FLOAT, [-1, 6, 4, 3]), "depth": (types_pb2.DT_FLOAT, [-1])}
    served = serve(signatures={"serving_default": ({"latents": (types_pb2.DT_FLOAT, [-1, 5])}, outputs)}, answer=answer)
    with Client(served.target, batch_size=2) as client:
        made = client.run(seeds=[4, 5, 6])
        assert (sorted(made), made["depth"].tolist()) == (["depth", "images"], [0, 1, 0])
        image_set = ImageSet("digits", np.array([4, 5, 6]))
        steps = list(fill(Archive(image_set, tmp_path / "x.npz"), np.arange(3), client.stream([4, 5, 6])))
    assert sum(step.images for step in steps) == 3
    with np.load(tmp_path / "x.npz") as archive:
        assert archive["depth"].tolist() == [0, 1, 0]
        assert np.array_equal(archive["images"], made["images"])


def test_genlines_own_tasks_are_run_by_name_too(serve, tools):
    served = serve(signatures=tools.signature_table(conditional=True))
    with Client(served.target) as client:
        made = client.run(seeds=[3, 4], labels=[0, 2])
        assert list(made) == ["images"]
        assert np.array_equal(made["images"], client.sample(seeds=[3, 4], label=[0, 2]))
        z = latents(np.array([3, 4]), 5)
        assert np.array_equal(
            client.run(latents=z, labels=1, signature="uint8")["images"], client.sample(2, 3, label=1)
        )
