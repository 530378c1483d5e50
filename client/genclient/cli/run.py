"""One run of a command that makes images: fetch what is missing, write it, say what is written."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from genclient.cli.console import Console, emit, on_terminal, print_note
from genclient.cli.showing import MOST_SHOWN, draw
from genclient.cli.source import Source
from genclient.errors import ClientError, RpcError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.client.call import Batch
    from genclient.outputs.output import Output, Places

    Batches = Callable[[Places], Any]


class Run:
    """One run: fetch what is missing, say what is written."""

    def __init__(
        self,
        source: Source,
        output: Output,
        out: str,
        console: Console,
        batches: Batches,
        show: bool = False,
        fps: float = 0.0,
    ) -> None:
        """Take what makes images, where they go, and what gives the batches of the places that are missing; and whether
        they are shown in the terminal, clips at so many frames a second.
        """
        self._stream = batches
        self._source, self._output, self._out, self._console = source, output, out, console
        self._fps = fps
        self._shown: list[NDArray[np.uint8]] | None = [] if show else None
        self._files: list[str] = []
        # A program that reads the paths wants each as it is there; people do not want thousands of lines.
        self._at_end = console.style == "json" or (console.style == "human" and on_terminal())

    def go(self) -> None:
        """Make and write what is missing.

        Raises:
            ClientError: images cannot be made or written; the message says how to go on.
            KeyboardInterrupt: the same of Ctrl-C.
        """
        output = self._output
        if output.resumes or output.image_set.latents is not None:
            self._source.resolve_version()
        if output.shard is not None:
            self._source.fit(output.shard)
        missing = output.begin(self._source.version)
        there = len(output.image_set) - len(missing)
        if not len(missing):
            self._console.note(f"all {there} images are in {self._out} already")
        elif there and output.resumes:
            self._console.note(f"{there} of {len(output.image_set)} images are in {self._out} already")
        self._note_origin()
        try:
            self._fill(missing)
        except KeyboardInterrupt:
            if output.resumes and output.finished:
                raise KeyboardInterrupt(self._left(there)) from None
            raise
        except ClientError as error:
            if isinstance(error, UsageError) or not (output.resumes and output.finished):
                raise
            raise ClientError(f"{error}; {self._left(there)}", exit_code=error.exit_code) from None
        self._print_result()

    def _fill(self, missing: Places) -> None:
        from genclient.outputs.filling import fill

        done = 0
        with (
            self._console.meter(len(missing), "images") as meter,
            closing(self._batches(missing)) as batches,
            closing(fill(self._output, missing, batches)) as steps,
        ):
            for step in steps:
                done += step.images
                files = [str(file) for file in step.files]
                if self._at_end:
                    self._files += files
                elif files:
                    meter.hide()  # paths may go to the same terminal meanwhile
                    emit("".join(f"{file}\n" for file in files))
                meter.at(done)

    def _batches(self, missing: Places) -> Generator[Batch, None, None]:
        if not len(missing):
            return
        with closing(self._stream(missing)) as batches:
            for note in self._source.notes():
                self._console.note(note)
            for batch in batches:
                if self._shown is not None and sum(map(len, self._shown)) < MOST_SHOWN:
                    self._shown.append(batch.images)
                yield batch

    def _note_origin(self) -> None:
        """Of latents that an archive brings: say so if another model or version makes images of them now."""
        latents, version = self._output.image_set.latents, self._source.version
        if latents is None or latents.model is None:
            return
        was = f"{latents.model}" + ("" if latents.version is None else f", version {latents.version}")
        other = latents.version is not None and version is not None and latents.version != version
        if latents.model != self._source.model or other:
            now = f"{self._source.model}" + ("" if version is None else f", version {version}")
            self._console.note(f"latents of {was} make images of {now}: other pictures, unless both are one generator")

    def _summary(self) -> str:
        made, files = self._output.finished, len(self._files)
        return f"{self._out}: {made} images" + (f" in {files} files" if files != made else "")

    def _left(self, there: int) -> str:
        of = f"{there + self._output.finished} of {len(self._output.image_set)} images are in {self._out}"
        return f"{of}; run the same command again to go on"

    def _print_result(self) -> None:
        if self._console.style == "json":
            image_set = self._output.image_set
            data = {
                "files": self._files,
                "images": len(image_set),
                "version": self._output.version,
                **image_set.request(),
            }
            self._console.result("", data, "")
        elif self._files:
            emit(f"{self._files[0] if len(self._files) == 1 else self._summary()}\n")
        if self._shown:
            columns = len(self._output.image_set.seeds) if self._output.image_set.rows > 1 else None
            on_stdout = self._out != "-" and self._console.style != "json"
            draw(self._shown, columns, on_stdout=on_stdout, fps=self._fps)


def grid_of(text: str | None) -> tuple[int, int] | None:
    """Columns and rows."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})\s*[xX×*]\s*([1-9]\d{0,3})", text.strip())
    if match is None:
        raise UsageError(f"--grid: found {text!r}, expected columns and rows such as 4x4")
    return int(match[1]), int(match[2])


def check_stdout(out: str, console: Console) -> None:
    """See that a picture can go to stdout, if it is to.

    Raises:
        UsageError: stdout is a terminal, or something else goes there.
    """
    if out != "-":
        return
    if sys.stdout is None or sys.stdout.isatty():
        raise UsageError("--out -: found a terminal or nothing on stdout, expected a pipe or a file for the picture")
    if console.style == "json":
        raise UsageError("--format: found json beside --out -, expected one of them: both go to stdout")


def print_plan(source: Source, output: Output, console: Console) -> None:
    """What a run would do, without asking for images. Where the server cannot be reached, by the options alone."""
    try:
        source.resolve_version()
    except RpcError as error:
        if error.code.name != "UNAVAILABLE":
            raise
        print_note(f"{error}; what follows is by the options alone")
    missing, image_set = output.begin(source.version), output.image_set
    files = output.plan(missing) if len(missing) else []
    version = "" if source.version is None else f", version {source.version}"
    lines = [f"fetch      {len(missing)} of {len(image_set)} images of {image_set.model}{version}"]
    lines += [f"write      {file}" for file in files]
    data = {
        "fetch": len(missing),
        "images": len(image_set),
        "files": files,
        "version": source.version,
        **image_set.request(),
    }
    console.result("".join(f"{line}\n" for line in lines), data, "".join(f"{file}\n" for file in files))
