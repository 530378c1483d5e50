"""`genclient detect`: whether pictures are real or generated, or how real they look to a discriminator."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console, Meter
from genclient.cli.options import (
    classes_option,
    command,
    label_index,
    label_option,
    output_options,
    tflite_option,
    value_range_option,
    value_ranges,
)
from genclient.cli.server import Server, refuse_server, request_options, server_options, version_label_option
from genclient.errors import RpcError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from genclient.client.detection import Detection

    Judge = Callable[[list[bytes]], Detection]

AT_A_TIME = 64
"""Pictures in memory."""

SORTS = ("score", "name", "none")


@command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option(
    "--discriminator",
    metavar="NAME",
    help="Model to score with.  [default: --model if it is a detector, else --model with -critic after it]",
)
@click.option(
    "--discriminator-signature", default="auto", show_default=True, metavar="NAME", help="Its signature to call."
)
@click.option("--critic", hidden=True)  # the old name of --discriminator
@click.option("--critic-signature", hidden=True)
@tflite_option
@label_option("Class of all pictures, by index or name, where the discriminator is conditional.")
@classes_option
@value_range_option
@click.option("--sort", type=click.Choice(SORTS), default="score", show_default=True, help="Order of the table.")
@click.option("--top", type=click.IntRange(1), metavar="COUNT", help="Show only the first COUNT.")
@server_options
@version_label_option
@request_options
@output_options
@click.pass_context
def detect(
    context: click.Context,
    /,
    images: tuple[str, ...],
    sort: str,
    top: int | None,
    tflite: str | None,
    server: Server,
    console: Console,
    **options: Any,
) -> None:
    """Tell generated pictures from real ones, the most real first.

    A detector (gentrain detector) gives the probability that a picture is generated, and a verdict. The discriminator
    of a generator gives a score only: how real a picture looks to it, in [0, 1] if genexport published it. IMAGE is a
    file that Pillow reads, or a folder that is searched at any depth. Pictures are preprocessed as in training. Those
    that cannot be read are reported, and the exit code is then 1. The command is also called score.
    """
    for name in ("discriminator", "discriminator_signature"):
        options[name] = options.pop(name.replace("discriminator", "critic")) or options[name]
    options["label"] = label_index(options["label"], options["classes"])
    from genclient.images import pictures

    options["ranges"] = value_ranges(options.pop("value_range"))
    if tflite is not None:
        refuse_server(context, "discriminator", "discriminator_signature", "label")
    paths = list(pictures.find(images))
    with _judging(server, tflite, options) as (model, judge), console.meter(len(paths), "pictures") as meter:
        rows = _Rows(judge)
        all_results = list(rows.of(paths, options["ranges"], meter))
    scored = [result for result in all_results if "score" in result]
    failed = [result for result in all_results if "error" in result]
    key = {"score": lambda result: -result["score"], "name": lambda result: result["path"], "none": None}[sort]
    results = (sorted(scored, key=key) if key else scored)[:top]
    data = {"model": model, **rows.about, "images": results, "failed": failed}
    console.result(_table(results), data, "".join(_tabs(result) for result in results))
    if note := _alarms(rows.about):
        console.note(note)
    for result in failed:
        console.note(f"{result['path']}: {result['error']}")
    if failed:
        context.exit(1)


@contextlib.contextmanager
def _judging(server: Server, tflite: str | None, options: dict[str, Any]) -> Iterator[tuple[str, Judge]]:
    """What the model is called, and what asks it."""
    if tflite is not None:
        from genclient.device.sandbox import load_device

        device = load_device(tflite)
        yield device.info().name, device.detect
        return
    with server.client() as client:
        model = options["discriminator"] or client._judge()
        settings = {"model": model, "label": options["label"], "signature": options["discriminator_signature"]}
        yield model, functools.partial(client.detect, **settings)


class _Rows:
    """A row for each picture; `about` is what is known of the model."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.about: dict[str, Any] = {}

    def of(self, paths: list[Path], ranges: Any, meter: Meter) -> Iterator[dict[str, Any]]:
        """In the order in which they are found: with its score and verdict, or with what is wrong with it."""
        from genclient.images import pictures

        done = 0
        for some in _parts(paths, AT_A_TIME):
            loaded = pictures.load(some, ranges)
            judged = iter(self._judged([content for content in loaded if isinstance(content, bytes)]))
            for path, content in zip(some, loaded, strict=True):
                result = {"error": content} if isinstance(content, str) else next(judged)
                yield {"path": str(path), **{k: printable(v) if k == "error" else v for k, v in result.items()}}
            done += len(some)
            meter.at(done)

    def _judged(self, files: list[bytes]) -> list[dict[str, Any]]:
        """What is said of each; a refused request is cut until the file at fault is found."""
        if not files:
            return []
        try:
            return self._results(self._judge(files))
        except RpcError as error:
            if error.code.name != "INVALID_ARGUMENT":
                raise
            if len(files) == 1:
                return [{"error": f"the server refuses it: {error.details}"}]
        half = len(files) // 2
        return self._judged(files[:half]) + self._judged(files[half:])

    def _results(self, found: Detection) -> list[dict[str, Any]]:
        known = {name: getattr(found, name) for name in ("threshold", "false_alarms", "false_alarms_interval")}
        self.about = {name: value for name, value in known.items() if value is not None}
        scores = [float(score) for score in found.scores]
        if found.generated is None:
            return [{"score": score} for score in scores]
        verdicts = found.generated.tolist()
        return [
            {"score": score, "probability": 1 - score, "generated": generated}
            for score, generated in zip(scores, verdicts, strict=True)
        ]


def _parts(paths: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(paths)
    while some := list(itertools.islice(rest, size)):
        yield some


def _table(results: list[dict[str, Any]]) -> str:
    return "".join(f"{_shown(result)}  {printable(result['path'])}\n" for result in results)


def _shown(result: dict[str, Any]) -> str:
    """` 97.3%  generated`: how probably, and the verdict; of a discriminator the score."""
    if "generated" not in result:
        return f"{_score(result):>8}"
    return f"{result['probability']:>6.1%}  {_verdict(result):9}"


def _verdict(result: dict[str, Any]) -> str:
    return "generated" if result["generated"] else "real"


def _tabs(result: dict[str, Any]) -> str:
    verdict = f"{_verdict(result)}\t" if "generated" in result else ""
    return f"{_score(result)}\t{verdict}{result['path']}\n"


def _score(result: dict[str, Any]) -> str:
    return f"{result['score']:.4g}" if abs(result["score"]) < 1e-3 else f"{result['score']:.4f}"


def _alarms(about: dict[str, Any]) -> str:
    """How often a verdict is wrong of real pictures, where that is known."""
    if "false_alarms" not in about:
        return ""
    low_high = about.get("false_alarms_interval")
    within = f" (from {low_high[0]:.1%} to {low_high[1]:.1%})" if low_high else ""
    called = f"from a probability of {1 - about['threshold']:.1%} on a picture is called generated"
    return f"{called}; so are {about['false_alarms']:.1%} of real ones{within} that are like those of its training"
