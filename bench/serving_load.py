"""The load on a server: so many connections, each with one request under way, for so many seconds; prints JSON.

One thread, the request's bytes made beforehand, HTTP/2 or HTTP/1.1 spoken just well enough to send them and to count
what comes back: on a machine whose cores server and client share, a gRPC client in Python would cost about as much as
the server. An answer that has not the expected number of bytes counts as an error.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
MAX_WINDOW = 2**31 - 1
FRAME_BYTES = 16384  # the largest frame that every server takes
DRAIN_SECONDS = 30.0
PATIENCE = 5  # times as long as asked for it may take until each connection has had two answers


class Connection(ABC):
    """One connection with at most one request under way; `received` tells when its answer is complete."""

    def __init__(self, port: int) -> None:
        """Connect to localhost."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0

    @abstractmethod
    def send(self) -> None:
        """Send the next request."""

    @abstractmethod
    def received(self, data: bytes) -> int | None:
        """Take what came; the bytes of the answer once it is complete, -1 if it will not come."""


class Http1(Connection):
    """POST over a connection that is kept alive."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        """Every request has the same body."""
        super().__init__(port)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self.head, self.left = b"", -1
        self.length = 0

    def send(self) -> None:
        """Send the request once more."""
        self.head, self.left = b"", -1
        self.socket.sendall(self.request)

    def received(self, data: bytes) -> int | None:
        """Headers up to the empty line, then as many bytes as they say."""
        if self.left < 0:
            self.head += data
            head, found, rest = self.head.partition(b"\r\n\r\n")
            if not found:
                return None
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            if b"content-length" not in fields or b" 200 " not in head[:13] + b" ":
                return -1
            self.left = self.length = int(fields[b"content-length"])
            data = rest
        self.left -= len(data)
        return self.length if self.left <= 0 else None


class Grpc(Connection):
    """Unary calls over HTTP/2, the headers without Huffman coding and without the compression's table."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        """Every request has the same body."""
        super().__init__(port)
        self.headers = b"\x83\x86" + b"".join(
            (_literal(4, path.encode()), _literal(1, b"localhost"), _literal(31, b"application/grpc"), b"\x00\x02te")
        )
        self.headers += b"\x08trailers"
        self.body = b"\x00" + struct.pack(">I", len(body)) + body
        self.stream, self.window, self.held_back = -1, 65535, False
        self.head, self.payload, self.skip, self.frame = b"", b"", 0, (0, 0)
        self.length = self.unacknowledged = 0
        settings = struct.pack(">HIHI", 2, 0, 4, MAX_WINDOW)  # no pushes, windows that never fill
        window = struct.pack(">I", MAX_WINDOW - 65535)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, window))

    def send(self) -> None:
        """Start a new stream, once the server's window has room for it."""
        self.held_back = self.window < len(self.body)
        if self.held_back:
            return
        self.stream += 2
        self.length = 0
        frames = [frame(HEADERS, END_HEADERS, self.stream, self.headers)]
        for start in range(0, len(self.body), FRAME_BYTES):
            piece = self.body[start : start + FRAME_BYTES]
            last = start + FRAME_BYTES >= len(self.body)
            frames.append(frame(DATA, END_STREAM if last else 0, self.stream, piece))
        self.window -= len(self.body)
        self.socket.sendall(b"".join(frames))

    def received(self, data: bytes) -> int | None:
        """Frame by frame; what is in DATA is counted and not kept."""
        at, done = 0, None
        while at < len(data):
            if len(self.head) < 9:
                piece = data[at : at + 9 - len(self.head)]
                self.head += piece
                at += len(piece)
                if len(self.head) < 9:
                    break
                self.skip = int.from_bytes(self.head[:3], "big")
                self.frame, self.payload = (self.head[3], self.head[4]), b""
            step = min(self.skip, len(data) - at)
            if self.frame[0] == DATA:
                self.length += step
            else:
                self.payload += data[at : at + step]
            at, self.skip = at + step, self.skip - step
            if self.skip == 0:
                ended, self.head = self._frame_ended(), b""
                done = done if ended is None else ended
        return done

    def _frame_ended(self) -> int | None:
        kind, flags = self.frame
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.socket.sendall(frame(kind, ACK, 0, self.payload if kind == PING else b""))
        elif kind == WINDOW and self.head[5:] == b"\0\0\0\0":
            self.window += int.from_bytes(self.payload, "big")
            if self.held_back:
                self.send()
        elif kind in (RESET, GOAWAY):
            return -1
        elif kind in (HEADERS, DATA) and flags & END_STREAM:
            self._give_back()
            return self.length
        return None

    def _give_back(self) -> None:
        """Open the connection's window again by what came, before it closes."""
        self.unacknowledged += self.length
        if self.unacknowledged > MAX_WINDOW // 4:
            self.socket.sendall(frame(WINDOW, 0, 0, struct.pack(">I", self.unacknowledged)))
            self.unacknowledged = 0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: int, value: bytes) -> bytes:
    """A header of HPACK's static table by its number, its value as it is, kept out of the table (RFC 7541, 6.2.2)."""
    number = bytes([name]) if name < 15 else bytes([15, name - 15])
    return number + bytes([len(value)]) + value


