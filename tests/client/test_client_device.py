"""A TFLite file on this machine, run by the real LiteRT: the images are those of the server for the same seeds."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import threading
import tracemalloc

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from genclient import ClientError, DeviceGenerator, UsageError, metadata

SEEDS = np.arange(40, dtype=np.int64)


def made(path, seeds=SEEDS, threads=None, **condition):
    """The images of seeds as one array."""
    generator = DeviceGenerator(str(path), threads=threads)
    return np.concatenate([batch.images for batch in generator.stream(seeds, **condition)])


def distance(images, expected):
    """The greatest difference of two arrays of pixels."""
    assert images.shape == expected.shape
    return np.abs(images.astype(int) - expected).max()


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


def with_metadata(content):
    """A change that adds the entry `genline` with these bytes."""

    def change(model):
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer, buffer.data = "genline", len(model.buffers), list(content)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(buffer)

    return change


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


def float16(converter):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def dynamic(converter):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def test_a_file_makes_the_images_that_a_server_makes(tflite, tools):
    generator = DeviceGenerator(str(tflite))
    batches = list(generator.stream(np.arange(40, dtype=np.int64), truncation=0.8))
    images = np.concatenate([batch.images for batch in batches])
    expected = tools.pixels(tools.render(tools.draw(range(40)) * 0.8))
    assert images.dtype == np.uint8
    assert len(batches) > 1
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert generator.notes == []


@pytest.mark.parametrize(("set_up", "limit"), [(float16, 1), (dynamic, 4)])
def test_files_with_smaller_weights_make_nearly_the_same_images(converted, tools, set_up, limit):
    file = converted(lambda model, latents: {"images": model(latents)}, set_up, latents=(1, 5))
    assert distance(made(file), tools.pixels(tools.render(tools.draw(range(40))))) <= limit


def test_a_file_of_integers_alone_gets_its_latents_in_its_own_scale(converted, tools):
    def whole(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tools.draw([seed])] for seed in range(100))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    file = converted(lambda model, latents: {"images": model(latents)}, whole, latents=(1, 5))
    assert DeviceGenerator(str(file)).info().signatures["generate"].inputs["latents"].dtype == "int8"
    assert np.abs(made(file).astype(int) - tools.pixels(tools.render(tools.draw(range(40))))).mean() < 8


def test_a_file_whose_output_is_pixels_gives_them(converted, tools):
    def pixels(model, latents):
        return {"images": tf.cast(tf.round(model(latents) * 255), tf.uint8)}

    assert distance(made(converted(pixels, latents=(1, 5))), tools.pixels(tools.render(tools.draw(range(40))))) <= 1


def test_a_file_with_labels_asks_for_one(conditional_tflite, tools):
    generator = DeviceGenerator(str(conditional_tflite))
    batch = next(generator.stream(np.array([3]), label=2))
    assert np.abs(batch.images.astype(int) - tools.pixels(tools.render(tools.draw([3]), [2]))).max() <= 1
    with pytest.raises(UsageError, match=r"^label: found none"):
        generator.stream(np.array([3]))


def test_a_file_whose_output_is_quantised_gives_its_pixels(quantised_tflite, tools):
    generator = DeviceGenerator(str(quantised_tflite))
    assert generator.info().signatures["generate"].outputs["images"].dtype == "uint8"
    images = next(generator.stream(np.arange(8))).images
    expected = tools.pixels(tools.render(tools.draw(range(8))))[: len(images)]
    assert np.abs(images.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_makes_the_same_pixels_in_the_same_order(tflite, threads):
    seeds = np.random.default_rng(1).integers(-(2**63), 2**63, 300)
    batches = list(DeviceGenerator(str(tflite), threads=threads).stream(seeds))
    np.testing.assert_array_equal(np.concatenate([batch.seeds for batch in batches]), seeds)
    alone = made(tflite, seeds, threads=1)
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), alone)
    np.testing.assert_array_equal(alone[7], made(tflite, seeds[7:8])[0])


def test_a_long_stream_needs_no_more_memory_than_a_short_one(tflite):
    generator = DeviceGenerator(str(tflite), threads=2)
    next(generator.stream([0]))
    tracemalloc.start()
    try:
        for _ in generator.stream(np.arange(20_000, dtype=np.int64)):
            pass
        seeds = 20_000 * 8
        assert tracemalloc.get_traced_memory()[1] < 4 * seeds  # the images alone have nine times as much
    finally:
        tracemalloc.stop()


def test_a_stream_that_is_left_early_leaves_no_thread_behind(tflite):
    before = threading.active_count()
    stream = DeviceGenerator(str(tflite), threads=3).stream(np.arange(1_000_000, dtype=np.int64))
    assert next(stream).seeds[0] == 0
    stream.close()
    assert threading.active_count() == before


def test_a_file_without_signature_is_read_by_its_shapes_and_says_so(foreign_tflite, genclient, tmp_path, tools):
    expected = tools.pixels(tools.render(tools.draw(range(40))))
    assert distance(made(foreign_tflite), expected) <= 1
    done = genclient("sample", "--tflite", foreign_tflite, "--n", 40, "--out", "images.npz")
    reading, pixels = done.stderr.decode().splitlines()
    assert reading.startswith("genclient: generator.tflite: no signature: taken by shape, latents = 'generate_noise")
    assert pixels == "genclient: generator.tflite: pixels lie in [-1, 1], by the images of 4 seeds"
    with np.load(tmp_path / "images.npz") as arrays:
        assert distance(arrays["images"], expected) <= 1
    lines = genclient("info", "--tflite", foreign_tflite).stdout.decode().splitlines()
    assert lines[1:4] == ["latents    5", "images     6 × 4 × 3", "labels     no"]
    assert lines[4].startswith("signature  none  generate_noise")
    assert lines[5].startswith("note       generator.tflite: no signature: taken by shape")


def test_a_file_that_takes_any_batch_runs_as_batches(converted, tools):
    file = converted(lambda model, latents: {"images": model(latents)}, latents=(None, 5))
    generator = DeviceGenerator(str(file), threads=2)
    assert generator.generator().inputs["latents"].shape == (None, 5)
    batches = list(generator.stream(SEEDS))
    assert [len(batch.seeds) for batch in batches] == [16, 16, 8]
    images = np.concatenate([batch.images for batch in batches])
    assert distance(images, tools.pixels(tools.render(tools.draw(range(40))))) <= 1


def test_layouts_of_other_frameworks_are_understood(converted, tools):
    def generate(model, kind, z):
        images = model(tf.reshape(z, (4, 5))) * 0.5 + 0.1 * tf.cast(tf.reshape(kind, (4, 1, 1, 1)), tf.float32)
        return {"output": tf.transpose(images[:, :, :2], (0, 3, 1, 2)) * 255}

    file = converted(generate, kind=(4, 1), z=(4, 5, 1, 1))
    generator = DeviceGenerator(str(file))
    assert generator.generator().image_shape == (6, 2, 3)
    images = np.concatenate([batch.images for batch in generator.stream(SEEDS[:10], label=1)])
    assert distance(images, tools.pixels(tools.render(tools.draw(range(10)), [1] * 10))[:, :, :2]) <= 1
    assert "kind" in generator.notes[0]
    assert "[0, 255]" in generator.notes[1]


def test_a_class_can_be_given_by_its_name(named_tflite, genclient, fails, tmp_path, tools):
    for label, arguments in ((1, ("--label", "rain")), (2, ("--label", "snöw")), (2, ("--label", 2))):
        done = genclient("sample", "--tflite", named_tflite, "--n", 3, *arguments, "--out", "images.npz")
        assert (done.returncode, done.stderr) == (0, b"")
        with np.load(tmp_path / "images.npz") as arrays:
            assert arrays["labels"].tolist() == [label] * 3
            assert distance(arrays["images"], tools.pixels(tools.render(tools.draw(range(3)), [label] * 3))) <= 1
    code, line = fails("sample", "--tflite", named_tflite, "--label", "hail")
    assert (code, line) == (2, "--label: found 'hail', expected the index of a class or one of sun, rain, snöw")
    code, line = fails("sample", "--tflite", named_tflite, "--label", 3)
    assert (code, line) == (2, "label: found 3, expected a class from 0 to 2")


def test_info_lists_the_classes_of_a_file(genclient, named_tflite):
    lines = genclient("info", "--tflite", named_tflite).stdout.decode().splitlines()
    assert lines[-3:] == ["class      0  sun", "class      1  rain", "class      2  snöw"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{not json", "found 9 bytes that are no JSON"),
        (b"\xff" * 9, "found 9 bytes that are no JSON"),
        (b"[" * 100_000, "found 100000 bytes that are no JSON"),
        (b"[]", "expected class_names, a list of names"),
        (b'{"class_names": [1]}', "expected class_names, a list of names"),
        (b'{"class_names": ["a"], "class_count": 2}', "found class_count 2, 1 class_names"),
        (b'{"class_count": "many"}', "found class_count 'many', 0 class_names"),
    ],
)
def test_metadata_that_makes_no_sense_is_named(tflite, changed, content, found):
    file = changed(tflite, with_metadata(content))
    with pytest.raises(ClientError) as raised:
        DeviceGenerator(str(file))
    assert str(raised.value) == f"{file}: metadata 'genline': {found}"


def test_a_file_that_is_no_generator_is_described(other_tflite):
    with pytest.raises(ClientError, match=r"signature 'generate' is x float32 \(1, 3\) → y float32 \(1, 3\); expected"):
        DeviceGenerator(str(other_tflite)).stream(np.array([0]))


def test_the_command_takes_a_file_in_place_of_a_server(genclient, tflite, tmp_path, tools):
    done = genclient("sample", "--tflite", tflite, "--seeds", "1,5", "--out", "images.npz")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"images.npz\n", b"")
    with np.load(tmp_path / "images.npz") as arrays:
        assert arrays["seeds"].tolist() == [1, 5]
        assert np.abs(arrays["images"].astype(int) - tools.pixels(tools.render(tools.draw([1, 5])))).max() <= 1


def test_info_describes_a_file(genclient, tflite):
    done = genclient("info", "--tflite", tflite)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        "model      generator.tflite",
        "latents    5",
        "images     6 × 4 × 3",
        "labels     no",
        "signature  generate  latents float32 (1, 5) → images float32 (1, 6, 4, 3)",
    ]


def test_a_terminal_sees_how_far_a_file_has_got(tflite, tmp_path):
    ours, terminal = pty.openpty()
    command = [sys.executable, "-c", "from genclient.cli import main; main()", "sample", "--tflite", str(tflite)]
    try:
        subprocess.run([*command, "--n", "64", "--threads", "2"], stderr=terminal, cwd=tmp_path, check=True, timeout=60)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert shown.startswith("\r\x1b[K0 of 64 images")
    assert "\r\x1b[K32 of 64 images" in shown
    assert shown.endswith("\r\x1b[K")


def test_interruption_ends_with_130_and_no_partial_file(tflite, tmp_path):
    command = [sys.executable, "-c", "from genclient.cli import main; main()", "sample", "--tflite", str(tflite)]
    options = ("--n", "1000000", "--threads", "2", "--out", "pictures/")
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    with subprocess.Popen([*command, *options], **settings) as process:
        assert process.stdout.readline() == b"pictures/seed0000.png\n"
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert stderr.endswith(b" of 1000000 images are in pictures/; run the same command again to go on\n")
    assert {path.suffix for path in (tmp_path / "pictures").iterdir()} == {".png", ".json"}


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_a_number_of_threads_that_makes_no_sense_is_refused(fails, tflite, threads):
    found = fails("sample", "--tflite", tflite, "--threads", threads)
    assert found == (2, f"threads: found {threads}, expected 1 to 256")


def test_threads_and_names_of_classes_need_a_file(fails):
    found = fails("sample", "--threads", 2)
    assert found == (2, "--threads: found 2 without --tflite, expected only with a file")
    code, line = fails("sample", "--label", "rain")
    assert (code, line.split(",")[0]) == (2, "--label: found 'rain'")


def test_files_that_cannot_be_run_are_refused(fails, tflite, tmp_path):
    (tmp_path / "garbage.tflite").write_bytes(b"no model" * 99)
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "half.tflite").write_bytes(tflite.read_bytes()[: tflite.stat().st_size // 2])
    for name in ("garbage", "empty", "half"):
        code, line = fails("sample", "--tflite", f"{name}.tflite")
        assert (code, line.split(":")[0]) == (1, f"{name}.tflite is not a TFLite model that LiteRT can run")
    assert fails("sample", "--tflite", "none.tflite") == (1, "cannot read none.tflite: No such file or directory")
    assert fails("sample", "--tflite", ".") == (1, "cannot read .: Is a directory")
    assert fails("info", "--tflite", "/dev/zero")[0] == 1


def test_an_op_that_litert_has_not_is_named(fails, tflite, changed):
    def change(model):
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "Dreaming"

    code, line = fails("sample", "--tflite", changed(tflite, change))
    assert code == 1
    assert "custom op: Dreaming" in line


def test_a_tensor_larger_than_memory_is_refused(fails, converted):
    def generate(model, latents):
        return {"images": model(latents) + tf.reduce_max(tf.tile(latents, (50_000, 10_000)))}

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    code, line = fails("sample", "--tflite", converted(generate, latents=(1, 5)), preexec_fn=little_memory)
    assert code == 1
    assert line.endswith("need more memory than is free")


MUTATIONS = """
import os, random, sys
import numpy as np
from genclient import ClientError, DeviceGenerator
from genclient.rehearsal import rehearse

