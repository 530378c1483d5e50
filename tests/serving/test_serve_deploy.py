"""The files that run a repository on TensorFlow Serving: they parse, and run.sh says in one line what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

DEPLOY = Path(__file__).parents[2] / "serving" / "deploy"

# BatchingParameters of TF Serving's session_bundle_config.proto, which tensorflow-serving-api leaves out.
BATCHING_FIELDS = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "thread_pool_name": "StringValue",
    "pad_variable_length_inputs": "BoolValue",
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
}


def batching_parameters():
    """An empty message that takes just these fields."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    message.field.add(name="allowed_batch_sizes", number=1, label=field.LABEL_REPEATED, type=field.TYPE_INT64)
    for number, (name, wrapper) in enumerate(BATCHING_FIELDS.items(), start=2):
        message.field.add(
            name=name,
            number=number,
            label=field.LABEL_OPTIONAL,
            type=field.TYPE_MESSAGE,
            type_name=f".google.protobuf.{wrapper}",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("BatchingParameters"))()


def test_models_config_serves_digits_from_the_mounted_repository():
    config = text_format.Parse((DEPLOY / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("digits", "/models/digits", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_parameters_are_what_tensorflow_serving_takes():
    parameters = text_format.Parse((DEPLOY / "batching_parameters.txt").read_text(), batching_parameters())
    assert list(parameters.allowed_batch_sizes) == [1, 4, 16, 64]
    assert parameters.max_batch_size.value == 64


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "models" / "digits" / "12").mkdir(parents=True)
    return tmp_path / "models"


def run(**environment):
    script = str(DEPLOY / "run.sh")
    return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["cat", "half"])
def test_repository_without_a_version_of_the_model(repository, name):
    (repository / "half" / "12-tmp").mkdir(parents=True)
    result = run(PATH=os.environ["PATH"], REPOSITORY=str(repository), NAME=name)
    assert result.returncode == 1
    assert result.stderr == (
        f"run.sh: no version of {name} under {repository}/{name}: "
        f"expected a folder such as {repository}/{name}/1 (REPOSITORY, NAME)\n"
    )


def test_docker_is_missing(repository, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "basename"):
        (tools / tool).symlink_to(shutil.which(tool))
    result = run(PATH=str(tools), REPOSITORY=str(repository))
    assert result.returncode == 1
    assert result.stderr == (
        "run.sh: docker not found: install Docker, or serve without it: "
        f"genserve --model_name digits --model_base_path {repository}/digits\n"
    )


def test_docker_without_a_daemon(repository, tmp_path):
    nowhere = f"unix://{tmp_path}/no.sock"
    result = run(PATH=os.environ["PATH"], REPOSITORY=str(repository), DOCKER_HOST=nowhere)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    # A machine without any Docker fails a step earlier; that step has its own test.
    assert ("daemon does not answer" if shutil.which("docker") else "docker not found") in result.stderr
