"""What genserve bears: version swaps under load, a long run, a kill, and clients that behave badly. Part of serving.py.

Each function measures one thing on a real server and returns what serving.py keeps and prints.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from common import BIN, ENVIRONMENT, HERE, Cells, number, paragraph, table, tell
from genclient.rpc import wire
from serving_load import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, Grpc, frame
from serving_servers import (
    PREDICT,
    SERVERS,
    Running,
    environment,
    expected_images,
    free_port,
    latents,
    predict_request,
    predicted,
    repository,
    serving,
    stop,
)

CLIENTS = 16
SECONDS = 3.0  # before, between and after what is done to the server
IDLE = 500
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


class Clients:
    """Threads that ask without a pause, each over a connection of its own, and check every answer."""

    def __init__(self, port: int, rows: int, check: Callable[[Any, int], str], count: int = CLIENTS) -> None:
        """`check(response, last_version)` says what is wrong with an answer, or nothing."""
        self.body, self.port, self.check = predict_request("digits", latents(rows)), port, check
        self.seconds, self.errors = list[tuple[float, float]](), list[str]()  # when it began, how long it took
        self.retries = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]

    def __enter__(self) -> Clients:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait for the answers that are under way."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        version = 0
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=OPTIONS) as channel:
            call: Any = channel.unary_unary(PREDICT)
            while not self._end.is_set():
                started = time.monotonic()
                try:
                    response = wire.PredictResponse.FromString(self._ask(call))
                except grpc.RpcError as error:
                    self.errors.append(" ".join(str(error).split())[:200])
                    continue
                self.seconds.append((started, time.monotonic() - started))
                if wrong := self.check(response, version):
                    self.errors.append(wrong)
                version = response.model_spec.version.value

    def _ask(self, call: Any) -> bytes:
        """One request; where the server is gone, once more until it is back (for a minute at most)."""
        end = time.monotonic() + 60
        while True:
            try:
                answer: bytes = call(self.body, timeout=30, wait_for_ready=True)
                return answer
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:  # type: ignore[attr-defined]
                    raise
                self.retries += 1

    def percentile(self, percent: int, begin: float = 0.0, end: float = float("inf")) -> float:
        """Of the requests that began in this time, in milliseconds."""
        chosen = [seconds for started, seconds in self.seconds if begin <= started < end]
        return 1000 * float(np.percentile(chosen, percent)) if chosen else 0.0


def swaps(count: int, seconds: float) -> dict[str, Any]:
    """New versions under load: odd versions are of one generator, even ones of another."""
    expected = {seed: np.load(expected_images("digits", 1, seed)) for seed in (0, 1)}

    def check(response: Any, last: int) -> str:
        version = response.model_spec.version.value
        images = predicted(response.SerializeToString())
        if version < last:
            return f"version {version} after {last}"
        return "" if np.allclose(images, expected[1 - version % 2], atol=1e-4) else f"other images in version {version}"

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "digits"
        publish(base, 1)
        with genserve(base) as (_, port), Clients(port, 1, check) as clients:
            time.sleep(seconds)
            begin = time.monotonic()
            for version in range(2, count + 2):
                publish(base, version)
                wait_for_version(port, version)
            end = time.monotonic()
            time.sleep(seconds)
    return {
        "requests": len(clients.seconds),
        "errors": len(clients.errors),
        "first error": clients.errors[0] if clients.errors else "",
        "seconds a swap": (end - begin) / count,
        "p99 before": clients.percentile(99, 0.0, begin),
        "p99 during": clients.percentile(99, begin, end),
        "longest": clients.percentile(100, begin, end),
    }


def soak(images: int) -> dict[str, Any]:
    """Memory over a long run, 64 images a request from four clients."""
    memory = list[tuple[int, float]]()
    with (
        serving(SERVERS["batching"], "digits", 64) as running,
        Clients(running.port, 64, lambda response, last: "", 4) as clients,
    ):
        while (done := 64 * len(clients.seconds)) < images and not clients.errors:
            memory.append((done, running.memory_mb()))
            time.sleep(0.05)
    warm = [mb for done, mb in memory if done >= images / 5] or [memory[-1][1]]
    fifth = max(1, len(warm) // 5)
    first, last = float(np.median(warm[:fifth])), float(np.median(warm[-fifth:]))
    return {
        "images": images,
        "errors": len(clients.errors),
        "warm MB": first,
        "end MB": last,
        "growth %": 100 * (last / first - 1),
    }


def kill(seconds: float) -> dict[str, Any]:
    """A kill -9 and a new start on the same port, while clients try again where the server is gone."""
    expected = np.load(expected_images("digits", 1))

    def check(response: Any, last: int) -> str:
        right = np.allclose(predicted(response.SerializeToString()), expected, atol=1e-4)
        return "" if right else "other images"

    base, port = repository() / "digits", free_port()
    with genserve(base, port) as (process, _), Clients(port, 1, check) as clients:
        time.sleep(seconds)
        killed = time.monotonic()
        process.kill()
        process.wait()
        with genserve(base, port):
            back = time.monotonic()
            time.sleep(seconds)
            clients.__exit__()  # before the new server goes
    return {
        "requests": len(clients.seconds),
        "errors": len(clients.errors),
        "retries": clients.retries,
        "seconds away": back - killed,
    }


def bad_clients(seconds: float) -> dict[str, Any]:
    """The latency of good clients, alone and beside each kind of bad ones."""
    found: dict[str, Any] = {}
    with serving(SERVERS["batching"], "digits", 64) as running:
        kinds: dict[str, Callable[[], list[socket.socket]]] = {
            "alone": list,
            "one that sends a byte every 0.1 s": lambda: [slow(running)],
            "one that never reads": lambda: [deaf(running)],
            f"{IDLE} idle connections": lambda: [idle(running.port) for _ in range(IDLE)],
        }
        for kind, make in kinds.items():
            sockets = make()
            with Clients(running.port, 1, lambda response, last: "", 4) as clients:
                time.sleep(seconds)
            found[kind] = {
                "requests": len(clients.seconds) / seconds,
                "errors": len(clients.errors),
                "p50": clients.percentile(50),
                "p99": clients.percentile(99),
                "memory MB": running.memory_mb(),
            }
            for opened in sockets:
                opened.close()
    return found


def slow(running: Running) -> socket.socket:
    """A request that comes byte by byte, from a thread that ends with the socket."""
    connection = idle(running.port)
    body = running.request.read_bytes()
    request = struct.pack(">BI", 0, len(body)) + body
    connection.sendall(frame(HEADERS, END_HEADERS, 1, headers(running.port)))

    def drip() -> None:
        try:
            for byte in request:
                connection.sendall(frame(DATA, 0, 1, bytes([byte])))
                time.sleep(0.1)
        except OSError:
            return

    threading.Thread(target=drip, daemon=True).start()
    return connection


def deaf(running: Running) -> socket.socket:
    """A hundred requests for 64 images each, whose answers nobody reads."""
    connection = idle(running.port)
    connection.setblocking(False)
    body = running.request.read_bytes()
    message = struct.pack(">BI", 0, len(body)) + body
    for stream in range(1, 200, 2):
        frames = frame(HEADERS, END_HEADERS, stream, headers(running.port))
        frames += b"".join(frame(DATA, 0, stream, message[at : at + 16384]) for at in range(0, len(message), 16384))
        try:
            connection.sendall(frames + frame(DATA, END_STREAM, stream, b""))
        except OSError:  # the server takes no more from it
            break
    return connection


def idle(port: int) -> socket.socket:
    """A connection that says hello and nothing else."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
    return connection