original, place, count = open(sys.argv[1], "rb").read(), sys.argv[2], int(sys.argv[3])
chance, refused, crashed = random.Random(5), 0, 0
words = [b"\\xff" * 4, b"\\xff\\xff\\xff\\x7f", b"\\0\\0\\0\\x80", b"\\0" * 4, b"\\1\\0\\0\\0"]

def check(error):
    assert "\\n" not in str(error) and place.split("/")[-1][:-7] in str(error) or "images" in str(error), error

def make_one(place):
    generator = DeviceGenerator(place)
    labels = {"label": 0} if generator.generator() and generator.generator().conditional else {}
    next(generator.stream([0], **labels))

for number in range(count):
    content = bytearray(original)
    at = chance.randrange(len(content) - 4)
    if number % 5 == 0:
        content = content[:at]
    elif number % 5 < 3:
        content[at] = chance.randrange(256)
    else:
        content[at & ~3 : (at & ~3) + 4] = chance.choice(words)
    with open(place, "wb") as file:
        file.write(content)
    try:
        rehearse(place)
    except ClientError as error:
        refused += 1
        check(error)
        continue
    # LiteRT may read past what it was given and live, or not, so what passes is run in a child as well.
    child = os.fork()
    if not child:
        try:
            make_one(place)
        except ClientError as error:
            check(error)
            os._exit(1)
        except BaseException:
            os._exit(9)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code < 9, code
    refused += code == 1
    crashed += code < 0