def load(kind: type[Http1] | type[Grpc], options: argparse.Namespace) -> dict[str, Any]:
    """Keep all connections busy; what was answered after the warm-up, in how much time."""
    body = Path(options.request).read_bytes()
    selector = selectors.DefaultSelector()
    for _ in range(options.connections):
        connection = kind(options.port, options.path, body)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.started = time.perf_counter()
        connection.send()
    begin = time.perf_counter() + options.warm_up
    end, latest = begin + options.seconds, begin + PATIENCE * options.seconds
    seconds, errors, cpu = list[float](), 0, 0.0
    while (now := time.perf_counter()) < end or (len(seconds) < 2 * options.connections and now < latest):
        if not cpu and now >= begin:
            cpu = time.process_time()
        for answered, length in answers(selector):
            now = time.perf_counter()
            if now >= begin:
                seconds.append(now - answered.started)
                errors += length != options.expect if options.expect else length < 1
            if length < 0:
                return {"requests": len(seconds), "errors": errors + 1, "lost": True}
            answered.started = now
            answered.send()
    found = summary(seconds, errors, now - begin, time.process_time() - cpu)
    drain(selector)
    return found


def answers(selector: selectors.BaseSelector) -> Iterator[tuple[Connection, int]]:
    """Connections whose answers are complete, and the bytes of those: -1 if it will not come."""
    for key, _ in selector.select(1.0):
        connection: Connection = key.data
        data = connection.socket.recv(1 << 20)
        length = connection.received(data) if data else -1
        if length is not None:
            yield connection, length


def drain(selector: selectors.BaseSelector) -> None:
    """Wait for the answers under way, so that whoever asks next does not wait behind them."""
    latest = time.perf_counter() + DRAIN_SECONDS
    while selector.get_map() and time.perf_counter() < latest:
        for connection, _ in answers(selector):
            selector.unregister(connection.socket)


def summary(seconds: list[float], errors: int, elapsed: float, cpu: float) -> dict[str, Any]:
    """Rate and percentiles in milliseconds."""
    ordered = sorted(seconds)
    found: dict[str, Any] = {"requests": len(ordered), "errors": errors, "seconds": elapsed, "client_cpu": cpu}
    for percent in (50, 90, 99):
        if ordered:
            found[f"p{percent}"] = 1000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


def main() -> None:
    """Put the load on, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", action="store_true", help="HTTP/1.1 instead of gRPC")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/tensorflow.serving.PredictionService/Predict")
    parser.add_argument("--request", required=True, help="file with the body")
    parser.add_argument("--expect", type=int, default=0, help="bytes of a right answer")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm_up", type=float, default=1.0)
    options = parser.parse_args()
    print(json.dumps(load(Http1 if options.http else Grpc, options)))


if __name__ == "__main__":
    main()
