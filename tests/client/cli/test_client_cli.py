"""The command as users and scripts meet it: what lands where, what it prints, how it fails and with which code."""

import contextlib
import importlib.metadata
import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading

import click
import grpc
import numpy as np
import pytest
from genclient.cli import cli
from PIL import Image

NO_TENSORFLOW = """
import sys
from genclient.cli import main
try:
    main()
except SystemExit as error:
    assert not error.code, error.code
heavy = {"tensorflow", "tensorflow_serving", "keras", "jax", "torch"} & {name.split(".")[0] for name in sys.modules}
assert not heavy, heavy
"""


@pytest.fixture
def started(tmp_path):
    """Start the real command and leave it running; what still runs at the end is stopped."""
    processes = []

    def start(*arguments, **settings):
        command = [sys.executable, "-c", "from genclient.cli import main; main()", *map(str, arguments)]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, **settings}
        processes.append(subprocess.Popen(command, **settings))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def files(folder):
    """Everything in a folder, temporary files included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def free_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def hold(served):
    """Have a server receive requests and not answer them, until the client goes away."""

    def answer(request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(60)

    served.prediction.answer = answer


def test_an_image_grid_holds_all_images_row_by_row_and_says_what_made_them(genclient, serve, tmp_path, tools):
    done = genclient("sample", "--target", serve().target, "--n", 5, "--seed", 10, "--truncation", 0.5, "--scale", 1)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out.png\n", b"")
    assert files(tmp_path) == ["out.png"]
    images = tools.pixels(tools.render(tools.draw(range(10, 15)) * 0.5))
    height, width, _ = tools.IMAGE_SHAPE
    with Image.open(tmp_path / "out.png") as grid:
        assert grid.text == {"seeds": "10-14", "model": "digits", "version": "3", "truncation": "0.5"}
        assert grid.size == (3 * width, 2 * height)
        cells = np.asarray(grid).reshape(2, height, 3, width, 3).swapaxes(1, 2).reshape(6, height, width, 3)
    assert np.abs(cells[:5].astype(int) - images).max() <= 1
    assert not cells[5].any()


def test_a_folder_gets_one_picture_a_seed(genclient, serve, tmp_path, tools):
    served = serve(signatures=tools.signature_table(conditional=True))
    options = ("--seeds", "6,12-13", "--label", 2, "--signature", "uint8")
    done = genclient("sample", "--target", served.target, *options, "--out", "a/b")
    assert done.stderr == b""
    assert done.stdout.decode().split() == ["a/b/seed0006.png", "a/b/seed0012.png", "a/b/seed0013.png"]
    assert files(tmp_path / "a/b") == ["manifest.json", "seed0006.png", "seed0012.png", "seed0013.png"]
    with Image.open(tmp_path / "a/b/seed0012.png") as picture:
        assert picture.text == {"seed": "12", "model": "digits", "version": "3", "truncation": "1.0", "label": "2"}
        expected = tools.pixels(tools.render(tools.draw([12]), [2]))[0]
        assert np.abs(np.asarray(picture).astype(int) - expected).max() <= 1


def test_an_archive_holds_images_seeds_and_labels(genclient, serve, tmp_path, tools):
    served = serve(signatures=tools.signature_table(conditional=True))
    done = genclient("sample", "--target", served.target, "--n", 70, "--label", 1, "--out", "x/images.npz")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x/images.npz\n", b"")
    with np.load(tmp_path / "x/images.npz") as arrays:
        assert {name: (array.dtype.name, array.shape) for name, array in arrays.items()} == {
            "images": ("uint8", (70, *tools.IMAGE_SHAPE)),
            "seeds": ("int64", (70,)),
            "labels": ("int32", (70,)),
            "truncation": ("float64", ()),
            "model": ("str192", ()),
            "version": ("int64", ()),
        }
        assert arrays["labels"].tolist() == [1] * 70
        assert arrays["seeds"].tolist() == list(range(70))


def test_a_dash_sends_the_grid_to_stdout_and_nothing_else(genclient, serve, tmp_path, tools):
    done = genclient("sample", "--target", serve().target, "--n", 4, "--out", "-", "--scale", 1)
    assert (done.returncode, done.stderr) == (0, b"")
    height, width, _ = tools.IMAGE_SHAPE
    assert Image.open(io.BytesIO(done.stdout)).size == (2 * width, 2 * height)
    assert files(tmp_path) == []


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_images_become_such_pictures(genclient, serve, tmp_path, tools, channels):
    def grow(images):
        return tools.as_values(np.repeat(images[..., :1], channels, axis=-1))

    done = genclient("sample", "--target", serve(encode=grow).target, "--n", 1)
    assert done.returncode == 0
    assert Image.open(tmp_path / "out.png").mode == {1: "L", 4: "RGBA"}[channels]


def test_two_channels_are_for_archives_only(fails, genclient, serve, tools):
    target = serve(encode=lambda images: tools.as_values(images[..., :2])).target
    assert fails("sample", "--target", target)[1].startswith("images: found 2 channels, expected 1, 3 or 4")
    assert genclient("sample", "--target", target, "--out", "two.npz").returncode == 0


def test_tensorflow_is_never_imported(serve, tflite, tmp_path):
    for source in (("--target", serve().target), ("--tflite", str(tflite))):
        for signature in ((), ("--signature", "png")) if source[0] == "--target" else ((),):
            command = [sys.executable, "-c", NO_TENSORFLOW, "sample", *source, *signature, "--n", "2"]
            subprocess.run(command, check=True, cwd=tmp_path, timeout=60)


HELP = """
import contextlib, io, sys
from genclient.cli import COMMANDS, cli
for command in COMMANDS:
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main([command, "--help"], standalone_mode=False)
print({"numpy", "grpc", "PIL", "google"} & {name.split(".")[0] for name in sys.modules})
"""


def test_help_loads_nothing_heavy(genclient):
    assert subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True).stdout == b"set()\n"
    for arguments in ((), ("--help",), ("-h",)):
        done = genclient(*arguments)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith(b"Usage: genclient")
        assert b"\n  genclient wait --model digits\n" in done.stdout
    version = f"genclient, version {importlib.metadata.version('genline')}\n"
    assert genclient("--version").stdout.decode() == version


def options_in(text):
    """The options that a help page lists."""
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text[text.index("\nOptions:") :], re.MULTILINE)


def test_help_shows_the_options_that_matter_and_help_all_the_rest(capsys):
    pages = {}
    commands = "sample interpolate detect translate animate info models status wait reload bench"
    for command in commands.split():
        for flag in ("--help", "--help-all"):
            with contextlib.suppress(click.exceptions.Exit):
                cli.main([command, flag], standalone_mode=False)
            pages[command, flag] = capsys.readouterr().out
        few, all_of_them = options_in(pages[command, "--help"]), options_in(pages[command, "--help-all"])
        assert len(few) <= 14, few
        assert set(few) < set(all_of_them)
        assert {"--target", "--model", "--help-all"} <= set(few)
        assert {"--ca-file", "--retry", "--compression"} <= set(all_of_them) - set(few)
    page = pages["sample", "--help"]
    assert options_in(page)[:-2] == [
        "--n",
        "--seed",
        "--seeds",
        "--text",
        "--label",
        "--out",
        "--grid",
        "--truncation",
        "--tflite",
        "--target",
        "--model",
    ]
    assert "Below 1: more typical, less varied images (0.7 is common)" in " ".join(page.split())
    assert "Retry for up to SECONDS while the server is unavailable" in " ".join(pages["sample", "--help-all"].split())


def test_a_command_that_is_misspelt_is_answered_with_which_may_be_meant(refused):
    assert refused("smaple") == "No such command 'smaple'. Did you mean 'sample'?"
    assert refused("interpolat", "--n", 3) == "No such command 'interpolat'. Did you mean 'interpolate'?"
    assert refused("qqq").startswith("No such command 'qqq'. There are sample, interpolate, detect")


def test_short_options_stand_for_the_two_that_are_typed_most(genclient, serve, tmp_path):
    done = genclient("sample", "--target", serve().target, "-n", 3, "-o", "x.npz")
    assert (done.returncode, done.stdout) == (0, b"x.npz\n")
    assert len(np.load(tmp_path / "x.npz")["seeds"]) == 3


def test_info_describes_the_model_and_its_versions(genclient, serve, tools):
    signatures = tools.signature_table(conditional=True)
    served = serve(signatures=signatures, versions=[(3, "AVAILABLE", ""), (2, "END", "out of \x1b[31mmemory")])
    done = genclient("info", "--target", served.target)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[:-1] == [
        "model      digits",
        "version    3 AVAILABLE",
        "version    2 END out of ?[31mmemory",
        "latents    5",
        "images     6 × 4 × 3",
        "labels     yes",
        "signature  png              labels int32 (N), latents float32 (N, 5) → png_bytes string (N)",
        "signature  seeds            labels int32 (N), seeds int64 (N) → images uint8 (N, 6, 4, 3)",
        "signature  serving_default  labels int32 (N), latents float32 (N, 5) → images float32 (N, 6, 4, 3)",
        "signature  uint8            labels int32 (N), latents float32 (N, 5) → images uint8 (N, 6, 4, 3)",
    ]


def test_status_succeeds_only_with_an_available_version(genclient, serve):
    served = serve(versions=[(1, "END", ""), (2, "AVAILABLE", "")])
    done = genclient("status", "--target", served.target)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"2 AVAILABLE\n1 END\n", b"")
    served.model.versions = [(2, "LOADING", "")]
    done = genclient("status", "--target", served.target)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"2 LOADING\n", b"")


def test_wait_begins_before_the_port_is_open(started, serve):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = started("wait", "--target", f"127.0.0.1:{port}", "--timeout", 60)
        listener.accept()[0].close()  # it has tried
    serve(port=port)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, b"3\n", b"")


def test_wait_gives_up_when_its_time_is_over(fails, serve):
    code, line = fails("wait", "--target", f"127.0.0.1:{free_port()}", "--timeout", 0.5)
    assert code == 1
    assert line.startswith("model 'digits' not available after 0.5 s; last seen: nothing listens at 127.0.0.1:")


def test_a_closed_port_is_reported_at_once(fails, tmp_path):
    target = f"127.0.0.1:{free_port()}"
    for command in ("sample", "info", "status"):
        code, line = fails(command, "--target", target, timeout=30)
        assert code == 64 + grpc.StatusCode.UNAVAILABLE.value[0]
        help_text = "start one with genserve, or see --target"
        assert line == f"nothing listens at {target} (connection refused); {help_text}"
    assert files(tmp_path) == []


def test_an_unknown_model_is_reported_in_the_servers_words(fails, serve):
    target = serve().target
    code, line = fails("sample", "--target", target, "--model", "cats")
    found = "Servable not found for request: Latest(cats); list the models with: genclient models"
    assert (code, line) == (69, f"{target} returned NOT_FOUND: {found}")
    assert fails("status", "--target", target, "--model", "cats")[0] == 69
    assert fails("sample", "--target", target, "--model", "") == (
        2,
        "model: found '', expected the name of a served model",
    )


def test_a_server_that_takes_too_long_is_given_up(fails, serve):
    served = serve()
    hold(served)
    code, line = fails("sample", "--target", served.target, "--timeout", 0.5)
    assert code == 68
    assert line == f"no reply within 0.5 s (--timeout) from {served.target}"


def test_failures_of_the_model_are_one_line(fails, serve, tools, tmp_path):
    conditional = serve(signatures=tools.signature_table(conditional=True)).target
    code, line = fails("sample", "--target", conditional)
    assert (code, line.split(",")[0]) == (2, "label: found none")
    plain = serve(encode=lambda images: tools.as_values(images * np.nan)).target
    code, line = fails("sample", "--target", plain, "--out", "folder/")
    assert (code, line) == (1, "images: found values that are not finite numbers, expected floats in [0, 1]")
    assert fails("sample", "--target", plain, "--signature", "jpeg")[0] == 1
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--n", 0), "n: found 0, expected 1 to 1000000 images"),
        (("--n", -3), "n: found -3, expected"),
        (("--n", "x"), "'--n': 'x' is not a valid int"),
        (("--seeds", "5-3"), "seeds: range '5-3' runs backwards"),
        (("--seeds", "-"), "seeds: found '-'"),
        (("--seed", 2**63), "leave int64"),
        (("--seed", 1, "--seeds", "1"), "--seed and --seeds: found both"),
        (("--n", 3, "--seeds", "1"), "--n: found 3 beside --seeds 1 of 1 images"),
        (("--truncation", "nan"), "truncation: found nan"),
        (("--truncation", "-inf"), "truncation: found -inf"),
        (("--truncation", 0.5, "--signature", "seeds"), "expected 1 with a signature that takes seeds"),
        (("--label", -1), "label: found -1, expected none"),
        (("--label", 3), "label: found 3, expected none"),
        (("--timeout", 0), "timeout: found 0.0"),
        (("--target", "::1:8611"), "target: found '::1:8611', expected HOST:PORT or unix:PATH, "),
        (("--out", "picture.jpg"), "--out: found picture.jpg, expected a name that ends in .png or .npz"),
        (("--out", ""), "--out: found ''"),
        (("--gird",), "No such option"),
        (("extra",), "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(fails, serve, tmp_path, arguments, found):
    target = () if "--target" in arguments else ("--target", serve().target)
    code, line = fails("sample", *target, *arguments)
    assert code == 2
    assert found in line
    assert files(tmp_path) == []


def test_an_unknown_command_is_named(fails):
    code, line = fails("smaple")
    assert code == 2
    assert "smaple" in line


def test_a_place_that_cannot_be_written_is_named(fails, serve, tmp_path):
    (tmp_path / "file").write_text("in the way")
    target = serve().target
    for out in ("file/out.png", "file/images.npz", "file/pictures/"):
        code, line = fails("sample", "--target", target, "--n", 1, "--out", out)
        assert (code, line.startswith(f"cannot write {out.rstrip('/')}")) == (1, True)
    assert files(tmp_path) == ["file"]


@pytest.mark.parametrize("out", ["out.png", "out.npz", "pictures/"])
def test_a_full_disk_leaves_nothing_behind(fails, serve, tmp_path, out):
    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    (tmp_path / "pictures").mkdir()
    code, line = fails("sample", "--target", serve().target, "--n", 4, "--out", out, preexec_fn=no_room)
    assert (code, line[:13], line[-14:]) == (1, "cannot write ", "File too large")
    assert files(tmp_path) == ["pictures"]


def test_a_file_that_is_there_is_replaced_whole_and_kept_on_failure(genclient, serve, tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    assert genclient("sample", "--target", f"127.0.0.1:{free_port()}").returncode == 78
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert genclient("sample", "--target", serve().target).returncode == 0
    assert Image.open(tmp_path / "out.png").format == "PNG"
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    """The umask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("out", ["out.png", "pictures/", "-"])
def test_interruption_ends_with_130_and_no_partial_file(started, serve, tmp_path, out):
    served = serve()
    hold(served)
    process = started("sample", "--target", served.target, "--out", out)
    assert served.prediction.requested.wait(60)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.strip()) == (130, b"", b"")
    assert files(tmp_path) == []


def test_a_reader_that_leaves_is_no_error(started, serve):
    for out in ("-", "pictures/"):
        process = started("sample", "--target", serve().target, "--out", out)
        process.stdout.close()
        assert process.wait(60) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""
