"""The servers that are measured: how each is started and asked, and the models that all of them serve.

The models are generators nobody trained, exported once by genexport and kept under bench/.results/serving/.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from common import BIN, ENVIRONMENT, HERE, KEPT, run, tell
from genclient.rpc import codec, wire

FOLDER = KEPT / "serving"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
MODELS = {"digits": ("small", 28, 1), "rgb64": ("medium", 64, 3)}  # preset, side, channels
LATENT_SIZE = 32  # gentrain's default
START_SECONDS = 120.0


@dataclass(frozen=True)
class Server:
    """One server: `command(port, model, rows)` starts it; `http` is the path of its POST; None: Predict over gRPC."""

    title: str
    command: Callable[[int, str, int], list[str]]
    http: str | None = None
    body: Callable[[np.ndarray], bytes] | None = None
    images: Callable[[bytes], np.ndarray] | None = None


def repository(seed: int = 0) -> Path:
    """The repository with both models, exported where it is not there yet."""
    root = FOLDER / f"models-{seed}"
    for model, (preset, side, channels) in MODELS.items():
        if not (root / model / "1").is_dir():
            tell(f"exporting {model} with seed {seed} …")
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "generator.keras"
                run(sys.executable, HERE / "peers" / "serving_untrained.py", preset, side, channels, seed, file)
                run(BIN / "genexport", "publish", file, "--repository", root, "--name", model)
    return root


def latents(rows: int) -> np.ndarray:
    """The latents that every request of so many rows sends, float32."""
    return np.random.default_rng(rows).standard_normal((rows, LATENT_SIZE)).astype(np.float32)


def predict_request(model: str, z: np.ndarray) -> bytes:
    """The bytes of a PredictRequest."""
    request = wire.PredictRequest(model_spec=wire.ModelSpec(name=model))
    request.inputs["latents"].CopyFrom(codec.encode(z))
    data: bytes = request.SerializeToString()
    return data


def predicted(data: bytes) -> np.ndarray:
    """The images in the bytes of a PredictResponse."""
    images: np.ndarray = codec.decode(wire.PredictResponse.FromString(data).outputs["images"], "images")
    return images


def genserve(*flags: str) -> Callable[[int, str, int], list[str]]:
    """How genserve is started with these flags."""

    def command(port: int, model: str, rows: int) -> list[str]:
        base = repository() / model
        return [str(BIN / "genserve"), f"--port={port}", f"--model_name={model}", f"--model_base_path={base}", *flags]

    return command


def genserve_rest(port: int, model: str, rows: int) -> list[str]:
    """How genserve is started to be asked over REST, under a name that does not depend on the model."""
    base = repository() / model
    ports = [f"--rest_api_port={port}", f"--port={free_port()}"]
    return [str(BIN / "genserve"), *ports, "--model_name=generator", f"--model_base_path={base}"]


def peer(script: str, package: str = "", with_rows: bool = False) -> Callable[[int, str, int], list[str]]:
    """How a peer is started, in an environment of its own where it needs a package."""

    def command(port: int, model: str, rows: int) -> list[str]:
        python = environment(package) if package else sys.executable
        version = str(repository() / model / "1")
        return [python, str(HERE / "peers" / script), str(port), version, *([str(rows)] if with_rows else [])]

    return command


def _as_json(z: np.ndarray) -> bytes:
    return json.dumps({"latents": base64.b64encode(z.tobytes()).decode(), "rows": len(z)}).encode()


def _as_instances(z: np.ndarray) -> bytes:
    return json.dumps({"instances": z.tolist()}).encode()


def _from_predictions(data: bytes) -> np.ndarray:
    return np.array(json.loads(data)["predictions"], np.float32)


def _as_texts(z: np.ndarray) -> bytes:
    return json.dumps({"latents": [f"{len(z)}:{base64.b64encode(z.tobytes()).decode()}"]}).encode()


def _from_texts(data: bytes) -> np.ndarray:
    return np.frombuffer(base64.b64decode(json.loads(data)[0]), np.float32)


def _from_bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.float32)


SERVERS = {
    "genserve": Server("genserve", genserve()),
    "batching": Server("genserve `--enable_batching`", genserve("--enable_batching")),
    "tflite": Server("genserve `--prefer_tflite_model`", genserve("--prefer_tflite_model")),
    "rest": Server(
        "genserve over REST", genserve_rest, "/v1/models/generator:predict", _as_instances, _from_predictions
    ),
    "grpcio": Server("plain grpcio server, no batching", peer("serving_grpcio.py")),
    "litserve": Server(
        "LitServe", peer("serving_litserve.py", "litserve", with_rows=True), "/predict", _as_json, _from_bytes
    ),
    "bentoml": Server("BentoML", peer("serving_bentoml.py", "bentoml"), "/generate", _as_texts, _from_texts),
}


def environment(package: str) -> str:
    """An interpreter with this package and all that this one has; made at the first call.

    Raises:
        LookupError: it cannot be installed here.
    """
    folder = HERE.parent / f".venv-{package}"
    python = folder / "bin" / "python"
    if not python.exists():
        tell(f"installing {package} into {folder.name} …")
        venv.create(folder, with_pip=True)
        ours, theirs = (next(place.glob("lib/python*/site-packages")) for place in (Path(sys.prefix), folder))
        (theirs / "ours.pth").write_text(f"{ours}\n", encoding="utf-8")  # TensorFlow need not be there twice
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            shutil.rmtree(folder)
            raise LookupError(f"{package} cannot be installed here")
    return str(python)


@dataclass
class Running:
    """A server that has answered rightly once."""

    process: subprocess.Popen[bytes]
    port: int
    request: Path  # file with the body of a request
    answer_bytes: int  # of a right answer

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Go on for a while, after `sleep`."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.sleep()

    def sleep(self) -> None:
        """Take no time of the processor until `awake`."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def memory_mb(self) -> float:
        """Resident memory of the process, in 10⁶ bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


@contextmanager
def serving(server: Server, model: str, rows: int) -> Iterator[Running]:
    """Start a server and compare its first answer with the model's own; it is gone afterwards.

    Raises:
        LookupError: it does not come up, or answers wrongly.
    """
    port, z = free_port(), latents(rows)
    command = server.command(port, model, rows)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, stdout=stderr, stderr=stderr, env=ENVIRONMENT, start_new_session=True, cwd=folder
            )
        try:
            body = server.body(z) if server.body else predict_request(model, z)
            answer = first_answer(server, process, port, body, log)
            images = server.images(answer) if server.images else predicted(answer)
            expected = np.load(expected_images(model, rows))
            tolerance = 5e-3 if "tflite" in server.title else 1e-4
            if images.size != expected.size or np.abs(images.ravel() - expected.ravel()).max() > tolerance:
                raise LookupError(f"{server.title} answers with other images")
            request = Path(folder) / "request"
            request.write_bytes(body)
            yield Running(process, port, request, len(answer) + (0 if server.http else 5))
        finally:
            stop(process)


def first_answer(server: Server, process: subprocess.Popen[bytes], port: int, body: bytes, log: Path) -> bytes:
    """Ask until there is an answer.

    Raises:
        LookupError: the server has ended, or gives none for two minutes.
    """
    end, failure = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < end and process.poll() is None:
        try:
            return ask(server, port, body)
        except (OSError, grpc.RpcError) as error:
            failure = " ".join(str(error).split())[:200]
            time.sleep(0.2)
    told = " ".join(log.read_text(errors="replace").strip().splitlines()[-1:])
    raise LookupError(f"{server.title} does not answer: {failure if process.poll() is None else told}")


def ask(server: Server, port: int, body: bytes) -> bytes:
    """The body of one answer."""
    if server.http:
        url = f"http://127.0.0.1:{port}{server.http}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            data: bytes = response.read()
            return data
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        call: Any = channel.unary_unary(PREDICT)
        answer: bytes = call(body, timeout=30)
        return answer


def expected_images(model: str, rows: int, seed: int = 0) -> Path:
    """A file with the images that a request of so many rows must get."""
    file = FOLDER / f"expected-{model}-{rows}-{seed}.npy"
    if not file.exists():
        with in_process(model, rows, seed, file):
            pass
    return file


@contextmanager
def in_process(
    model: str, rows: int, seed: int = 0, images: Path | str = "-"
) -> Iterator[Callable[[int, float], dict[str, Any]]]:
    """The model called without a server: a function of threads and seconds that measures images a second and p50."""
    version, z = repository(seed) / model / "1", FOLDER / f"latents-{rows}.npy"
    np.save(z, latents(rows))
    command = [sys.executable, str(HERE / "peers" / "serving_inprocess.py"), str(version), str(z), str(images)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=ENVIRONMENT) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def measured(threads: int, seconds: float) -> dict[str, Any]:
            asked.write(f"{threads} {seconds}\n")
            asked.flush()
            line = told.readline()
            if not line:
                raise SystemExit(f"{version}: the call in-process has ended")
            found: dict[str, Any] = json.loads(line)
            return found

        measured(1, 0.1)
        yield measured


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    for number in (15, 9):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                continue
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)  # workers that outlive their parent


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
