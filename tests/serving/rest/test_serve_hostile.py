"""Clients of REST that mean no good: silent, slow, deaf, many, or with bodies that unpack to more than they look."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import re
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from genserve.errors import ServeError
from genserve.network.port import bound
from genserve.options.flags import Flags

PREDICT = "/v1/models/toy:predict"
GOOD = b'{"instances": [[1, 2, 3]]}'
MIB = 2**20
POST = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
# Small limits, so that the tests need not wait nor send much; the time ones in milliseconds.
LIMITS = {
    "rest_api_num_threads": 2,
    "rest_api_max_connections": 20,
    "rest_api_header_timeout_in_ms": 700,
    "rest_api_idle_timeout_in_ms": 1200,
    "rest_api_stall_timeout_in_ms": 1500,
    "rest_api_max_body_bytes": 8 * MIB,
    "rest_api_max_bytes_in_flight": 2 * MIB,
    "rest_api_max_json_values": 500_000,
}
PATIENCE = 15.0


@pytest.fixture(scope="module")
def strict(run_genserve, toy_path, new_rest, until):
    """A server of `toy` with small limits."""
    rest = new_rest()
    flags = [f"--{name}={value}" for name, value in LIMITS.items()]
    server = run_genserve(toy_path, "toy", None, f"--rest_api_port={rest.port}", *flags).ready()
    until(rest.listens)
    server.rest = rest
    return server


def good(rest):
    """A sound request is answered, on a new connection."""
    return rest.post(PREDICT, GOOD).status == 200


def sent(rest, data=b""):
    """A connection on which so much was sent."""
    client = rest.connect()
    client.settimeout(PATIENCE)
    client.sendall(data)
    return client


def rest_of(client):
    """Everything that the server sends until it closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(MIB):
            parts.append(part)
    return b"".join(parts)


