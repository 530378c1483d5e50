"""What stands between a client and its server: proxies, silent connections, long errors, other versions, processes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import multiprocessing
import pickle
import re
import socket
import threading
from concurrent.futures import ProcessPoolExecutor

import grpc
import numpy as np
import pytest
from genclient import AsyncClient, Client, ClientError, RpcError, UsageError, VersionGoneError
from genclient.rpc.proxy import proxy_for
from genclient.rpc.target import parse_target
from library_servers import critic, expected, near, refusing, rows_of, run_async

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


@pytest.fixture
def proxy(monkeypatch):
    """Start a proxy that refuses all, and have the environment name it; gives its address and what it received."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        seen.append(client.recv(2**16))
                        client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("http_proxy", f"http://user:s3cret@{address}")
        yield address, seen


def test_this_machine_is_never_reached_through_a_proxy(serve, proxy, tmp_path):
    served, socket_path = serve(), f"unix:{tmp_path / 'genserve.sock'}"
    serve(port=socket_path)
    port = served.target.rpartition(":")[2]
    for target in (served.target, f"localhost:{port}", f"ipv4:127.0.0.1:{port}", f"localhost:{port},{served.target}"):
        with Client(target, token="s3cret") as client:
            assert client.info().version == 3
    with Client(socket_path) as client:
        assert client.info().version == 3
    assert run_async(served.target, lambda client: client.info()).version == 3
    assert not proxy[1]


def test_elsewhere_the_proxy_is_used_and_named_without_its_password(proxy):
    address, seen = proxy
    with Client("gpu-box.invalid:8500", retry_seconds=0) as client, pytest.raises(RpcError) as raised:
        client.info()
    assert b"CONNECT gpu-box.invalid:8500 " in seen[0]
    found = str(raised.value)
    assert found.startswith(f"cannot reach gpu-box.invalid:8500 through the proxy {address} (http_proxy): ")
    assert "403" in found
    assert "s3cret" not in found
    with pytest.raises(UsageError, match=rf"^target: found several hosts, which the proxy {address}"):
        Client("10.1.2.3:1,10.1.2.4:1")


@pytest.mark.parametrize(
    ("hosts", "environment", "variable"),
    [
        (["a.example"], {"http_proxy": "http://p:1", "https_proxy": "http://q:2"}, "https_proxy"),
        (["a.example"], {"http_proxy": "http://p:1", "grpc_proxy": "http://q:2"}, "grpc_proxy"),
        (["a.example"], {"HTTP_PROXY": "http://p:1"}, None),
        (["a.example"], {"http_proxy": "socks5://p:1"}, None),
        (["a.example"], {"http_proxy": "http://p:1", "no_proxy": "b.example, .EXAMPLE"}, None),
        (["a.example"], {"http_proxy": "http://p:1", "no_grpc_proxy": "b", "no_proxy": "example"}, "http_proxy"),
        (["A.Example"], {"http_proxy": "http://p:1", "no_proxy": "a.EXAMPLE"}, None),
        (["a.example"], {"http_proxy": "http://p:1", "no_proxy": "b.example, "}, "http_proxy"),
        (["10.0.0.7"], {"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, None),
        (["10.0.0.7", "a.example"], {"http_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http_proxy"),
    ],
)
def test_a_proxy_is_found_where_grpc_finds_it(hosts, environment, variable):
    found = proxy_for(hosts, environment)
    assert (found.variable if found else None) == variable


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("::1:8611", "[::1]:8611"),
        ("::1", "[::1]:8500"),
        ("fe80::1%eth0:8500", "[fe80::1%eth0]:8500"),
        ("ipv6:::1:8500", "ipv6:[::1]:8500"),
        ("ipv4:10.0.0.1", "ipv4:10.0.0.1:8500"),
        ("dns:///a.example", "dns:///a.example:8500"),
        ("gpu-box:", "gpu-box:8500"),
        (":8611", "localhost:8611"),
        ("8611", "localhost:8611"),
        ("http://gpu-box:8500/", "gpu-box:8500"),
        ("https://gpu-box", "gpu-box:8500 and --tls"),
    ],
)
def test_a_target_that_is_nearly_one_is_refused_with_the_right_spelling(text, meant):
    with pytest.raises(
        UsageError, match=rf"^target: found '{re.escape(text)}', .*; did you mean {re.escape(meant)}\?$"
    ):
        Client(text)


@pytest.mark.parametrize("text", ["", "unix:", "ipv6:", "dns:///", "localhost:0", "[localhost]:1", "u@h:1", 8500, None])
def test_a_target_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match=r"^target: found .*, expected HOST:PORT"):
        Client(text)


