"""Texts that say what is to be seen: --text, and --text-file with one a line; which of their words a model knows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from genclient.cli.console import Console
from genclient.cli.server import Function
from genclient.cli.source import Source
from genclient.cli.types import Lines
from genclient.errors import ClientError, UsageError

MOST_NAMED = 8
"""Unknown words that a warning names."""


def text_options(function: Function) -> Function:
    """`--text` and `--text-file`; the command takes `text` and `text_file`."""
    text = click.option(
        "--text",
        multiple=True,
        type=Lines(),
        metavar="WORDS",
        help="What is to be seen, of a model that takes words; repeat it for further rows.",
    )
    file = click.option("--text-file", metavar="FILE", help="A text a line instead; - is stdin.")
    return text(file(function))


def single_text_option(function: Function) -> Function:
    """`--text` of all images; the command takes `text`."""
    return click.option("--text", metavar="WORDS", help="What is to be seen, of a model that takes words.")(function)


def read_texts(options: dict[str, Any]) -> tuple[str, ...]:
    """The texts that the options give, in their order.

    Raises:
        UsageError: both options are given, or a file has no text.
        ClientError: the file cannot be read.
    """
    if options["text_file"] is None:
        return tuple(options["text"] or ())
    if options["text"]:
        raise UsageError("--text and --text-file: found both, expected one of them")
    lines = _content(options["text_file"]).decode("utf-8-sig", "replace").splitlines()
    texts = tuple(line.strip() for line in lines if line.strip())
    if not texts:
        raise UsageError(f"--text-file: found no text in {options['text_file']}, expected one a line")
    return texts


def check_texts(source: Source, texts: Sequence[str], console: Console) -> None:
    """See that a model takes texts where there are some, and say what it does not know of them.

    Raises:
        UsageError: it takes none, or knows none of their words.
        ClientError: it cannot be reached.
    """
    takes = not {"texts", "tokens"}.isdisjoint(source.inputs())
    if not takes:
        if texts:
            raise UsageError(f"--text: found {texts[0]!r:.60}, expected none: {source.model} takes no words")
        return
    if not texts:
        console.note(f"{source.model} draws what --text says; without it, whatever it likes")
        return
    unknown, known = source.unknown_words(texts)
    if not unknown:
        return
    named = ", ".join(_with_near(source, word) for word in unknown[:MOST_NAMED])
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    if not known:
        raise UsageError(f"--text: found no word that {source.model} knows: {named}{more}")
    console.note(f"{source.model} does not know {named}{more}")


def _with_near(source: Source, word: str) -> str:
    near = source.near_words(word)
    return f"{word} ({' or '.join(near)}?)" if near else word


def _content(path: str) -> bytes:
    if path == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("--text-file -: found a terminal or nothing on stdin, expected a text a line")
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise ClientError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