def memory(server, what="VmRSS"):
    """Resident bytes of the server."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) * 1024


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", b""),
        (b"POST /v1/models/toy:pre", b"HTTP/1.1 408 "),
        (b"POST /v1 HTTP/1.1\r\nHost: x\r\nX-Half: ", b"HTTP/1.1 408 "),
        ((POST % 100).encode() + b"{", b"HTTP/1.1 408 "),
        (b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 "),
        (b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n\r\nGET /v1", b"HTTP/1.1 200 "),
    ],
    ids=["silent", "half a line", "half a header", "half a body", "idle", "half a second request"],
)
def test_connection_whose_client_sends_no_more_is_closed(strict, data, answer):
    with sent(strict.rest, data) as client:
        found = rest_of(client)
    assert found.startswith(answer)
    assert bool(found) == bool(answer)
    assert good(strict.rest)


def test_client_that_sends_a_byte_now_and_then_gains_no_time(strict):
    for start in (b"GET /v1/models/toy HTTP/1.1\r\nX-Slow: ", (POST % 10**6).encode()):
        with sent(strict.rest, start) as client:
            client.settimeout(0.05)
            deadline, found = time.monotonic() + PATIENCE, b""
            while time.monotonic() < deadline:
                try:
                    client.sendall(b"x")
                    found = client.recv(1000)
                    break
                except TimeoutError:
                    continue
            assert found.startswith(b"HTTP/1.1 408 ")


def test_body_that_goes_on_coming_is_waited_for(strict, until):
    body = b'{"instances": [[1, 2, 3]]' + b" " * 300_000 + b"}"
    with sent(strict.rest, (POST % len(body)).encode()) as client:
        began = time.monotonic()
        for start in range(0, len(body), 100_000):
            client.sendall(body[start : start + 100_000])
            threading.Event().wait(0.7)
        assert time.monotonic() - began > LIMITS["rest_api_stall_timeout_in_ms"] / 1000
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_where_there_are_too_many_connections_those_that_have_waited_longest_go(strict):
    kept = http.client.HTTPConnection("127.0.0.1", strict.rest.port, timeout=PATIENCE)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(sent(strict.rest, b"GET /v1"))
        for index in range(3 * LIMITS["rest_api_max_connections"]):
            data = [b"", b"POST /v1", (POST % 100).encode()][index % 3]
            stack.enter_context(sent(strict.rest, data))
            if index % 10 == 0:  # one that asks again and again is not among them
                kept.request("POST", PREDICT, GOOD)
                assert kept.getresponse().read().startswith(b"{")
                assert good(strict.rest)
        assert rest_of(first) == b""
    kept.close()
    assert good(strict.rest)
    assert strict.log.read_text().count("WARNING REST: no more connections may be open") == 1


def test_server_without_file_descriptors_serves_on_and_says_so_once(strict):
    process, rest = strict.process.pid, strict.rest
    limits = resource.prlimit(process, resource.RLIMIT_NOFILE)
    count = len(list(Path(f"/proc/{process}/fd").iterdir()))
    resource.prlimit(process, resource.RLIMIT_NOFILE, (count + 6, limits[1]))
    try:
        with contextlib.ExitStack() as stack:
            for index in range(60):
                stack.enter_context(sent(rest, [b"", b"POST /v1"][index % 2]))
            assert good(rest)
            assert list(strict.predict(x=[[1.0, 2, 3]]).outputs["y"].float_val) == [2, 4, 6]
    finally:
        resource.prlimit(process, resource.RLIMIT_NOFILE, limits)
    assert good(rest)
    assert len(strict.log.read_text().splitlines()) < 10


def test_malformed_and_upgrade_requests_are_answered_and_not_logged(strict):
    before = strict.log.read_text()
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
    head = b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n"
    for data, status in [
        (head + upgrade + b"\r\n", 200),
        (head + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", 200),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /v1/models/toy HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 400),
    ]:
        with sent(strict.rest) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            assert client.recv(1000).startswith(b"HTTP/1.1 %d " % status), data[:40]
    assert strict.log.read_text() == before


def test_body_of_very_many_small_chunks_is_refused_soon(strict):
    head = b"POST /v1/models/toy:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with sent(strict.rest, head) as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                client.sendall(b"1\r\n \r\n" * 100_000)
        with contextlib.suppress(ConnectionError):
            assert client.recv(100)[:13] in (b"HTTP/1.1 400 ", b"")
    assert good(strict.rest)
    words = b"".join(b"%x\r\n%b\r\n" % (len(word), word) for word in re.findall(rb".{1,3}", GOOD))
    with sent(strict.rest, head + words + b"0\r\n\r\n") as client:
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bytes(100 * MIB), 413),
        (bytes(9 * MIB) + bytes(range(256)) * 4, 413),
        (b'{"instances": [' + b"[]," * 2_000_000 + b"[]]}", 413),
        (b'{"instances": [' + b'{"x":1},' * 100_000 + b"{}]}", 413),
        (b'{"instances": [' + b"1," * 600_000 + b"1]}", 413),
        (b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    ],
    ids=["zeros", "more zeros", "empty lists", "objects", "numbers", "nested"],
)
def test_gzip_bomb_is_refused_and_disturbs_nobody(strict, body, status):
    packed = gzip.compress(body, 9)
    rest, peak = strict.rest, memory(strict)
    with ThreadPoolExecutor(4) as pool:
        bombs = [pool.submit(rest.ask, "POST", PREDICT, packed, {"Content-Encoding": "gzip"}) for _ in range(8)]
        assert good(rest)
        assert {bomb.result(60).status for bomb in bombs} <= {status, 503}
    assert memory(strict, "VmHWM") - peak < 200 * MIB


def test_long_requests_take_no_thread_from_short_ones(strict):
    long = b'{"signature_name": "busy", "inputs": {"seconds": [0.7]}}' + b" " * 300_000
    with ThreadPoolExecutor(3) as pool:
        requests = [pool.submit(strict.rest.post, PREDICT, long) for _ in range(3)]
        concurrent.futures.wait(requests, return_when=concurrent.futures.FIRST_COMPLETED)
        assert good(strict.rest)
        assert sum(request.done() for request in requests) == 1  # they take turns
        assert all(request.result().status == 200 for request in requests)


def test_gzip_that_is_cut_short_or_of_nothing_is_no_request(strict):
    for packed in (gzip.compress(GOOD)[:-9], b"", gzip.compress(GOOD)[:5]):
        assert strict.rest.ask("POST", PREDICT, packed, {"Content-Encoding": "gzip"}).status == 400


def test_answers_that_nobody_reads_count_until_they_have_left(strict, until):
    rest = strict.rest
    body = json.dumps({"inputs": [[0.123, 2, 3]] * 60_000}).encode()  # more than a megabyte, like the answer
    with unread(rest, body):
        assert rest.post(PREDICT, body).status == 503
        assert good(rest)
    until(lambda: rest.post(PREDICT, body).status == 200)


def test_client_that_stops_reading_is_disconnected(strict, until):
    body = json.dumps({"inputs": [[0.123, 2, 3]] * 60_000}).encode()
    with unread(strict.rest, body) as client:
        until(lambda: strict.rest.post(PREDICT, body).status == 200)  # its bytes count no more
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        assert len(rest_of(client)) < len(body)


@contextlib.contextmanager
def unread(rest, body):
    """A connection on which an answer has begun to come, of which nothing is read."""
    with rest.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall((POST % len(body)).encode() + body)
        assert client.recv(12) == b"HTTP/1.1 200"
        yield client


def test_last_value_that_is_wrong_is_found_among_all_others(strict):
    wrong = "Failed to process element: %d of 'instances' list. Error: INVALID_ARGUMENT: %s"
    for instances, index, error in [
        ([0.5] * 400_000 + ["x"], 400_000, 'JSON Value: "x" Type: String is not of expected type: float'),
        ([[1, 2]] * 50_000 + [[1]], 50_000, "Expecting tensor size: 2 but got: 1"),
        ([1, "x", 2, "y"], 1, 'JSON Value: "x" Type: String is not of expected type: float'),
        (["x", 1], 0, 'JSON Value: "x" Type: String is not of expected type: float'),
    ]:
        reply = strict.rest.post(PREDICT, {"instances": instances})
        assert reply.body == {"error": wrong % (index, error)}


def test_document_of_very_many_keys_is_read(strict):
    document = {f"key {number}": number for number in range(50_000)} | {"instances": [[1, 2, 3]]}
    assert strict.rest.post(PREDICT, document).status == 200


def test_version_of_thousands_of_digits_is_none(strict):
    for digits in ("9" * 5000, "1" + "0" * 19):
        reply = strict.rest.get(f"/v1/models/toy/versions/{digits}")
        assert reply.body == {"error": f"Failed to convert version: {digits} to numeric."}
    assert strict.rest.get(f"/v1/models/toy/versions/{'0' * 5000}3").status == 200


def test_server_is_as_before_once_a_mixed_attack_is_over(strict, until):
    rest, before = strict.rest, memory(strict)
    files = Path(f"/proc/{strict.process.pid}/fd")
    until(lambda: good(rest))
    packed = [gzip.compress(body) for body in (bytes(100 * MIB), b'{"instances": [' + b"[]," * 3_000_000 + b"[]]}")]
    wrong = b'{"instances": [' + b"0.5," * 300_000 + b'"x"]}'
    with ThreadPoolExecutor(6) as pool, contextlib.ExitStack() as stack:
        asked = [
            *(pool.submit(rest.ask, "POST", PREDICT, body, {"Content-Encoding": "gzip"}) for body in 3 * packed),
            *(pool.submit(rest.post, PREDICT, wrong) for _ in range(3)),
        ]
        for index in range(40):
            data = [b"", b"POST /v1", (POST % 100).encode(), b"GET /v1/models/toy HTTP/1.1\r\nHost: x\r\n\r\n"]
            stack.enter_context(sent(rest, data[index % 4]))
            if index % 10 == 0:
                assert good(rest)
        concurrent.futures.wait(asked, 60)
        assert {each.result().status for each in asked if each.exception() is None} <= {400, 413, 503}
    until(lambda: len(list(files.iterdir())) < 60 + LIMITS["rest_api_max_connections"] and good(rest))
    assert memory(strict) - before < 200 * MIB


@pytest.mark.parametrize("flag", ["::1", "[::1]", "localhost", "127.0.0.2"])
def test_address_of_the_flag_is_the_only_one_that_is_listened_on(flag, new_rest):
    port = new_rest().port
    flags = Flags(model_base_path="models", bind_address=flag)
    reached = {"localhost": "127.0.0.1"}.get(flag, flag.strip("[]"))
    with contextlib.ExitStack() as stack:
        for each in bound(flags.host, port):
            stack.enter_context(each).listen()
        socket.create_connection((reached, port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.3", port), 5)


def test_both_ports_are_reached_by_ipv6_and_ipv4_or_where_the_flag_says(genserve, strict, toy_path, new_rest, until):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    for host in ("127.0.0.1", "::1"):
        for port in (strict.port, strict.rest.port):
            socket.create_connection((host, port), 5).close()
    rest = new_rest()
    server = genserve(toy_path, "toy", None, f"--rest_api_port={rest.port}", "--bind_address=[::1]")
    until(lambda: f"on [::1]:{server.port} and [::1]:{rest.port} (REST)" in server.log.read_text(), 60)
    for port in (server.port, rest.port):
        socket.create_connection(("::1", port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_bind_address_that_this_machine_does_not_have_is_said_to(new_rest):
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(ServeError, match=f"cannot listen on {host}:1: "):
            bound(host, 1)