@pytest.mark.parametrize(
    ("text", "address", "local"),
    [
        ("localhost", "localhost:8500", True),
        ("gpu-box", "gpu-box:8500", False),
        ("[::1]", "[::1]:8500", True),
        ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", True),
        ("dns:///localhost:1", "dns:///localhost:1", True),
        ("dns://10.0.0.53/localhost:1", "dns://10.0.0.53/localhost:1", False),
    ],
)
def test_a_host_alone_is_meant_with_port_8500(text, address, local):
    found = parse_target(text)
    assert (found.address(), found.local) == (address, local)


def test_an_error_text_of_any_length_keeps_its_status_and_is_cut(serve):
    served = serve()
    refusing(served, grpc.StatusCode.INVALID_ARGUMENT, "long " * 20_000, 0)
    with Client(served.target) as client, pytest.raises(RpcError, match=r"INVALID_ARGUMENT: long long") as raised:
        client.sample(1)
    assert len(str(raised.value)) <= 2001
    with pytest.raises(RpcError, match="INVALID_ARGUMENT"):
        run_async(served.target, lambda client: client.sample(1))


@pytest.fixture
def forgetful():
    """Start relays that forget their first connection on demand: nothing passes any more, and nobody is told."""
    stopped, listeners = threading.Event(), []

    def pump(source, sink, forgotten):
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                if not forgotten.is_set():
                    sink.sendall(data)

    def start(served):
        listener, forgotten = socket.create_server(("127.0.0.1", 0)), threading.Event()
        listeners.append(listener)
        port = int(served.target.rpartition(":")[2])

        def accept():
            with contextlib.suppress(OSError):
                for silence in (forgotten, stopped):
                    client = listener.accept()[0]
                    server = socket.create_connection(("127.0.0.1", port))
                    listeners.extend((client, server))
                    for pair in ((client, server), (server, client)):
                        threading.Thread(target=pump, args=(*pair, silence), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}", forgotten

    yield start
    for one in listeners:
        one.close()


def test_a_connection_that_was_forgotten_on_the_way_costs_one_deadline(serve, forgetful):
    target, forgotten = forgetful(serve())
    with Client(target, timeout_seconds=1) as client:
        assert client.sample(1).shape[0] == 1
        forgotten.set()
        with pytest.raises(RpcError, match=r"^no reply within 1 s \(--timeout\)"):
            client.sample(1)
        assert client.sample(1).shape[0] == 1
    target, forgotten = forgetful(serve())

    async def act(client):
        await client.sample(1)
        forgotten.set()
        with pytest.raises(RpcError, match=r"^no reply within 1 s \(--timeout\)"):
            await client.sample(1)
        return await client.sample(1)

    assert run_async(target, act, timeout_seconds=1).shape[0] == 1


def test_what_is_under_way_outlives_a_connection_that_is_given_up(serve):
    served, go = serve(), threading.Event()
    generate = served.prediction.generate

    def answer(request, context):
        if rows_of(request) == 2 or rows_of(request) == 3:  # the slow one; the others wait for nothing
            go.wait(30)
        return generate(request, context)

    with Client(served.target, retry_seconds=0) as client:
        client.info()
        served.prediction.answer = answer
        slow = []
        thread = threading.Thread(target=lambda: slow.append(client.sample(2)))
        thread.start()
        first = client._channel._channel
        object.__setattr__(client.connection, "timeout_seconds", 0.3)
        with pytest.raises(RpcError, match="no reply within"):
            client.sample(3)
        assert client._channel._channel is not first
        del first
        go.set()
        thread.join(30)
        assert slow[0].shape[0] == 2


def test_an_asynchronous_client_in_a_second_event_loop_is_an_error_in_words(serve):
    client = AsyncClient(serve().target)
    assert asyncio.run(client.sample(1)).shape[0] == 1
    for act in (client.sample, client.info, client.wait, client.close):
        with pytest.raises(UsageError, match="belongs to another event loop"):
            asyncio.run(act()) if act != client.info else asyncio.run(client.info("other"))


def test_a_client_that_was_made_before_a_fork_says_so(serve):
    with Client(serve().target) as client:
        receive, send = multiprocessing.Pipe(duplex=False)

        def child():
            try:
                client.sample(1)
            except UsageError as error:
                send.send(str(error))

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        assert receive.poll(30)
        process.join(30)
    assert receive.recv().startswith("this client was made before os.fork")


def test_errors_cross_processes_and_can_be_copied():
    errors = [
        ClientError("broken", exit_code=7),
        UsageError("wrong"),
        RpcError("a:1", grpc.StatusCode.UNAVAILABLE, "Connection refused", "; note", "the proxy p:1 (http_proxy)"),
        VersionGoneError("a:1", grpc.StatusCode.NOT_FOUND, "gone", "; begin again"),
    ]
    for error in errors:
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(again) is type(error)
            assert (str(again), again.__dict__) == (str(error), error.__dict__)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        failure = pool.submit(parse_target, "::1:8611").exception(60)
    assert isinstance(failure, UsageError)
    assert failure.exit_code == 2