def headers(port: int) -> bytes:
    """The header block of a Predict."""
    connection = Grpc(port, PREDICT, b"")
    connection.socket.close()
    return connection.headers


@contextmanager
def genserve(base: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server that batches, looking for versions five times a second, once it answers."""
    port = port or free_port()
    command = [str(BIN / "genserve"), f"--port={port}", "--model_name=digits", f"--model_base_path={base}"]
    command += ["--enable_batching", "--file_system_poll_wait_seconds=0.2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT, start_new_session=True)
    try:
        wait_for_version(port, 1)
        yield process, port
    finally:
        stop(process)


def wait_for_version(port: int, version: int) -> None:
    """Until this version answers."""
    body, end = predict_request("digits", latents(1)), time.monotonic() + 120
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        call: Any = channel.unary_unary(PREDICT)
        while time.monotonic() < end:
            try:
                answer = wire.PredictResponse.FromString(call(body, timeout=30, wait_for_ready=True))
                if answer.model_spec.version.value >= version:
                    return
            except grpc.RpcError:
                pass
            time.sleep(0.05)
    raise SystemExit(f"version {version} does not come up on port {port}")


def publish(base: Path, version: int) -> None:
    """A version of the one generator or the other, in one rename."""
    source = repository(1 - version % 2) / "digits" / "1"
    staging = base / f".staging-{version}"
    shutil.copytree(source, staging)
    staging.rename(base / str(version))


def try_pytriton() -> str:
    """Whether PyTriton comes up here, and what it says otherwise."""
    try:
        python = environment("nvidia-pytriton")
    except LookupError as error:
        return str(error)
    version = str(repository() / "digits" / "1")
    command = [python, str(HERE / "peers" / "serving_pytriton.py"), str(free_port()), str(free_port()), version]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired as error:
        return f"PyTriton runs: nothing went wrong in three minutes. {(error.stderr or b'')[-500:]!r}"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return next((line for line in reversed(lines) if "Error" in line), f"PyTriton ends with code {done.returncode}")


def markdown(cells: Cells, count: int, images: int) -> str:
    """The section."""
    tell("serving: what it bears …")
    swap = cells.get(f"{count} swaps, {SECONDS:g} s", swaps, count, SECONDS)
    long = cells.get(f"soak of {images}", soak, images)
    killed = cells.get(f"kill, {SECONDS:g} s", kill, SECONDS)
    bad = cells.get(f"bad clients, {SECONDS:g} s", bad_clients, SECONDS)
    head = ["four clients, one image a request", "requests/s", "errors", "p50 ms", "p99 ms", "server MB"]
    lines = [[kind, *(number(found[name]) for name in found if name != "date")] for kind, found in beside(bad)]
    first = f" ({swap['first error']})" if swap["first error"] else ""
    swapped = f"""**{count} version swaps** under {CLIENTS} clients: {swap["requests"]} requests, {swap["errors"]}
        failed or with a wrong version's images{first};
        {swap["seconds a swap"]:.1f} s a swap, p99 {number(swap["p99 during"])} ms during the swaps, the longest
        {number(swap["longest"])} ms, {number(swap["p99 before"])} ms before."""
    soaked = f"""**{long["images"]:,} images**, 64 a request from four clients: {long["errors"]} errors; resident memory
        {number(long["warm MB"])} MB after a fifth of it, {number(long["end MB"])} MB at the end
        ({long["growth %"]:+.2f} %)."""
    gone = f"""**kill -9** under {CLIENTS} clients that try again: {killed["requests"]} requests, {killed["errors"]}
        lost, {killed["retries"]} retries; a new server answered after {killed["seconds away"]:.1f} s."""
    parts = ["## Serving: swaps, a long run, kills and bad clients", "", "`make bench-serving`", ""]
    parts += ["- " + paragraph(text).replace("\n", "\n  ") for text in (swapped, soaked, gone)]
    return "\n".join([*parts, "", table(head, lines), ""])


def beside(bad: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The rows of the table of bad clients."""
    return [(kind, found) for kind, found in bad.items() if isinstance(found, dict)]
