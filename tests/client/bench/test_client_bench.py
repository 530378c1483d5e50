"""The load test: what it counts, how it fails, and the files that it writes."""

import csv
import io
import json
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree

import grpc
import numpy as np
import pytest
from genclient import Client, UsageError
from genclient.bench.levels import parse_levels
from genclient.bench.load import Load, LoadRequest
from PIL import Image

QUICK = ("--duration", 0.3, "--warm-up", 0.05)


def measure(genclient, target, *arguments):
    """The levels that the command measures."""
    done = genclient("bench", "--target", target, *QUICK, *arguments, "--format", "json")
    assert not done.stderr, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_levels_are_ranges_and_lists():
    assert parse_levels("1:16:2x") == [1, 2, 4, 8, 16]
    assert parse_levels("1:4") == [1, 2, 3, 4]
    assert parse_levels("2:9:3,1, 8") == [2, 5, 8, 1]
    for text in ("", "0", "4:1", "1:4:0", "1:8:1x", "a", "1:", "257", "1:300", "-1", "1;2"):
        with pytest.raises(UsageError, match=r"^concurrency: found"):
            parse_levels(text)


def test_so_many_requests_are_under_way(genclient, serve):
    most, now, lock, all_there, too_many = 0, 0, threading.Lock(), threading.Event(), threading.Event()

    def answer(request, context):
        nonlocal most, now
        if len(served.prediction.requests) == 1:  # the one that finds out what the server takes
            return served.prediction.generate(request, context)
        with lock:
            now += 1
            most = max(most, now)
            if now == 3:
                all_there.set()
            if now > 3:
                too_many.set()
        all_there.wait(30)
        too_many.wait(0.05)  # which should not come
        try:
            return served.prediction.generate(request, context)
        finally:
            with lock:
                now -= 1

    served = serve(answer=answer)
    code, data = measure(genclient, served.target, "--concurrency", "3", "--batch-size", 4)
    (level,) = data["levels"]
    assert code == 0
    assert most == 3
    assert (data["model"], data["version"], data["batch_size"], data["image_shape"]) == ("digits", 3, 4, [6, 4, 3])
    assert (level["concurrency"], level["errors"], level["images"]) == (3, {}, 4 * level["requests"])
    assert level["requests"] > 0
    latency = level["latency_ms"]
    names = ["min", "p50", "p90", "p95", "p99", "max"]
    assert [latency[name] for name in names] == sorted(latency[name] for name in names)
    # What the server saw: the level, the probe, and what was under way when the level ended.
    assert level["requests"] <= len(served.prediction.requests)
    assert 0 < level["images_per_second"] <= 4 * len(served.prediction.requests) / level["seconds"]
    assert 0 < level["waiting_share"] + level["decoding_share"] <= 1.01
    assert level["received_bytes"] > level["images"] * 72


def test_each_request_asks_for_other_images(serve, tools):
    served = serve()
    with Client(served.target, retry_seconds=0) as client:
        load = Load(client, LoadRequest(signature="seeds", seed=100))
        load.probe()
        del served.prediction.requests[:]
        load.level(2, 0.2, 0.0)
    import tensorflow as tf

    seeds = np.concatenate([tf.make_ndarray(request.inputs["seeds"]) for request in served.prediction.requests])
    assert len(set(seeds.tolist())) == len(seeds)
    assert seeds.min() == 100


def test_failures_are_counted_by_code_and_not_retried(genclient, serve):
    count = 0

    def answer(request, context):
        nonlocal count
        count += 1
        if count > 1 and count % 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        if count % 4 == 0:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return served.prediction.generate(request, context)

    served = serve(answer=answer)
    code, data = measure(genclient, served.target, "--concurrency", "1", "--duration", 1)
    (level,) = data["levels"]
    assert code == 0
    assert set(level["errors"]) == {"UNAVAILABLE", "INTERNAL"}
    assert 0 < level["errors"]["INTERNAL"] <= level["errors"]["UNAVAILABLE"]
    assert level["requests"] + sum(level["errors"].values()) <= count


