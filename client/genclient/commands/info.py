"""`genclient info`: what a generator takes and makes, and how long an image takes."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console
from genclient.cli.options import classes_option, command, output_options, tflite_option
from genclient.cli.server import Server, refuse_server, server_options, version_label_option
from genclient.errors import ClientError, printable
from genclient.model.classes import Classes, parse_classes
from genclient.model.describe import description, facts, picture_shape
from genclient.model.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from genclient.client.base import Request
    from genclient.client.client import Client
    from genclient.images.prepare import Preprocessing

PROBES = 3

MOST_WORDS = 8
"""Words of a vocabulary that are shown; the most frequent ones stand first."""


@command()
@tflite_option
@click.option("--probe/--no-probe", default=True, help="Time the generation of one image.  [default: probe]")
@classes_option
@server_options
@version_label_option
@output_options
@click.pass_context
def info(
    context: click.Context,
    /,
    tflite: str | None,
    probe: bool,
    classes: str | None,
    server: Server,
    console: Console,
) -> None:
    """Describe a model: shapes, classes, signatures, and the time that an image takes."""
    known = None if classes is None else parse_classes(classes)
    if tflite is not None:
        refuse_server(context)
        from genclient.device.sandbox import load_device

        device = load_device(tflite)
        known = known or Classes(device.class_names, device.class_count)
        model, generator, notes = device.info(), device.generator(), list(device.notes)
        lines, data = description(model, [], generator), facts(model, [], generator) | {"notes": notes}
        if device.preprocessing:
            lines, data = (
                lines + _size_text(device.preprocessing),
                data | {"preprocessing": asdict(device.preprocessing)},
            )
        if device.frames_per_second:
            lines, data = (
                lines + f"rate       {device.frames_per_second:g} frames a second\n",
                data | {"frames_per_second": device.frames_per_second},
            )
        if device.vocabulary:
            words = device.vocabulary.words[UNKNOWN + 1 :]
            shown = ", ".join(words[:MOST_WORDS]) + (", …" if len(words) > MOST_WORDS else "")
            lines, data = lines + printable(f"words      {len(words)}: {shown}") + "\n", data | {"words": list(words)}
        _print_result(console, lines, data, known, notes)
        return
    with server.client() as client:
        model, versions = client.info(), client.status()
        probed = _probe(client) if probe else None
    lines, data = description(model, versions), facts(model, versions)
    if probed is not None:
        lines, data = f"{lines}probe      {_probe_text(probed)}\n", data | {"probe": probed}
    _print_result(console, lines, data, known, [])


def _size_text(how: Preprocessing) -> str:
    """How pictures of any size are brought to the model's."""
    return (
        printable(f"size       of pictures: crop {how.crop}, background {how.background}, resize {how.resize}") + "\n"
    )


def _print_result(
    console: Console, lines: str, data: dict[str, Any], classes: Classes | None, notes: list[str]
) -> None:
    names = classes.names if classes else ()
    more = [f"class      {label}  {name}" for label, name in enumerate(names)]
    more += [f"note       {note}" for note in notes]
    data |= {"classes": list(names) or None, "class_count": (classes.count or None) if classes else None}
    console.result(lines + "".join(f"{printable(line)}\n" for line in more), data, f"{data['model']}\n")


def _probe(client: Client) -> dict[str, Any]:
    """What one image costs, or why there is none: a discriminator can be described, though it makes no images."""
    try:
        request, exchanges = _one_image(client), []
        for _ in range(PROBES):
            batch = next(iter(client._batches(client.model, None, request)))
            assert batch.exchange is not None
            exchanges.append(batch.exchange)
    except ClientError as error:
        return {"error": str(error)}
    wait = statistics.median(exchange.wait_seconds for exchange in exchanges)
    return {"milliseconds": round(wait * 1000, 3), "received_bytes": exchanges[-1].received_bytes}


def _one_image(client: Client) -> Request:
    """The request for an image: of seed 0 and class 0, or of a grey picture, or of all that the model takes."""
    from genclient.client.base import Request
    from genclient.client.translation import task_of
    from genclient.latents.array import seed_numbers

    signatures = client.info().signatures.values()
    label = 0 if any(signature.conditional for signature in signatures) else None
    given: dict[str, Any] = {"labels": label, "truncation": 1.0}
    shape = picture_shape(signatures)
    if shape:
        import numpy as np

        given["image"] = np.full([1, *(size or 64 for size in shape)], 128, np.uint8)
    if not shape or any({"latents", "seeds"} & set(signature.inputs) for signature in signatures):
        given["seeds"] = seed_numbers([0])
    return Request(given, task=task_of(client.info(), client.names), result="images")


def _probe_text(probed: dict[str, Any]) -> str:
    if "error" in probed:
        return printable(f"no image: {probed['error']}")
    return f"{probed['milliseconds']:.1f} ms for an image of {probed['received_bytes']} B (median of {PROBES})"
