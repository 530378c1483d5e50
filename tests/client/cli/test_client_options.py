"""Every option of the connection and of requests, set to something other than its default, with its effect seen."""

from __future__ import annotations

import ast
import http.server
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import connection_options
import grpc
import numpy as np
import pytest
import trustme
from connection_options import Models, good
from genclient.cli import COMMANDS, cli, main
from genclient.cli.resolve import settable
from genclient.commands.config import shared
from library_servers import closed_port, rows_of
from PIL import Image
from tensorflow.core.framework import types_pb2


@pytest.fixture(scope="module")
def authority():
    """A certificate authority."""
    return trustme.CA()


@pytest.fixture(scope="module")
def identity(authority, tmp_path_factory):
    """PEM files: the authority's certificate, a client's and its key."""
    folder, client = tmp_path_factory.mktemp("identity"), authority.issue_cert("client.example")
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "client.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    (folder / "client.key").write_bytes(client.private_key_pem.bytes())
    return folder


@pytest.fixture
def genclient(tmp_path, monkeypatch, capfd):
    """Run the command in this process, which is quicker by far; gives what a process would, its output as bytes."""

    def run(*arguments, env=None):
        log, handler = logging.getLogger("genclient"), signal.getsignal(signal.SIGINT)
        handlers, level = list(log.handlers), log.level
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", ["genclient", *map(str, arguments)])
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as left:
                main()
        signal.signal(signal.SIGINT, handler)
        log.handlers[:], log.level = handlers, level
        output = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, left.value.code, output.out.encode(), output.err.encode())

    return run


@pytest.fixture
def ask(serve, genclient):
    """Run `sample` on a server; gives the process, the server, and the headers and peers that it saw."""

    def run(*options, command=("sample", "--n", 2), target=None, answer=None, env=None, **settings):
        served, seen = serve(**settings), []

        def note(request, context):
            seen.append({**dict(context.invocation_metadata()), ":auth": context.auth_context()})
            return (answer and answer(request, context)) or served.prediction.generate(request, context)

        served.prediction.answer = note
        address = (target or "{}").format(served.target.rpartition(":")[2] if target else served.target)
        done = genclient(*command, "--target", address, *options, env=env)
        return done, served, seen

    return run


@pytest.fixture
def heard(tmp_path):
    """What the command sends first to a server that has only ears: the bytes on the wire."""

    def run(*options):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)
            target = f"127.0.0.1:{listener.getsockname()[1]}"
            program = [sys.executable, "-c", "from genclient.cli import main; main()", "info", "--target", target]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
            with subprocess.Popen([*program, *options, "--retry", "0", "--timeout", "20"], **quiet) as process:
                with listener.accept()[0] as connection:
                    connection.settimeout(30)
                    connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # SETTINGS
                    content = b""
                    while b"GetModelMetadata" not in content and (more := connection.recv(2**16)):
                        content += more
                process.wait(30)
        return content

    return run