def test_replies_that_are_not_images_count_as_failures(genclient, serve, tools):
    count = 0

    def answer(request, context):
        nonlocal count
        count += 1
        response = served.prediction.generate(request, context)
        if count > 1:
            response.outputs["images"].CopyFrom(tools.as_values(np.zeros((1, 2), np.float32)))
        return response

    served = serve(answer=answer)
    code, data = measure(genclient, served.target, "--concurrency", "1", "--signature", "serving_default")
    (level,) = data["levels"]
    assert (code, level["requests"], set(level["errors"])) == (1, 0, {"INVALID_REPLY"})
    assert level["latency_ms"]["p50"] is None


def test_a_servers_limit_is_learned_before_anything_is_measured(genclient, serve, tools):
    def answer(request, context):
        rows = request.inputs["latents"].tensor_shape.dim[0].size
        if rows > 8:
            message = f"Task size {rows} is larger than maximum input batch size 8"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        return served.prediction.generate(request, context)

    served = serve(answer=answer)
    _, data = measure(genclient, served.target, "--concurrency", "2")
    assert (data["batch_size"], data["levels"][0]["errors"]) == (8, {})


def test_a_server_that_is_not_there_is_an_error_and_no_measurement(fails, serve):
    served = serve()
    served.stop()
    code, line = fails("bench", "--target", served.target, *QUICK, timeout=30)
    assert (code, line.startswith("nothing listens at")) == (78, True)


def test_the_files_hold_what_was_measured(genclient, serve, tmp_path):
    out = [part for name in ("a/load.json", "load.csv", "load.svg", "load.png") for part in ("--report", name)]
    done = genclient("bench", "--target", serve().target, *QUICK, "--concurrency", "1,2", *out)
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[0] == "genclient: written: a/load.json"
    heading, columns, *rows = done.stdout.decode().splitlines()
    assert heading.startswith("digits 3 at 127.0.0.1:")
    assert columns.split()[:2] == ["concurrency", "images/s"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    levels = json.loads((tmp_path / "a/load.json").read_text())["levels"]
    table = list(csv.DictReader(io.StringIO((tmp_path / "load.csv").read_text())))
    assert [float(row["images_per_second"]) for row in table] == [level["images_per_second"] for level in levels]
    assert [float(row["latency_p99_ms"]) for row in table] == [level["latency_ms"]["p99"] for level in levels]
    drawing = ElementTree.parse(tmp_path / "load.svg").getroot()
    texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"images a second", "latency, ms", "p50", "p99", "1", "2"} <= set(texts)
    with Image.open(tmp_path / "load.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert len(picture.getcolors(100_000)) > 5


def test_quiet_prints_the_best_rate_alone(genclient, serve):
    done = genclient("bench", "--target", serve().target, *QUICK, "--concurrency", "1", "--format", "quiet")
    assert float(done.stdout) > 0
    assert not done.stderr


def test_interruption_keeps_the_levels_that_are_done(serve, tmp_path):
    target = serve().target
    program = "from genclient.cli import main; main()"
    arguments = ("bench", "--target", target, "--duration", "0.2", "--warm-up", "0", "--concurrency", "1:200")
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments, "--report", "load.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    for _ in range(3):  # heading, columns and the first level
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = stderr.decode().split("\n")
    assert any("of 200 levels measured" in line for line in lines)
    assert len(json.loads((tmp_path / "load.json").read_text())["levels"]) >= 1


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--concurrency", "4:1"), "concurrency: found '4:1'"),
        (("--duration", "0"), "duration: found 0.0, expected seconds above 0"),
        (("--warm-up", "nan"), "warm-up: found nan"),
        (("--report", "load.pdf"), "report: found 'load.pdf', expected a name that ends in"),
        (("--label", "x"), "--label: found 'x'"),
        (("--label", "1"), "label: found 1, expected none"),
        (("--batch-size", "x"), "found 'x', expected a number of images or auto"),
        (("--map", "latents"), "found 'latents', expected NAME=VALUE"),
    ],
)
def test_wrong_usage_is_refused(refused, serve, arguments, found):
    assert found in refused("bench", "--target", serve().target, *arguments)
