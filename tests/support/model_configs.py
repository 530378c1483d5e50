"""What the tests of several models share: a ModelServerConfig as text and as a message, and how a file is replaced."""

from __future__ import annotations

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2


def entry(name, path, more=""):
    """A model of a config file."""
    return f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {more} }}'


def text(*entries):
    """A config file."""
    return "model_config_list { " + "\n".join(entries) + " }"


def model_list(*entries):
    return text_format.Parse(text(*entries), model_server_config_pb2.ModelServerConfig()).model_config_list


def write(path, content):
    """Replaces a file in one rename, as config management does."""
    path.with_suffix(".new").write_text(content)
    path.with_suffix(".new").rename(path)
