"""The files that run a repository on TensorFlow Serving: they parse, and name only what is there."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from model_server_flags import TENSORFLOW_MODEL_SERVER
from tensorflow_serving.config import model_server_config_pb2

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "serving" / "deploy"

# The messages that tensorflow-serving-api leaves out: fields by message, in the order of their numbers.
MESSAGES = {
    # session_bundle_config.proto
    "BatchingParameters": {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": "repeated int64",
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": "BoolValue",
        "max_execution_batch_size": "Int64Value",
    },
    # monitoring_config.proto
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    # ssl_config.proto
    "SSLConfig": {"server_key": "string", "server_cert": "string", "custom_ca": "string", "client_verify": "bool"},
}

FLAGS = {*TENSORFLOW_MODEL_SERVER, "version"}


def message(name):
    """An empty message of TensorFlow Serving's that takes just the fields above."""
    kind = descriptor_pb2.FieldDescriptorProto
    scalars = {"bool": kind.TYPE_BOOL, "string": kind.TYPE_STRING, "int64": kind.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", syntax="proto3", package="serving")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for title, fields in MESSAGES.items():
        proto = file.message_type.add(name=title)
        for number, (field, type_name) in enumerate(fields.items(), start=1):
            *repeated, type_name = type_name.split()
            entry = proto.field.add(name=field, number=number)
            entry.label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            if type_name in scalars:
                entry.type = scalars[type_name]
            else:
                entry.type = kind.TYPE_MESSAGE
                entry.type_name = f".{'serving' if type_name in MESSAGES else 'google.protobuf'}.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"serving.{name}"))()


def parsed(path, name):
    """A text proto, parsed as the message of that name."""
    empty = model_server_config_pb2.ModelServerConfig() if name == "ModelServerConfig" else message(name)
    return text_format.Parse((DEPLOY / path).read_text(), empty)


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def compose():
    """compose.yaml with the defaults of its variables, as Docker Compose fills them in."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (DEPLOY / "compose.yaml").read_text())
    return yaml.safe_load(text)


def test_models_config_serves_digits_from_the_mounted_repository():
    (model,) = parsed("models.config", "ModelServerConfig").model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("digits", "/models/digits", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_canary_config_labels_only_versions_that_it_serves():
    (model,) = parsed("models.canary.config", "ModelServerConfig").model_config_list.config
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)


@pytest.mark.parametrize("file", ["compose.yaml", "k8s/base/deployment.yaml"])
def test_server_that_starts_with_labels_in_its_config_takes_them(file):
    """At a start TensorFlow Serving looks at labels before it loads versions (tensorflow/serving issue 1608)."""
    text = (DEPLOY / file).read_text()
    assert text.count("- --model_config_file=") == text.count("- --allow_version_labels_for_unavailable_models") > 0


def test_batching_sizes_for_a_gpu_are_those_that_are_warmed_up():
    parameters = parsed("batching_parameters.txt", "BatchingParameters")
    written = [path.read_text() for path in (ROOT / "export" / "genexport").rglob("*.py")]
    (warmed,) = {match[1] for text in written for match in re.finditer(r"^BATCH_SIZES = \(([\d, ]+)\)", text, re.M)}
    assert list(parameters.allowed_batch_sizes) == [int(size) for size in warmed.split(",")]
    assert parameters.max_batch_size.value == parameters.allowed_batch_sizes[-1]


def test_batching_for_a_cpu_pads_nothing_and_waits_for_nothing():
    parameters = parsed("batching_parameters.cpu.txt", "BatchingParameters")
    assert not parameters.allowed_batch_sizes
    assert (parameters.max_batch_size.value, parameters.batch_timeout_micros.value) == (64, 0)


def test_metrics_are_enabled_where_prometheus_looks():
    config = parsed("monitoring.config", "MonitoringConfig").prometheus_config
    scrape = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert config.enable
    assert config.path == scrape["metrics_path"]


def test_ssl_example_asks_for_client_certificates():
    config = parsed("ssl.config.example", "SSLConfig")
    assert config.client_verify
    assert config.server_key.startswith("-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize("mutual", [False, True])
def test_ssl_config_holds_the_pem_files(tmp_path, mutual):
    names = {"server_key": "PRIVATE KEY", "server_cert": "CERTIFICATE", "custom_ca": "CERTIFICATE"}
    texts = {field: f"-----BEGIN {kind}-----\n{field}/+=\n-----END {kind}-----\n" for field, kind in names.items()}
    for field, text in texts.items():
        (tmp_path / field).write_text(text)
    files = [tmp_path / field for field in texts][: 3 if mutual else 2]
    done = subprocess.run([DEPLOY / "ssl-config.sh", *files], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    config = text_format.Parse(done.stdout, message("SSLConfig"))
    assert (config.server_key, config.server_cert) == (texts["server_key"], texts["server_cert"])
    assert (config.custom_ca, config.client_verify) == ((texts["custom_ca"], True) if mutual else ("", False))


def test_ssl_config_refuses_a_key_in_a_certificate_s_place(tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    done = subprocess.run([DEPLOY / "ssl-config.sh", key, key], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"ssl-config.sh: {key}: no CERTIFICATE found, expected a PEM file with one\n"


def arguments():
    """Every argument that some file here gives to tensorflow_model_server: (file, argument)."""
    found = [
        ("compose.yaml", argument) for name in ("gpu", "cpu") for argument in compose()["services"][name]["command"]
    ]
    script = (DEPLOY / "run.sh").read_text()
    found += [
        ("run.sh", argument) for argument in re.findall(r"--[a-z_]+(?:=\S+)?", script[script.index('"$IMAGE" \\') :])
    ]
    for path in sorted((DEPLOY / "k8s").rglob("*.yaml")):
        text = re.sub(r"(?m)(^|\s)#.*$", "", path.read_text())
        found += [(path.name, argument) for argument in re.findall(r"--[a-z_]+(?:=[^\s}]+)?", text)]
    return found


def test_every_flag_is_one_of_tensorflow_model_server():
    assert len(arguments()) > 40
    unknown = [(file, flag) for file, flag in arguments() if flag.split("=")[0].removeprefix("--") not in FLAGS]
    assert not unknown


CONTENT, REST = "enable_serialization_as_tensor_content", "rest_api_port"
RUNTIME = ["--port=9000", "--rest_api_port=8080"]  # KServe's own, in front of an InferenceService's args


def commands():
    """Every command line of a model server that some file gives: (file, its arguments)."""

    def lists(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from lists(item)
        elif isinstance(value, list):
            yield [str(item) for item in value]
            for item in value:
                yield from lists(item)

    for path in sorted(DEPLOY.rglob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text()):
            for words in lists(document):
                if any(word.startswith("--") for word in words):
                    yield path.name, [*(RUNTIME if path.parent.name == "kserve" else []), *words]
    texts = [ROOT / "Makefile", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").rglob("*.*")]
    texts += [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix not in (".yaml", ".yml")]
    for path in texts:
        for line in path.read_text(errors="replace").replace("\\\n", " ").splitlines():
            yield path.name, re.findall(r"--\w+(?:=[^\s`\",]+)?", line)


def value(arguments, flag):
    """What a flag is set to in the end, or None."""
    found = None
    for argument in arguments:
        name, _, text = argument.removeprefix("--").partition("=")
        found = text if name == flag else found
    return found


def test_no_deployment_answers_in_tensor_content_while_rest_is_open():
    """In TensorFlow Serving 2.19 and 2.20 REST would read fields that are empty then."""
    found = list(commands())
    assert {"compose.yaml", "deployment.yaml", "inferenceservice.yaml"} <= {file for file, _ in found}
    both = [
        (file, words)
        for file, words in found
        if value(words, CONTENT) in ("", "true", "1") and value(words, REST) not in (None, "0")
    ]
    assert not both


@pytest.mark.parametrize("page", ["docs/fleet.md", "serving/deploy/README.md"])
def test_every_flag_in_the_documentation_is_one_of_tensorflow_model_server(page):
    named = set(re.findall(r"--([a-z]+(?:_[a-z]+)+)", (ROOT / page).read_text()))
    assert named <= FLAGS


def test_every_config_file_that_a_flag_names_is_there():
    for service in ("gpu", "cpu"):
        for argument in compose()["services"][service]["command"]:
            if "=/config/" in argument:
                assert (DEPLOY / argument.split("=/config/")[1]).is_file(), argument


def test_compose_file_is_valid():
    compose_spec = pytest.importorskip("compose_spec", reason="pip install '.[dev]' has compose-spec")
    compose_spec.PyCompose.from_json(json.dumps(compose())).validate()


@pytest.mark.parametrize("profile", ["gpu", "cpu", "monitoring"])
def test_docker_compose_takes_the_file(profile):
    plugin = ["docker", "compose"] if shutil.which("docker") else []
    if not plugin or subprocess.run([*plugin, "version"], capture_output=True, timeout=60).returncode:
        plugin = [shutil.which("docker-compose") or pytest.skip("neither docker compose nor docker-compose is there")]
    command = [*plugin, "--file", str(DEPLOY / "compose.yaml"), "--profile", profile, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", ["gpu", "cpu"])
def test_compose_serves_read_only_and_for_this_machine_alone(service):
    entry = compose()["services"][service]
    assert all(port.startswith("127.0.0.1:") for port in entry["ports"])
    folders = [volume for volume in entry["volumes"] if volume["type"] == "bind"]
    assert [volume["target"] for volume in folders] == ["/models", "/config"]
    assert all(volume["read_only"] and not volume["bind"]["create_host_path"] for volume in folders)
    assert entry["init"]  # process 1 ignores SIGTERM
    assert entry["restart"] == "unless-stopped"
    assert entry["image"] == "tensorflow/serving:2.19.1" + ("-gpu" if service == "gpu" else "")


def test_kernels_that_a_gpu_has_compiled_stay_in_a_volume_and_the_first_start_may_take_long():
    entry = compose()["services"]["gpu"]
    (kernels,) = [volume for volume in entry["volumes"] if volume["type"] == "volume"]
    assert kernels["source"] in compose()["volumes"]
    assert entry["environment"]["CUDA_CACHE_PATH"].startswith(kernels["target"])
    assert entry["healthcheck"]["start_period"] == "45m"
    assert entry["healthcheck"]["test"] == compose()["services"]["cpu"]["healthcheck"]["test"]
    script = (DEPLOY / "run.sh").read_text()
    assert "--volume genline-kernels:/cache --env CUDA_CACHE_PATH=/cache/" in script


@pytest.mark.parametrize(("state", "status"), [("AVAILABLE", 0), ("LOADING", 1), (None, 1)])
def test_health_check_of_compose_waits_for_an_available_version(state, status):
    """The command itself, in bash, against an HTTP server on another port."""
    if not shutil.which("bash"):
        pytest.skip("bash is not there; the image has it")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/v1/models/digits"
            self.send_response(200 if state else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"model_version_status": [{"version": "1", "state": state}]}).encode())

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    check = compose()["services"]["gpu"]["healthcheck"]["test"]
    assert check[0] == "CMD"
    command = [word.replace("127.0.0.1/8501", f"127.0.0.1/{server.server_port}") for word in check[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    server.shutdown()
    assert done.returncode == status, done.stderr


def test_health_check_of_compose_fails_where_nobody_listens():
    command = compose()["services"]["gpu"]["healthcheck"]["test"][1:]
    command = [word.replace("127.0.0.1/8501", f"127.0.0.1/{free_port()}") for word in command]
    assert subprocess.run(command, capture_output=True, timeout=30).returncode != 0
