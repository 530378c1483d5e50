"""Connections: several servers, a unix socket, TLS both ways, tokens, headers, compression, and what gRPC is told."""

import contextlib
import json
import re
import socket
import threading
import time

import grpc
import numpy as np
import pytest
import trustme
from genclient import Client, ClientError, RpcError, UsageError
from genclient.rpc.channel import Connection
from genclient.rpc.security import Security
from genclient.rpc.target import parse_target


@pytest.fixture(scope="module")
def authority():
    """A certificate authority of these tests."""
    return trustme.CA()


@pytest.fixture(scope="module")
def credentials(authority):
    """A server's credentials, for the names localhost and models.example, with or without asking for the client's."""
    pair = authority.issue_cert("localhost", "models.example")
    key, chain = pair.private_key_pem.bytes(), b"".join(pem.bytes() for pem in pair.cert_chain_pems)

    def made(client_verify=False):
        roots = authority.cert_pem.bytes() if client_verify else None
        return grpc.ssl_server_credentials([(key, chain)], roots, client_verify)

    return made


@pytest.fixture
def files(authority, tmp_path):
    """PEM files: the authority's certificate, and a client's with its key."""
    client = authority.issue_cert("client.example")
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "client.pem").write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
    (tmp_path / "client.key").write_bytes(client.private_key_pem.bytes())
    return tmp_path


def by_name(served):
    """The address of a server on this machine with the name that its certificate has."""
    return served.target.replace("127.0.0.1", "localhost")


def headers(served):
    """Have a server note the headers of each Predict."""
    seen = []

    def answer(request, context):
        seen.append(dict(context.invocation_metadata()))
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    return seen


@pytest.mark.parametrize("listed", ["{0},{1}", "ipv4:{0},{1}", "localhost:{2},127.0.0.1:{3}"])
def test_several_servers_take_turns(serve, listed):
    servers = [serve(), serve()]
    ports = [served.target.rpartition(":")[2] for served in servers]
    target = listed.format(*(served.target for served in servers), *ports)
    with Client(target, batch_size=1, concurrency=1) as client:
        client.sample(1)
        client.sample(40)
    first, second = (len(served.prediction.requests) for served in servers)
    assert first + second == 41
    assert min(first, second) >= 15


def test_one_of_several_servers_may_die(serve, tools):
    servers = [serve(), serve()]
    with Client(",".join(served.target for served in servers), batch_size=4, concurrency=2) as client:
        stream = client.iter_sample(80)
        images = [next(stream) for _ in range(10)]
        servers[0].stop()
        images += stream
    reference = tools.pixels(tools.render(tools.draw(range(80))))
    assert np.abs(np.stack(images).astype(int) - reference).max() <= 1


def test_all_addresses_of_a_name_take_turns(serve):
    served = serve()
    port = served.target.rpartition(":")[2]
    with Client(f"dns:///localhost:{port}") as client:
        assert client.sample(2).shape[0] == 2
    options = dict(Connection(parse_target("dns:///models.example:8500"), 1).options())
    assert json.loads(options["grpc.service_config"])["loadBalancingConfig"] == [{"round_robin": {}}]


def test_a_unix_socket_will_do(serve, tmp_path):
    target = f"unix:{tmp_path / 'genserve.sock'}"
    serve(port=target)
    with Client(target, token="secret") as client:  # a socket on this machine takes a token
        assert client.sample(2).shape[0] == 2


@pytest.mark.parametrize(
    "target",
    [
        "localhost:99999",
        "a:1,",
        "a:1,b",
        "a:1,unix:/x",
        "unix:/x,unix:/y",
        "dns:///a:1,b:2",
        "a:1,dns:///b:2",
        "dns:///a",
        "a:1 b:2",
        "ftp://a:1",
        "a:1,ipv4:1.2.3.4:5",
    ],
)
def test_a_target_that_makes_no_sense_is_refused(target):
    with pytest.raises(UsageError, match=rf"^target: found {re.escape(repr(target))}, expected HOST:PORT or unix:PATH"):
        Client(target)


