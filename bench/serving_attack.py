"""Serving under attack: how long good clients wait before, during and after a minute of hostile ones, and what memory
that takes. Prints Markdown.

The attackers are one process with a thread for each kind of hostility; each goes on as fast as it may, with a pause
between two attacks. Real attackers bring cores of their own; these share the server's, so they have the lowest priority
and what they send is made before they begin. test_serve_hostile.py in tests/serving/rest and in tests/serving/rpcs have
the same kinds one by one.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from common import BIN, ENVIRONMENT, HERE, Cells, number, paragraph, table, tell
from serving_load import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, Grpc, frame
from serving_servers import PREDICT, free_port, latents, predict_request, repository, stop
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import classification_pb2, predict_pb2

PATH = "/v1/models/digits:predict"
PAUSE = 0.2  # seconds between two attacks of a kind
QUIET_SECONDS = 10.0  # before, and after
ROWS = 16
TIMEOUT = 10.0
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class Attacks:
    """What hostile clients do, again and again; each method is a kind."""

    def __init__(self, rest: int, rpc: int) -> None:
        """The server's ports; makes what takes a while to make."""
        self.zeros = gzip.compress(bytes(250_000_000), 1)
        self.lists = gzip.compress(b'{"instances": [' + b"[]," * 52_000_000 + b"[]]}", 1)
        self.numbers = b'{"instances": [' + b"0.5," * 1_250_000 + b'"x"]}'
        self.images = json.dumps({"instances": latents(500).tolist()}).encode()
        self.tensors = [shaped(sizes) for sizes in (100_000 * [2**40], [10**6, 10**6], [2**24])]
        self.filters, self.examples = many_filters(), many_examples()
        self.rest, self.rpc = rest, rpc
        self.held: list[socket.socket] = []  # connections that are kept open

    def bombs(self) -> None:
        """Gzip: 250 MB of zeros, and a list of 52 million empty lists."""
        for body in (self.zeros, self.lists):
            self.post(body, {"Content-Encoding": "gzip"})

    def wrong_at_the_end(self) -> None:
        """5 MB of numbers, the last of which is a string."""
        self.post(self.numbers)

    def unread(self) -> None:
        """Requests for 500 images, whose answers nobody reads."""
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PATH.encode(), len(self.images))
        self.hold(self.rest).sendall(head + self.images)

    def silent(self) -> None:
        """Fifty connections to each port that send nothing, half a header or half a body."""
        for start in 25 * [
            b"",
            b"POST /v1/models/digits:pre",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        ]:
            self.hold(self.rest).sendall(start)
            self.hold(self.rpc).sendall(b"PRI * HTTP"[: len(start)])

    def chunks(self) -> None:
        """A body in chunks of a byte."""
        client = self.hold(self.rest)
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000)

    def nonsense(self) -> None:
        """What is no HTTP, a TLS handshake, an upgrade."""
        upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"no HTTP\r\n\r\n", upgrade):
            self.hold(self.rest).sendall(data)
            self.hold(self.rpc).sendall(data)

    def shapes(self) -> None:
        """Tensors of 100,000 dimensions, and of a million times a million values of which one is sent."""
        for request in self.tensors:
            self.call(PREDICT, request)

    def names(self) -> None:
        """Names of a megabyte, each another one, and a context before very many Examples."""
        name = predict_pb2.PredictRequest()
        name.model_spec.name = f"{time.monotonic_ns()}" * 50_000
        self.call(PREDICT, name.SerializeToString() + self.filters)
        self.call("/tensorflow.serving.PredictionService/Classify", self.examples)

    def streams(self) -> None:
        """A connection with 200 RPCs whose messages never come, and one with two whose answers nobody reads.

        Two of 32 images are more than a connection takes unread; more would be honest work, which needs a quota.
        """
        probe = Grpc(self.rpc, PREDICT, b"")
        probe.socket.close()
        message = b"\0" + len(body := predict_request("digits", latents(32))).to_bytes(4, "big") + body
        for sent in (b"", message):
            client = self.hold(self.rpc)
            client.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
            for stream in range(1, 400 if not sent else 4, 2):
                client.sendall(frame(HEADERS, END_HEADERS, stream, probe.headers))
                if sent:
                    client.sendall(frame(DATA, END_STREAM, stream, sent))

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        """A POST, whose answer is waited for."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", PATH, body, headers or {})
            connection.getresponse().read()

    def call(self, path: str, data: bytes) -> None:
        """An RPC."""
        with grpc.insecure_channel(f"127.0.0.1:{self.rpc}", options=OPTIONS) as channel:
            call: Any = channel.unary_unary(path)
            call(data, timeout=TIMEOUT)

    def hold(self, port: int) -> socket.socket:
        """A connection that stays open; of very many the oldest goes."""
        self.held.append(socket.create_connection(("127.0.0.1", port), TIMEOUT))
        if len(self.held) > 4000:
            self.held.pop(0).close()
        return self.held[-1]


def shaped(sizes: list[int]) -> bytes:
    """A request with a tensor of this shape and of one value."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "digits"
    tensor = tensor_pb2.TensorProto(dtype=1, float_val=[1])
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    request.inputs["latents"].CopyFrom(tensor)
    return request.SerializeToString()


def many_filters() -> bytes:
    """The part of a request that names very many outputs."""
    return predict_pb2.PredictRequest(output_filter=["y"] * 100_000).SerializeToString()


def many_examples() -> bytes:
    """A request of a context of a megabyte and very many Examples."""
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "digits"
    listed = request.input.example_list_with_context
    listed.context.features.feature["x"].bytes_list.value.append(bytes(10**6))
    for _ in range(10_000):
        listed.examples.add()
    return request.SerializeToString()


