"""TLS and mutual TLS from the SSL config file, and what is wrong with one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme
from genserve.network import tls
from genserve.options.flags import FlagError
from google.protobuf import text_format

X = np.array([[1, 2, 3]], np.float32)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority):
    """The fields of an SSL config for mutual TLS."""
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    return {
        "server_key": certificate.private_key_pem.bytes().decode(),
        "server_cert": "".join(blob.bytes().decode() for blob in certificate.cert_chain_pems),
        "custom_ca": authority.cert_pem.bytes().decode(),
        "client_verify": True,
    }


def ssl_config(path: Path, **fields) -> Path:
    path.write_text(text_format.MessageToString(tls.SSLConfig(**fields)))
    return path


def client(authority, certificate=None):
    """What a client trusts, and shows where it has a certificate."""
    root = authority.cert_pem.bytes()
    if certificate is None:
        return grpc.ssl_channel_credentials(root)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_channel_credentials(root, certificate.private_key_pem.bytes(), chain)


@pytest.fixture(scope="module")
def server(run_genserve, toy_path, authority, pem, tmp_path_factory):
    file = ssl_config(tmp_path_factory.mktemp("tls") / "ssl.config", **pem)
    certificate = authority.issue_cert("client")
    flags = [f"--ssl_config_file={file}"]
    return run_genserve(toy_path, "toy", None, *flags, credentials=client(authority, certificate)).ready()


def test_client_with_a_certificate_of_the_authority_is_answered(server):
    assert list(server.predict(x=X).outputs["y"].float_val) == [2, 4, 6]


@pytest.mark.parametrize("credentials", ["none", "no certificate", "another authority's"])
def test_other_clients_are_not_answered(server, authority, credentials):
    target = f"localhost:{server.port}"
    if credentials == "none":
        channel = grpc.insecure_channel(target)
    else:
        other = trustme.CA().issue_cert("client") if credentials != "no certificate" else None
        channel = grpc.secure_channel(target, client(authority, other))
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as failure:
        call(server.request(x=X).SerializeToString(), timeout=20)
    channel.close()
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


def test_without_client_verify_no_client_certificate_is_asked_for(pem, tmp_path):
    fields = {**pem, "client_verify": False, "custom_ca": ""}
    assert tls.credentials(str(ssl_config(tmp_path / "ssl.config", **fields)))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"server_key": ""}, "server_key: expected the contents of a PEM PRIVATE KEY, found nothing"),
        (
            {"server_cert": "/etc/ssl/server.crt"},
            "server_cert: expected the contents of a PEM CERTIFICATE, found something else (a path?)",
        ),
        ({"custom_ca": ""}, "custom_ca: expected the contents of a PEM CERTIFICATE, found nothing"),
    ],
)
def test_field_that_is_no_pem_is_named(pem, tmp_path, changed, line):
    path = ssl_config(tmp_path / "ssl.config", **{**pem, **changed})
    with pytest.raises(FlagError) as failure:
        tls.credentials(str(path))
    assert str(failure.value) == f"--ssl_config_file: {path}: {line}"


def test_key_and_certificate_that_do_not_belong_together_are_one_line(pem, tmp_path):
    other = trustme.CA().issue_cert("localhost").private_key_pem.bytes().decode()
    path = ssl_config(tmp_path / "ssl.config", **{**pem, "server_key": other})
    with pytest.raises(FlagError) as failure:
        tls.credentials(str(path))
    assert str(failure.value) == (
        f"--ssl_config_file: {path}: server_key and server_cert are of no use together: "
        "expected a certificate and its key"
    )
