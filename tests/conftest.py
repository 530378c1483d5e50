"""What all rooms' tests share: one short real training, one real export of it, and the commands as a user runs them."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from forked import COMMANDS, Forked

pytest_plugins = ["ci_skips", "units"]

Command = Callable[..., subprocess.CompletedProcess[str]]

# The folders of tests, those with the longest files first: where a long one begins last, one core has nothing to do.
ROOMS = ("end_to_end", "training", "export", "serving", "client")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest --no-loadscope-reorder` keeps this order; in a room, what one worker does alone begins first."""
    from units import unit_of

    here = Path(__file__).parent

    def place(item: pytest.Item) -> tuple[int, bool]:
        return ROOMS.index(item.path.relative_to(here).parts[0]), unit_of(item.nodeid).endswith(".py")

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What is imported by now is there to stay, and TFLite's converter looks through it for garbage each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Decoded images, and nets trained on them, are kept apart from those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = shared_folder(tmp_path_factory) / "cache"
        patch.setenv("GENLINE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """`forked.run("gentrain", "fit", …)` runs a command in a process of its own that starts at once."""
    yield COMMANDS
    COMMANDS.close()


@pytest.fixture(scope="session")
def command(forked: Forked) -> Command:
    """`command("gentrain", "fit", …)` runs one of the four commands and gives what it printed and its exit code."""

    def run(name: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        if options.keys() <= {"cwd", "first"}:
            done = forked.run(name, *arguments, timeout=300, **options)  # type: ignore[arg-type]
            return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
        program = Path(sys.executable).with_name(name)
        return subprocess.run(
            [program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            **options,  # type: ignore[call-overload]
        )

    return run


@pytest.fixture(scope="session")
def genexport() -> Callable[..., Result]:
    """`genexport("publish", …)`: the command in this process, which has TensorFlow already; errors are raised."""

    def run(*arguments: object) -> Result:
        from genexport.cli import cli

        result = CliRunner().invoke(cli, list(map(str, arguments)))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers have."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    shared.mkdir(exist_ok=True)
    return shared


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of a folder that one worker makes for all."""
    shared = shared_folder(tmp_path_factory)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            make(shared / f"{name}.making")
            (shared / f"{name}.making").rename(shared / name)
    return Path(shutil.copytree(shared / name, tmp_path_factory.mktemp(name) / name, symlinks=True))


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """A real training on the digits, short: 4 kimg."""

    def train(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
        run = folder / "digits"
        done = command("gentrain", "fit", "--data", "digits", "--run", run, "--preset", "quick", "--kimg", "4")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "runs", train) / "digits"


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, command: Command, run_directory: Path) -> Path:
    """A model repository with version 1 of `digits`, exported from `run_directory`."""

    def publish(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        done = command("genexport", "publish", run_directory, "--repository", folder / "models", "--name", "digits")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "repository", publish) / "models"


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """A folder with `run`, whose generator draws what words say, and `models` with its `words/1`."""

    def publish(folder: Path) -> None:
        import speaker

        shutil.rmtree(folder, ignore_errors=True)
        run = speaker.run(folder / "run")
        options = ("--repository", folder / "models", "--name", "words", "--files", "float32,int8")
        done = command("genexport", "publish", run, *options)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "words", publish)


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """A folder with `run`, whose generator makes a picture of a picture and hints, and `models` with its `colour/1`."""

    def publish(folder: Path) -> None:
        from translators import write_run

        shutil.rmtree(folder, ignore_errors=True)
        run = write_run(folder / "run")
        done = command("genexport", "publish", run, "--repository", folder / "models", "--name", "colour")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "translator", publish)


@pytest.fixture(scope="session")
def clip_models(tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """A folder with `runs`, of clips from latents and from pictures, and `models` with `moving/1` and `alive/1`."""

    def publish(folder: Path) -> None:
        import clips

        shutil.rmtree(folder, ignore_errors=True)
        made = {"moving": clips.of_latents, "alive": clips.of_pictures}
        for name, files in {"moving": "float32,int8,onnx", "alive": "float32"}.items():
            run = made[name](folder / "runs" / name)
            options = ("--repository", folder / "models", "--name", name, "--files", files)
            done = command("genexport", "publish", run, *options)
            assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "clips", publish)
