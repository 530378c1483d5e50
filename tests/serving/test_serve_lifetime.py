"""How a server's life begins and ends: waiting for a first version, signals, and giving up."""

from __future__ import annotations

import signal
import socket
import sys
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.errors import ServeError
from genserve.options.flags import Flags
from genserve.server import serve


def test_waits_for_the_first_version_with_its_port_closed(genserve, save_counter, until, tmp_path):
    server = genserve(tmp_path / "toy")
    until(lambda: "could not read base path" in server.log.read_text(), 60)
    (tmp_path / "toy").mkdir()
    until(lambda: "no versions of toy found under base path" in server.log.read_text())
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", server.port))
    save_counter(tmp_path / "toy" / "1", 1)
    server.ready()
    assert tf.make_ndarray(server.predict(x=np.zeros(2, np.float32)).outputs["y"]).tolist() == [1, 1]
    assert server.stop() == 0


# Has signals come to another thread than Python's main one, as they may.
DEAF = """
import signal, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
from genserve.cli import main
main()
"""


def test_sigterm_finishes_the_request_in_flight_and_kill_9_leaves_nothing_behind(genserve, toy_path, until):
    killed = genserve(toy_path).ready()
    killed.stop(signal.SIGKILL)
    server = genserve(toy_path, port=killed.port, program=(sys.executable, "-c", DEAF)).ready()
    seconds = np.array([1.5])
    request = server.request("busy", seconds=seconds)
    in_flight = server.prediction.Predict.future(request, timeout=60)
    done = server.prediction.Predict(server.request("busy", seconds=np.array([0.2])), timeout=60)
    assert done.outputs["turns"].int_val[0] > 0
    server.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in server.log.read_text())
    assert not in_flight.done()
    with pytest.raises(grpc.RpcError) as failure:
        server.predict(x=np.ones((1, 3), np.float32))
    # gRPC itself cancels a call that comes while it closes: https://github.com/grpc/grpc/issues/41785.
    assert failure.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert in_flight.result().outputs["turns"].int_val[0] > 0
    assert server.process.wait(30) == 0


def test_sigint_while_nothing_is_served_ends_the_wait(genserve, tmp_path, until):
    server = genserve(tmp_path)
    until(lambda: "no versions" in server.log.read_text(), 60)
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("folders", "flags", "message"),
    [
        (
            [],
            {"file_system_poll_wait_seconds": 0},
            "nothing to serve under {path}, and --file_system_poll_wait_seconds=0 looks only once",
        ),
        (
            ["1"],
            {"max_num_load_retries": 1, "load_retry_interval_micros": 50_000},
            "1 model(s) did not become available: {{{{{{name: toy version: 1}} due to error: NOT_FOUND: "
            "Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}/1}}, }}",
        ),
    ],
    ids=["looks only once", "tries are used up"],
)
def test_server_that_will_never_have_a_version_ends_with_the_reason(tmp_path, folders, flags, message):
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(ServeError) as failure:
        serve(Flags(model_name="toy", model_base_path=str(tmp_path), **flags), threading.Event())
    assert failure.value.message == message.format(path=tmp_path)


def test_second_server_on_a_unix_socket_takes_it_over_unless_told_to_keep_it(genserve, toy_path, tmp_path, until):
    path = tmp_path / "socket"
    first = genserve(toy_path, "first", None, f"--grpc_socket_path={path}").ready()
    refused = genserve(toy_path, "toy", None, f"--grpc_socket_path={path}", "--keep_socket_in_use")
    assert refused.process.wait(60) == 1
    assert refused.log.read_text() == f"genserve: cannot listen on unix:{path}: Address already in use\n"
    second = genserve(toy_path, "second", None, f"--grpc_socket_path={path}").ready()
    assert f"unix:{path} is taken over from a server that still listens there" in second.log.read_text()
    second.connect(f"unix:{path}")
    assert tf.make_ndarray(second.predict(x=np.ones((1, 3), np.float32)).outputs["y"]).tolist() == [[2, 2, 2]]
    assert first.process.poll() is None
    first.predict(x=np.ones((1, 3), np.float32))