@pytest.mark.parametrize("target", ["[::1]:8500", "ipv6:[::1]:8500", "dns:///a.example:8500", "dns://1.1.1.1/a:8500"])
def test_other_ways_to_write_a_target_are_known(target):
    assert parse_target(target).address() == target


def test_a_list_of_both_kinds_of_addresses_is_written_as_one_kind():
    assert parse_target("127.0.0.1:1,[::1]:2").address() == "ipv6:[::ffff:127.0.0.1]:1,[::1]:2"
    assert parse_target("127.0.0.1:1,127.0.0.2:2").address() == "ipv4:127.0.0.1:1,127.0.0.2:2"


def test_a_name_in_a_list_that_is_not_known_is_named():
    with pytest.raises(ClientError, match=r"^target: found 'no.such.host.invalid', which has no address"):
        Client("127.0.0.1:1,no.such.host.invalid:2")


def test_a_ca_file_encrypts(serve, credentials, files):
    served = serve(credentials=credentials())
    with Client(by_name(served), ca_file=str(files / "ca.pem"), token="abc.DEF-123") as client:
        seen = headers(served)
        assert client.sample(2).shape[0] == 2
    assert seen[0]["authorization"] == "Bearer abc.DEF-123"


def test_a_server_that_is_not_trusted_is_refused(serve, credentials, tmp_path):
    target = serve(credentials=credentials()).target
    (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    for options in ({"ca_file": str(tmp_path / "other.pem")}, {"tls": True}):
        with (
            Client(target, server_name="localhost", **options) as client,
            pytest.raises(RpcError, match=r"(?i)certificate|handshake"),
        ):
            client.info()
    with Client(target) as client, pytest.raises(RpcError) as raised:  # not encrypted
        client.info()
    assert raised.value.exit_code == 78


def test_the_name_in_the_certificate_can_be_said(serve, credentials, files):
    served = serve(credentials=credentials())
    for target in (served.target, f"{served.target},{by_name(served)}"):
        with Client(target, ca_file=str(files / "ca.pem"), server_name="models.example") as client:
            assert client.sample(1).shape[0] == 1
    with pytest.raises(UsageError, match=r"^server_name: found none"):
        Client("a:1,b:1", tls=True)


def test_a_server_may_ask_who_the_client_is(serve, credentials, files):
    target = by_name(serve(credentials=credentials(client_verify=True)))
    options = {"ca_file": str(files / "ca.pem")}
    with Client(target, **options) as client, pytest.raises(RpcError):
        client.info()
    options.update(certificate_file=str(files / "client.pem"), key_file=str(files / "client.key"))
    with Client(target, **options) as client:
        assert client.sample(1).shape[0] == 1


def test_certificates_that_are_none_are_named_before_anything_is_sent(files):
    (files / "empty.pem").write_text("no certificate\n")
    empty, good, key = (str(files / name) for name in ("empty.pem", "client.pem", "client.key"))
    for options, message in (
        ({"ca_file": empty}, "ca_file: found "),
        ({"certificate_file": good}, "certificate_file and key_file: found one of them"),
        ({"certificate_file": empty, "key_file": key}, "certificate_file and key_file: found "),
        ({"certificate_file": good, "key_file": good}, "certificate_file and key_file: found "),
    ):
        with pytest.raises(UsageError, match=f"^{message}"):
            Client(**options)
    with pytest.raises(ClientError, match=r"^ca_file: cannot read /no/such/file: No such file"):
        Client(ca_file="/no/such/file")


@pytest.mark.parametrize("target", ["gpu-box:8500", "10.0.0.1:8500", "localhost:1,gpu-box:1", "dns:///gpu-box:8500"])
def test_a_token_is_not_sent_in_clear_over_a_network(target):
    with pytest.raises(UsageError, match=r"^token: found .* without TLS") as raised:
        Client(target, token="s3cret")
    assert "s3cret" not in str(raised.value)
    Security(token="s3cret", insecure_token=True).check(parse_target(target))
    Security(token="s3cret", tls=True, server_name="x").check(parse_target(target))


def test_a_token_is_never_shown():
    for token in ("two words", "line\nbreak", ""):
        with pytest.raises(UsageError, match=r"^token: found") as raised:
            Client(token=token)
        assert not token or token not in str(raised.value)
    client = Client(token="s3cret", headers={"x-key": "s3cret"})
    assert "s3cret" not in f"{client!r} {client.connection!r}"


def test_headers_go_with_every_request(serve):
    served = serve()
    seen = headers(served)
    with Client(served.target, headers={"X-Project": "cats and dogs", "x-empty": ""}) as client:
        client.sample(1)
    assert (seen[0]["x-project"], seen[0]["x-empty"]) == ("cats and dogs", "")


@pytest.mark.parametrize("name", ["", "a b", "grpc-timeout", ":path", "x-bin", "ü", "te", "content-type"])
def test_a_header_that_grpc_cannot_send_is_named(name):
    with pytest.raises(UsageError, match=rf"^headers: found the name {name!r}"):
        Client(headers={name: "x"})
    with pytest.raises(UsageError, match=r"^headers: found a value of x-key"):
        Client(headers={"x-key": "line\nbreak"})


@pytest.fixture
def relay():
    """Start a relay to a server; gives its address, and a list with the sizes of what clients sent through it."""
    with contextlib.ExitStack() as stack:

        def pump(source, sink, sizes):
            with contextlib.suppress(OSError):
                while data := source.recv(2**16):
                    sizes.append(len(data))
                    sink.sendall(data)
            sink.close()

        def start(served):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            sent = []

            def accept():
                client = stack.enter_context(listener.accept()[0])
                server = stack.enter_context(socket.create_connection(("127.0.0.1", int(served.target.split(":")[1]))))
                threading.Thread(target=pump, args=(server, client, []), daemon=True).start()
                pump(client, server, sent)

            threading.Thread(target=accept, daemon=True).start()
            return f"127.0.0.1:{listener.getsockname()[1]}", sent

        yield start


def test_nothing_is_compressed_unless_requested(serve, relay):
    latents = np.zeros((1000, 5), np.float32)
    sent = {}
    for compression in (None, "gzip", "deflate"):
        target, sizes = relay(serve())
        with Client(target, compression=compression, batch_size=1000) as client:
            client.sample(latents=latents)
        sent[compression] = sum(sizes)
    assert sent[None] > latents.nbytes
    assert sent["gzip"] < latents.nbytes / 5
    assert sent["deflate"] < latents.nbytes / 5


def test_a_server_that_compresses_all_the_same_is_understood(serve):
    served = serve()

    def answer(request, context):
        context.set_compression(grpc.Compression.Gzip)
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target) as client:
        assert client.sample(64).shape[0] == 64


def test_grpc_is_set_to_keep_connections_alive_and_to_leave_retries_to_the_library():
    options = dict(Connection(parse_target("localhost:8500"), 10).options())
    assert options["grpc.keepalive_time_ms"] > 300_000  # servers hang up on those who ping more often
    assert options["grpc.enable_retries"] == 0


def test_the_first_call_is_retried_for_a_moment(serve):
    served = serve()
    refusals = []
    find = served.prediction._find

    def refuse(request, context):
        if len(refusals) < 3:
            refusals.append(time.monotonic())
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        find(request, context)

    served.prediction._find = refuse
    with Client(served.target) as client:
        assert client.info().version == 3
    assert len(refusals) == 3


def test_one_connection_is_used_again(serve):
    served = serve()
    peers = set()

    def answer(request, context):
        peers.add(context.peer())
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, batch_size=1) as client:
        client.sample(10)
        client.sample(10)
    assert len(peers) == 1