KINDS = ("bombs", "wrong_at_the_end", "unread", "silent", "chunks", "nonsense", "shapes", "names", "streams")


def attack(rest: int, rpc: int) -> None:
    """Attack until stdin ends; then say how often each kind did."""
    attacks, counts = Attacks(rest, rpc), dict.fromkeys(KINDS, 0)
    os.nice(19)

    def again(kind: str) -> None:
        while True:
            time.sleep(PAUSE)
            with contextlib.suppress(OSError, grpc.RpcError, http.client.HTTPException):
                getattr(attacks, kind)()
            counts[kind] += 1

    for kind in KINDS:
        threading.Thread(target=again, args=(kind,), daemon=True).start()
    print("attacking", flush=True)
    sys.stdin.read()
    print(json.dumps(counts), flush=True)
    os._exit(0)  # whatever they wait for


def asked(ask: Callable[[], Any], seconds: float) -> dict[str, float]:
    """Latency in milliseconds of one client that asks again and again, and how many of its requests failed."""
    times, failed, end = list[float](), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        try:
            ask()
        except (OSError, grpc.RpcError, http.client.HTTPException):
            failed += 1
        times.append(1000 * (time.monotonic() - started))
    p50, p99 = np.percentile(times, [50, 99])
    return {"requests/s": len(times) / seconds, "failed": failed, "p50": p50, "p99": p99, "longest": max(times)}


def good_clients(rest: int, rpc: int, pid: int, seconds: float) -> dict[str, Any]:
    """One good client of each port for so long, and the server's memory, file descriptors and threads at the end."""
    found: dict[str, Any] = {}
    body = json.dumps({"instances": latents(ROWS).tolist()}).encode()
    request = predict_request("digits", latents(ROWS))
    connection = http.client.HTTPConnection("127.0.0.1", rest, timeout=TIMEOUT)

    def over_rest() -> None:
        connection.request("POST", PATH, body)
        if (answer := connection.getresponse()).status != 200 or not answer.read():
            raise http.client.HTTPException(answer.status)

    with grpc.insecure_channel(f"127.0.0.1:{rpc}", options=OPTIONS) as channel, contextlib.closing(connection):
        call: Any = channel.unary_unary(PREDICT)
        work = {"REST": over_rest, "gRPC": lambda: call(request, timeout=TIMEOUT)}
        threads = [
            threading.Thread(target=lambda name=name, ask=ask: found.update({name: asked(ask, seconds)}))
            for name, ask in work.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    kilobytes = {name: int(status.split(f"{name}:")[1].split()[0]) for name in ("VmRSS", "VmHWM", "Threads")}
    found["MB"], found["most MB"] = kilobytes["VmRSS"] * 1024 / 1e6, kilobytes["VmHWM"] * 1024 / 1e6
    found["threads"], found["files"] = kilobytes["Threads"], len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return found


def measure(seconds: float) -> dict[str, Any]:
    """Good clients before, during and after the attack."""
    rest, rpc, base = free_port(), free_port(), repository() / "digits"
    command = [str(BIN / "genserve"), f"--port={rpc}", f"--rest_api_port={rest}", "--model_name=digits"]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [*command, f"--model_base_path={base}"], stderr=log, env=ENVIRONMENT, start_new_session=True
        )
        try:
            with grpc.insecure_channel(f"127.0.0.1:{rpc}") as channel:
                grpc.channel_ready_future(channel).result(120)
            good_clients(rest, rpc, server.pid, 2.0)  # what comes first is slower
            found = {"before": good_clients(rest, rpc, server.pid, QUIET_SECONDS)}
            options = [sys.executable, str(HERE / "serving_attack.py"), "--attack", str(rest), str(rpc)]
            attackers = subprocess.Popen(options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
            assert attackers.stdout is not None
            attackers.stdout.readline()  # they have made their bombs, and begin
            found["during"] = good_clients(rest, rpc, server.pid, seconds)
            counts = json.loads(attackers.communicate()[0])
            time.sleep(5)
            found["after"] = good_clients(rest, rpc, server.pid, QUIET_SECONDS)
            log.seek(0)
            return {"phases": found, "attacks": counts, "log lines": len(log.read().splitlines())}
        finally:
            stop(server)


def markdown(cells: Cells, seconds: float) -> str:
    """The section."""
    found = cells.get(f"{seconds:g} s", measure, seconds)
    head = [
        "",
        *(f"{port} {what}" for port in ("gRPC", "REST") for what in ("failed", "p50 ms", "p99 ms")),
        "MB",
        "most MB",
    ]
    lines = []
    for phase, values in found["phases"].items():
        ports = [number(values[port][what]) for port in ("gRPC", "REST") for what in ("failed", "p50", "p99")]
        lines.append([phase, *ports, number(values["MB"]), number(values["most MB"])])
    kinds = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in found["attacks"].items())
    text = f"""One good client of each port, {ROWS} images a request, {QUIET_SECONDS:g} s before, {seconds:g} s during
        and {QUIET_SECONDS:g} s after attacks of nine kinds at once ({kinds}), by attackers on the same cores at the
        lowest priority. The server wrote {found["log lines"]} lines of log in all."""
    return "\n".join(["## Serving: hostile clients", "", "`python bench/serving_attack.py`", "", paragraph(text), "",
                      table(head, lines), ""])  # fmt: skip


def main() -> None:
    """Measure, or attack where this is the process that does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the attack")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--attack", nargs=2, type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        attack(*options.attack)
        return
    tell("serving: hostile clients …")
    print(markdown(Cells("serving_attack", options.again), options.seconds))


if __name__ == "__main__":
    main()