print("refused", refused)
assert crashed <= count // 50, crashed
"""


@pytest.mark.parametrize("file", ["conditional_tflite", "quantised_tflite", "named_tflite"])
def test_a_damaged_file_never_ends_the_process(request, tmp_path, file):
    original, place = request.getfixturevalue(file), tmp_path / "damaged.tflite"
    command = [sys.executable, "-c", MUTATIONS, str(original), str(place), "150"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[1]) >= 30  # every fifth is cut short


def test_a_file_on_which_litert_crashes_is_one_line(genclient, tflite, changed):
    def change(model):  # LiteRT 2.3 follows the second input of a RESHAPE without looking
        graph = model.subgraphs[0]
        for operator in graph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.RESHAPE:
                operator.inputs = [operator.inputs[0], -1]

    done = genclient("sample", "--tflite", changed(tflite, change))
    assert done.returncode in (0, 1)  # a later LiteRT may run it
    assert done.stderr.count(b"\n") == done.returncode


def test_metadata_whose_offsets_lead_out_of_the_file_is_refused():
    table = (100).to_bytes(4, "little")  # says that its list of fields stands 100 bytes before it
    content = b"\x08\0\0\0TFL3" + table + b"\4\0" * 150
    with pytest.raises(ClientError, match=r"^x.tflite: damaged"):
        metadata.read(content, "x.tflite")


@pytest.mark.parametrize("option", ["--target=x:1", "--model=x", "--timeout=9", "--signature=png"])
def test_options_of_a_server_do_not_go_with_a_file(fails, tflite, option):
    name = option.split("=")[0]
    assert fails("sample", "--tflite", tflite, option) == (
        2,
        f"{name}: found beside --tflite, expected only with a server",
    )


def test_without_litert_it_says_what_to_install(tflite):
    program = "import sys; sys.modules['ai_edge_litert'] = None; from genclient.cli import main; main()"
    command = [sys.executable, "-c", program, "sample", "--tflite", str(tflite)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == b"genclient: --tflite needs LiteRT: pip install 'genline[device]'\n"