def replace_model(served, tools, z, version):
    """Have a server go on with a generator that takes other latents."""
    weights = np.resize(tools.WEIGHTS, (z, tools.WEIGHTS.shape[1]))

    def answer(request, context):
        latents = tools.tf.make_ndarray(request.inputs["latents"])
        if latents.shape[1] != z:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Matrix size-incompatible: In[0]: {list(latents.shape)}")
        return served.prediction.generate_from(tools.np.tanh(latents @ weights), request, context)

    def generate_from(values, request, context):
        response = tools.predict_pb2.PredictResponse()
        images = (np.abs(values)).reshape(-1, *tools.IMAGE_SHAPE).astype(np.float32)
        response.outputs["images"].CopyFrom(tools.as_values(images))
        response.model_spec.version.value = version
        return response

    served.prediction.generate_from = generate_from
    served.prediction.answer, served.prediction.version = answer, version
    served.prediction.signatures = tools.signature_table(z=z)


def test_a_model_that_is_replaced_by_one_with_other_latents_is_read_anew(serve, tools):
    served = serve()
    with Client(served.target) as client:
        for z, version in ((7, 4), (5, 5), (9, 6)):
            client.sample(2)
            replace_model(served, tools, z, version)
            assert client.sample(2).shape == (2, *tools.IMAGE_SHAPE)
            assert len(list(client.iter_sample(3))) == 3
            replace_model(served, tools, z + 1, version + 10)
            assert next(client.stream([1, 2])).version == version + 10

    async def act(client):
        await client.sample(2)
        replace_model(served, tools, 12, 30)
        await client.sample(2)
        replace_model(served, tools, 13, 31)
        return [batch.version async for batch in client.stream([1, 2])]

    assert run_async(served.target, act) == [31]


def test_a_refusal_of_a_model_that_has_not_changed_is_reported_as_it_is(serve):
    served = serve()
    refusing(served, grpc.StatusCode.INVALID_ARGUMENT, "these labels I do not like", 0)
    with Client(served.target) as client, pytest.raises(RpcError, match="these labels I do not like"):
        client.sample(1)
    assert len(served.prediction.requests) == 1


def test_what_an_older_version_takes_is_read_from_that_version(serve, tools, genclient):
    served = serve(signatures=tools.signature_table(z=9))
    find, table = served.prediction._find, tools.signature_table()

    def of_version(request, context):
        find(request, context)
        seen = request.model_spec.version.value
        served.prediction.signatures = table if seen == 1 else tools.signature_table(z=9)
        served.prediction.version = seen or 2

    served.prediction._find = of_version
    with Client(served.target) as client:
        assert client.info(version=1).signatures["serving_default"].z == 5
        assert client.info().signatures["serving_default"].z == 9
        batch = next(client.stream([0, 1], version=1))
    assert batch.version == 1
    assert near(batch.images, expected(tools, [0, 1]))
    walk = ("interpolate", "--seeds", "0,1", "--frames", 2, "--out", "walk.gif")
    done = genclient(*walk, "--target", served.target, "--model-version", 1)
    assert done.returncode == 0, done.stderr


def test_a_response_of_another_version_than_was_requested_is_refused(serve):
    served = serve()
    with Client(served.target) as client:
        with pytest.raises(ClientError, match=r"described version 3, expected 2, as requested$"):
            client.info(version=2)
        served.prediction.version = None
        client.info(version=2)
        served.prediction.version = 4
        with pytest.raises(ClientError, match=r"responded with version 4, expected 2, as requested$"):
            list(client.stream([1], version=2))

    async def act(client):
        return [batch async for batch in client.stream([1], version=2)]

    with pytest.raises(ClientError, match=r"described version 4, expected 2"):
        run_async(served.target, act)


def test_a_version_can_be_requested_by_its_label(serve, tools, genclient):
    served = serve()
    with Client(served.target, version_label="stable", batch_size=2) as client:
        client.sample(4)
    specs = [request.model_spec for request in served.prediction.requests]
    assert [(spec.version_label, spec.version.value) for spec in specs] == [("stable", 0), ("", 3)]
    served.prediction.requests.clear()
    done = genclient("sample", "--target", served.target, "--version-label", "canary", "--n", 1)
    assert done.returncode == 0, done.stderr
    assert served.prediction.requests[0].model_spec.version_label == "canary"
    both = genclient("sample", "--target", served.target, "--version-label", "canary", "--model-version", 1)
    assert (both.returncode, b"--version-label: found it beside --model-version" in both.stderr) == (2, True)
    critics = serve(**critic(tools))
    with Client(critics.target, version_label="stable") as client:
        client.score(np.zeros((1, *tools.IMAGE_SHAPE), np.uint8))
    assert critics.prediction.requests[0].model_spec.version_label == "stable"
