"""The commands that ask a server about its models or change them, in every format, and what the shell completes."""

import http.server
import json
import subprocess
import sys
import threading

import pytest


@pytest.fixture
def listing():
    """Serve an answer to GET /v1/models; gives the address."""
    servers = []

    def start(status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status if self.path == "/v1/models" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


MODELS = {
    "models": [
        {"name": "digits", "model_version_status": [{"version": "2", "state": "END"}]},
        {
            "name": "cats",
            "model_version_status": [
                {"version": "2", "state": "LOADING", "status": {"error_code": "OK", "error_message": ""}},
                {"version": "10", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": "\x1b[2J"}},
            ],
        },
        {"name": "new", "model_version_status": []},
    ]
}


def test_a_server_with_a_list_gives_all_models(genclient, listing):
    rest = listing(200, json.dumps(MODELS).encode())
    done = genclient("models", "--rest", rest)
    assert done.stdout.decode().splitlines() == [
        "digits  2 END",
        "cats    10 AVAILABLE ?[2J",
        "cats    2 LOADING",
        "new     no version",
    ]
    assert (done.returncode, done.stderr) == (1, b"")
    assert genclient("models", "--rest", rest, "--format", "quiet").stdout == b"cats\n"
    data = json.loads(genclient("models", "--rest", rest, "--format", "json").stdout)
    assert [model["model"] for model in data["models"]] == ["digits", "cats", "new"]
    assert data["models"][1]["versions"][0]["version"] == 10


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"{}"), (200, b"{}"), (200, b"\xff"), (200, b'{"models": [{"name": 1}]}'), (200, b"[]")]
)
def test_what_is_no_list_of_models_is_named(fails, listing, status, body):
    rest = listing(status, body)
    code, line = fails("models", "--rest", rest)
    assert (code, line.startswith(f"{rest} gives no list of models: ")) == (1, True)


def test_an_address_that_cannot_be_meant_is_named(fails):
    assert fails("models", "--rest", "ftp://a:1") == (
        2,
        "rest: found 'ftp://a:1', expected HOST:PORT or https://HOST:PORT",
    )


def test_models_are_looked_up_by_name_where_there_is_no_list(genclient, serve):
    served = serve(versions=[(3, "AVAILABLE", ""), (2, "END", "")])
    done = genclient("models", "digits", "cats", "--target", served.target)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout == b"digits  3 AVAILABLE\ndigits  2 END\ncats    no version\n"
    done = genclient("models", "digits", "--target", served.target, "--format", "quiet")
    assert (done.returncode, done.stdout) == (0, b"digits\n")


def test_without_names_and_a_list_the_model_and_its_discriminator_are_looked_up(genclient, serve, tmp_path):
    target = f"unix:{tmp_path}/s"
    serve(port=target)
    done = genclient("models", "--target", target)
    assert (done.returncode, done.stdout) == (0, b"digits  3 AVAILABLE\n")
    assert done.stderr.decode().splitlines() == [
        f"genclient: the REST address of {target} is not known; give it with --rest; "
        f"looking up digits and its discriminator at {target}"
    ]


def test_results_are_also_for_programs(genclient, serve, tools):
    target = serve(versions=[(3, "AVAILABLE", ""), (2, "END", "gone")]).target
    status = json.loads(genclient("status", "--target", target, "--format", "json").stdout)
    versions = [
        {"version": 3, "state": "AVAILABLE", "message": ""},
        {"version": 2, "state": "END", "message": "gone"},
    ]
    assert status == {"model": "digits", "versions": versions}
    assert genclient("status", "--target", target, "--format", "quiet").stdout == b"3\n"
    waited = genclient("wait", "--target", target, "--format", "json")
    assert json.loads(waited.stdout) == {"model": "digits", "version": 3}
    info = json.loads(genclient("info", "--target", target, "--format", "json", "--classes", "a,b").stdout)
    assert (info["model"], info["version"], info["versions"]) == ("digits", 3, versions)
    assert (info["latents"], info["images"], info["conditional"]) == (tools.Z, list(tools.IMAGE_SHAPE), False)
    assert info["signatures"]["png"]["outputs"] == {"png_bytes": {"dtype": "string", "shape": [None]}}
    assert (info["classes"], info["class_count"]) == (["a", "b"], 2)
    assert info["probe"]["milliseconds"] > 0
    assert info["probe"]["received_bytes"] > 72


def test_info_says_how_long_an_image_takes_and_of_a_critic_that_it_makes_none(genclient, serve, tools):
    last = genclient("info", "--target", serve().target).stdout.decode().splitlines()[-1]
    assert last.startswith("probe      ")
    assert " ms for an image of " in last
    scores = {"discriminate": ({"images": (1, [-1, 6, 4, 3])}, {"scores": (1, [-1])})}
    done = genclient("info", "--target", serve(signatures=scores).target)
    assert done.returncode == 0
    assert "probe      no image: model 'digits' is not a generator" in done.stdout.decode()


def test_info_of_a_file_has_a_form_for_programs(genclient, conditional_tflite, tools):
    data = json.loads(genclient("info", "--tflite", conditional_tflite, "--format", "json").stdout)
    assert (data["latents"], data["images"], data["conditional"]) == (tools.Z, list(tools.IMAGE_SHAPE), True)
    assert data["versions"] == []


