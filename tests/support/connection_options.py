"""What each option of the connection does, seen from outside: TLS, tokens, headers, compression, REST."""

from __future__ import annotations

import http.server
import ssl
import threading

import grpc
from library_servers import closed_port


def good(done):
    """See that a command succeeded."""
    assert done.returncode == 0, done.stderr.decode()


def credentials(authority, name="localhost", client_verify=False):
    """A server's credentials under a name, with or without asking for the client's."""
    pair = authority.issue_cert(name)
    key, chain = pair.private_key_pem.bytes(), b"".join(pem.bytes() for pem in pair.cert_chain_pems)
    roots = authority.cert_pem.bytes() if client_verify else None
    return grpc.ssl_server_credentials([(key, chain)], roots, client_verify)


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


EFFECTS = {
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
    "rest": see_rest,
}
