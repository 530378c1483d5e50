"""Every option of the connection and of requests, set to something other than its default, with its effect seen."""

from __future__ import annotations

import ast
import http.server
import logging
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
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
        told = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, left.value.code, told.out.encode(), told.err.encode())

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


def credentials(authority, name="localhost", client_verify=False):
    """A server's credentials under a name, with or without asking for the client's."""
    pair = authority.issue_cert(name)
    key, chain = pair.private_key_pem.bytes(), b"".join(pem.bytes() for pem in pair.cert_chain_pems)
    roots = authority.cert_pem.bytes() if client_verify else None
    return grpc.ssl_server_credentials([(key, chain)], roots, client_verify)


def late(request, context):
    """An answer that comes too late."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(30)


def good(done):
    """See that a command succeeded."""
    assert done.returncode == 0, done.stderr.decode()


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
    assert f"busy (asked {attempts[0]} times)" in done.stderr.decode()
    # Pauses are 0.05 to 0.1, 0.1 to 0.2, 0.2 to 0.4 … s, and it is asked a last time when the time is over.
    assert 3 <= attempts[0] <= 7
    attempts[0] = 0
    done, *_ = ask("--retry", 0, answer=refuse)
    assert (done.returncode, attempts[0]) == (78, 1)
    # What is asked first is kept on with as well, if that is said.
    done = genclient("status", "--target", f"127.0.0.1:{closed_port()}", "--retry", 1.5)
    assert b"(tried for " in done.stderr


def see_tls(ask, authority, identity, **_):
    environment = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(identity / "ca.pem")}
    encrypted = {"credentials": credentials(authority), "target": "localhost:{}"}
    done, _, seen = ask("--tls", env=environment, **encrypted)
    good(done)
    assert seen[0][":auth"]["transport_security_type"] == [b"ssl"]
    assert b"certificate not trusted; --ca-file" in ask("--tls", **encrypted)[0].stderr
    done, *_ = ask("--tls", env={"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/no/such/file"}, **encrypted)
    assert b"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: cannot read /no/such/file" in done.stderr


def see_ca_file(ask, authority, identity, **_):
    done, _, seen = ask("--ca-file", identity / "ca.pem", credentials=credentials(authority), target="localhost:{}")
    good(done)
    assert seen[0][":auth"]["transport_security_type"] == [b"ssl"]


def see_server_name(ask, authority, identity, **_):
    options, other = ("--ca-file", identity / "ca.pem"), credentials(authority, "models.example")
    done, *_ = ask(*options, credentials=other, target="localhost:{}")
    assert b"certificate is for another host; --server-name" in done.stderr
    good(ask(*options, "--server-name", "models.example", credentials=other, target="localhost:{}")[0])


def see_certificate(ask, authority, identity, **_):
    options = {"credentials": credentials(authority, client_verify=True), "target": "localhost:{}"}
    trust = ("--ca-file", identity / "ca.pem")
    assert ask(*trust, **options)[0].returncode == 78
    own = ("--certificate-file", identity / "client.pem", "--key-file", identity / "client.key")
    done, _, seen = ask(*trust, *own, **options)
    good(done)
    assert seen[0][":auth"]["x509_subject_alternative_name"] == [b"client.example"]


def see_token(ask, tmp_path, **_):
    (tmp_path / "token").write_text("from-file\n")
    assert ask("--token", "s3cret")[2][0]["authorization"] == "Bearer s3cret"
    done, _, seen = ask("--token-file", "token", "-v")
    assert seen[0]["authorization"] == "Bearer from-file"
    assert b"from-file" not in done.stderr


def see_insecure_token(genclient, **_):
    """A token leaves this machine in clear only where that is asked for; its old name does the same."""
    target = ("--target", f"0.0.0.0:{closed_port()}", "--retry", 0)
    for token in ("--token", "s3cret"), ():
        done = genclient("status", *target, *token, env={"GENCLIENT_TOKEN": "s3cret"})
        assert (done.returncode, b"without TLS" in done.stderr, b"s3cret" in done.stderr) == (2, True, False)
    for name in ("--insecure-token", "--plaintext-token"):
        done = genclient("status", *target, "--token", "s3cret", name)
        assert (done.returncode, b"nothing listens at" in done.stderr) == (78, True)


def see_authority(heard, **_):
    assert b"models.example" in heard("--authority", "models.example")


def see_header(ask, **_):
    assert ask("--header", "x-project: cats")[2][0]["x-project"] == "cats"


def see_compression(heard, **_):
    assert b"grpc-encoding" in heard("--compression", "gzip")
    assert b"grpc-encoding" not in heard()


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
    for option, asked in (("--probe", True), ("--no-probe", False)):
        done, served, _ = ask(option, command=("info",))
        assert (b"probe " in done.stdout, bool(served.prediction.requests)) == (asked, asked)


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


def see_rest(genclient, authority, identity, tmp_path, **_):
    """REST is asked over TLS where gRPC would be, under the same name and with the same trust."""
    authority.issue_cert("models.example", "localhost").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "server.pem")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with http.server.HTTPServer(("127.0.0.1", 0), Models) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rest = ("models", "--rest", f"127.0.0.1:{server.server_port}", "--ca-file", identity / "ca.pem")
        assert genclient(*rest, "--server-name", "models.example").stdout == b"digits  7 AVAILABLE\n"
        assert b"gives no list of models" in genclient(*rest).stderr  # the certificate has another name
        trusted = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(identity / "ca.pem")}
        done = genclient("models", "--rest", f"localhost:{server.server_port}", "--tls", env=trusted)
        assert done.stdout == b"digits  7 AVAILABLE\n", done.stderr
        server.shutdown()


class Models(http.server.BaseHTTPRequestHandler):
    """A list of models, as genserve has it."""

    def do_GET(self):
        content = b'{"models": [{"name": "digits", "model_version_status": [{"version": "7", "state": "AVAILABLE"}]}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Say nothing."""


def test_a_rest_port_is_recognised(genclient):
    with http.server.HTTPServer(("127.0.0.1", 0), Models) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = genclient("status", "--target", f"127.0.0.1:{server.server_port}")
        server.shutdown()
    assert b"speaks HTTP/1: its REST port? gRPC is usually 8500" in done.stderr


EFFECTS = {
    "target": see_target,
    "model": see_model,
    "timeout": see_timeout,
    "retry": see_retry,
    "tls": see_tls,
    "ca_file": see_ca_file,
    "certificate_file": see_certificate,
    "key_file": see_certificate,
    "server_name": see_server_name,
    "token": see_token,
    "token_file": see_token,
    "insecure_token": see_insecure_token,
    "plaintext_token": see_insecure_token,
    "authority": see_authority,
    "header": see_header,
    "compression": see_compression,
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
    "rest": see_rest,
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
    for path in Path(__file__).parent.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "see_")):
                yield "\n".join(ast.unparse(part) for part in (*node.decorator_list, node))