CONFIG = 'model_config_list { config { name: "cats" base_path: "/m/cats" model_platform: "tensorflow" } }'


def test_reload_sends_the_configuration_and_names_its_models(genclient, serve, tmp_path):
    served = serve()
    (tmp_path / "models.config").write_text(CONFIG)
    done = genclient("reload", "models.config", "--target", served.target)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"cats  /m/cats\n", b"")
    assert [config.model_config_list.config[0].base_path for config in served.model.configs] == ["/m/cats"]
    done = genclient("reload", "-", "--target", served.target, "--format", "json", input=CONFIG.encode())
    data = json.loads(done.stdout)
    assert data["models"] == [{"name": "cats", "base_path": "/m/cats"}]
    assert len(served.model.configs) == 2
    done = genclient("reload", "models.config", "--target", served.target, "--dry-run")
    assert (done.returncode, done.stdout, len(served.model.configs)) == (0, b"cats  /m/cats\n", 2)


@pytest.mark.parametrize("arguments", [("models.config", "--merge"), ("--remove", "cats"), ("--show",)])
def test_a_server_that_takes_whole_configurations_only_is_said_to(fails, serve, tmp_path, arguments):
    (tmp_path / "models.config").write_text(CONFIG)
    target = serve().target
    assert fails("reload", *arguments, "--target", target) == (
        1,
        f"{target} only takes whole configurations, as TensorFlow Serving does: genclient reload FILE",
    )


@pytest.mark.parametrize(
    "arguments", [(), ("models.config", "--show"), ("--merge", "--show"), ("--remove", "a", "--show")]
)
def test_reload_does_one_thing_at_a_time(fails, arguments):
    assert fails("reload", *arguments) == (
        2,
        "expected one of FILE (with --merge or without), --remove NAME and --show",
    )


def test_a_configuration_that_cannot_be_meant_is_not_sent(fails, serve, tmp_path):
    served = serve()
    for text, found in (
        ("model_config_list { config { nmae: 'x' } }", 'bad.config: model config: 1:30 : Message type "genline.wire'),
        ("", "bad.config: found no models, expected model_config_list"),
    ):
        (tmp_path / "bad.config").write_text(text)
        code, line = fails("reload", "bad.config", "--target", served.target)
        assert (code, line.startswith(found)) == (2, True), line
    assert fails("reload", "none.config", "--target", served.target) == (
        1,
        "cannot read none.config: No such file or directory",
    )
    (tmp_path / "bad.config").write_bytes(b"\xff")
    assert fails("reload", "bad.config", "--target", served.target)[0] == 2
    assert not served.model.configs


def test_each_request_is_logged_with_v_and_no_secret_is(genclient, serve):
    done = genclient("sample", "--n", 1, "--target", serve().target, "--token", "geheim", "-v", "--out", "a.npz")
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert [line.split(":")[1].strip() for line in lines] == ["GetModelMetadata", "Predict"]
    assert " B, received " in lines[1]
    assert lines[1].endswith(" ms")
    assert b"geheim" not in done.stderr


def test_options_of_the_connection_reach_the_server(genclient, serve, tmp_path):
    seen = {}

    def answer(request, context):
        seen.update(context.invocation_metadata())
        return served.prediction.generate(request, context)

    served = serve(answer=answer)
    (tmp_path / "token").write_text("abc\n")
    options = ("--token-file", "token", "--header", "x-a: 1", "--header", "x-b=2")
    assert genclient("sample", "--n", 1, "--target", served.target, *options).returncode == 0
    assert (seen["authorization"], seen["x-a"], seen["x-b"]) == ("Bearer abc", "1", "2")


def test_options_that_cannot_be_meant_are_refused(refused, fails):
    for arguments, found in (
        (("--header", "x"), "found 'x', expected NAME=VALUE"),
        (("--token", "a", "--target", "example.org:1"), "token: found example.org:1 without TLS"),
        (("--certificate-file", "a.pem"), "certificate_file and key_file: found one of them"),
        (("--max-message-bytes", "1"), "max_message_bytes: found 1"),
        (("--format", "xml"), "'xml' is not one of"),
    ):
        assert found in refused("status", *arguments)
    assert fails("status", "--token-file", "none") == (1, "--token-file: cannot read none: No such file or directory")


@pytest.mark.parametrize(("shell", "words"), [("bash", "complete "), ("zsh", "#compdef"), ("fish", "complete ")])
def test_completion_is_printed_for_each_shell(genclient, shell, words):
    done = genclient("completion", shell)
    assert (done.returncode, words in done.stdout.decode()) == (0, True)
    assert b"_GENCLIENT_COMPLETE" in done.stdout


def test_commands_options_and_their_values_are_completed(tmp_path):
    program = "from genclient.cli import main; main()"
    for words, expected in (
        ("genclient stat", {"status"}),
        ("genclient status --form", {"--format"}),
        ("genclient status --format j", {"json"}),
        ("genclient completion z", {"zsh"}),
    ):
        variables = {
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
            "_GENCLIENT_COMPLETE": "bash_complete",
        }
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=variables, timeout=60)
        assert {line.partition(",")[2] for line in done.stdout.decode().splitlines()} == expected


def test_bash_takes_the_script(genclient):
    script = genclient("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", script + b"\ncomplete -p genclient"], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"genclient" in done.stdout