def late(request, context):
    """An answer that comes too late."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(30)


def see_target(ask, **_):
    done, served, _ = ask()
    good(done)
    assert served.prediction.requests


def see_model(ask, **_):
    good(ask("--model", "cats", name="cats")[0])


def see_timeout(ask, **_):
    done, *_ = ask("--timeout", 0.5, answer=late)
    assert (done.returncode, b"no reply within 0.5 s (--timeout)" in done.stderr) == (68, True)


def see_retry(ask, genclient, **_):
    attempts = [0]

    def refuse(request, context):
        attempts[0] += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "busy")

    done, *_ = ask("--retry", 2, "--timeout", 30, answer=refuse)
    assert done.returncode == 78
    assert f"busy ({attempts[0]} attempts)" in done.stderr.decode()
    # Pauses are 0.05 to 0.1, 0.1 to 0.2, 0.2 to 0.4 … s, and it is retried a last time when the time is over.
    assert 3 <= attempts[0] <= 7
    attempts[0] = 0
    done, *_ = ask("--retry", 0, answer=refuse)
    assert (done.returncode, attempts[0]) == (78, 1)
    # The first call is retried for as long, if that is specified.
    done = genclient("status", "--target", f"127.0.0.1:{closed_port()}", "--retry", 1.5)
    assert b"(tried for " in done.stderr


def see_max_message_bytes(ask, **_):
    done, served, _ = ask("--max-message-bytes", 2048, "--n", 20, "--signature", "serving_default")
    good(done)
    assert all(rows_of(request) < 20 for request in served.prediction.requests[1:])


def see_concurrency(ask, **_):
    running, most, lock = [0], [0], threading.Lock()

    def slowly(request, context):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.1)
        with lock:
            running[0] -= 1

    good(ask("--concurrency", 1, "--batch-size", 1, "--n", 5, answer=slowly)[0])
    assert most == [1]
    good(ask("--concurrency", 3, "--batch-size", 1, "--n", 7, answer=slowly)[0])
    assert most == [3]


def see_deadline(ask, **_):
    done, *_ = ask("--deadline", 0.5, answer=late)
    assert (done.returncode, b"the time for the whole call is over" in done.stderr) == (68, True)


def see_batch_size(ask, **_):
    done, served, _ = ask("--batch-size", 3, "--n", 7)
    good(done)
    assert sorted(map(rows_of, served.prediction.requests)) == [1, 3, 3]


def see_map(ask, **_):
    done, *_ = ask("--map", "latents=z")
    assert (done.returncode, b"found 'z' for latents" in done.stderr) == (2, True)


def see_output_range(ask, tmp_path, tools, **_):
    for scale in ((0, 1), (0, 255)):
        options = ("--output-range", *scale, "--signature", "serving_default", "--out", f"{scale[1]}.npz")
        good(ask(*options)[0])
    with np.load(tmp_path / "1.npz") as bright, np.load(tmp_path / "255.npz") as dark:
        assert bright["images"].max() > 100
        assert dark["images"].max() < 3


def see_verbose(ask, **_):
    done, *_ = ask("--verbose")
    assert b"genclient: Predict: sent " in done.stderr


def see_format(ask, **_):
    assert ask("--format", "json")[0].stdout.startswith(b"{")


def see_probe(ask, **_):
    for option, probed in (("--probe", True), ("--no-probe", False)):
        done, served, _ = ask(option, command=("info",))
        assert (b"probe " in done.stdout, bool(served.prediction.requests)) == (probed, probed)


def see_loop(ask, tmp_path, **_):
    frames = {}
    for option in ("--loop", "--no-loop"):
        command = ("interpolate", "--seeds", "0,1", "--frames", 4, "--out", f"{option}.gif")
        good(ask(option, command=command)[0])
        with Image.open(tmp_path / f"{option}.gif") as film:
            frames[option] = film.n_frames
    assert frames["--loop"] > frames["--no-loop"]


def see_version_label(ask, tmp_path, **_):
    label = ("--version-label", "stable")
    commands = {
        "sample": (),
        "interpolate": ("--frames", 2),
        "bench": ("--duration", 0.05, "--warm-up", 0, "--concurrency", 1),
        "info": ("--probe",),
    }
    for command, options in commands.items():
        done, served, _ = ask(*options, *label, command=(command,))
        good(done)
        assert served.prediction.described[0].model_spec.version_label == "stable", command
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.png")
    files = {"encoded": ({"image_bytes": (types_pb2.DT_STRING, [-1])}, {"scores": (types_pb2.DT_FLOAT, [-1])})}
    detect = {"command": ("detect", "picture.png", "--discriminator", "digits"), "signatures": files, "answer": refused}
    assert ask(*label, **detect)[1].prediction.requests[0].model_spec.version_label == "stable"


def refused(request, context):
    """An answer that no request gets another one than."""
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")


def see_bench_signature(ask, tools, **_):
    labels = {"signatures": tools.signature_table(conditional=True)}
    quick = ("bench", "--duration", 0.05, "--warm-up", 0, "--concurrency", 1)
    done, served, _ = ask("--signature", "png", "--classes", "sun,rain", "--label", "rain", command=quick, **labels)
    good(done)
    for request in served.prediction.requests:
        assert request.model_spec.signature_name == "png"
        assert set(tools.tf.make_ndarray(request.inputs["labels"]).tolist()) == {1}


def see_interpolate_threads(genclient, tflite, tmp_path, **_):
    """As many as are said; the frames are the same."""
    for threads in (1, 3):
        done = genclient(
            "interpolate", "--tflite", tflite, "--threads", threads, "--frames", 4, "--out", f"{threads}.png"
        )
        good(done)
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "3.png").read_bytes()
    found = genclient("interpolate", "--tflite", tflite, "--threads", 257).stderr
    assert b"threads: found 257, expected 1 to 256" in found
    assert b"--threads: found 2 without --tflite" in genclient("interpolate", "--threads", 2).stderr


def test_a_rest_port_is_recognised(genclient):
    with http.server.HTTPServer(("127.0.0.1", 0), Models) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = genclient("status", "--target", f"127.0.0.1:{server.server_port}")
        server.shutdown()
    assert b"speaks HTTP/1: its REST port? gRPC is usually 8500" in done.stderr


EFFECTS = {
    **connection_options.EFFECTS,
    "target": see_target,
    "model": see_model,
    "timeout": see_timeout,
    "retry": see_retry,
    "max_message_bytes": see_max_message_bytes,
    "concurrency": see_concurrency,
    "deadline": see_deadline,
    "batch_size": see_batch_size,
    "map": see_map,
    "output_range": see_output_range,
    "verbose": see_verbose,
    "format": see_format,
    "probe": see_probe,
    "loop": see_loop,
}
OWN_EFFECTS = see_version_label, see_bench_signature, see_interpolate_threads

FIXTURES = ("ask", "genclient", "heard", "authority", "identity", "tmp_path", "tools", "tflite")


@pytest.mark.parametrize("effect", dict.fromkeys((*EFFECTS.values(), *OWN_EFFECTS)), ids=lambda effect: effect.__name__)
def test_an_option_has_its_effect(effect, request):
    effect(**{name: request.getfixturevalue(name) for name in FIXTURES})


def test_every_shared_option_has_its_effect_seen_here_and_every_other_one_in_a_test_that_runs_its_command():
    common = {option.name for option in settable(shared)}
    assert common <= set(EFFECTS)
    tests, unseen = list(sources()), {}
    for name in set(COMMANDS) - {"config", "completion"}:
        own = [option for option in settable(cli.get_command(None, name)) if option.name not in common]
        names = {text for option in own for text in (*option.opts, *option.secondary_opts) if text.startswith("--")}
        running = [test for test in tests if re.search(rf"\b{name}(d?)\b", test)]
        unseen[name] = {text for text in names if not any(re.search(rf"{text}(?![a-z-])", test) for test in running)}
    assert not any(unseen.values()), f"no test uses {unseen}"


def sources():
    """The text of every test of the client, and of every function here that sees an effect."""
    for path in (*Path(__file__).parents[1].rglob("*.py"), Path(connection_options.__file__)):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "see_")):
                yield "\n".join(ast.unparse(part) for part in (*node.decorator_list, node))
