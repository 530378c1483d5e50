"""From what moves, a file, a sprite sheet or a folder of frames, to squares at the requested rate, one after another.

Pillow reads GIF, animated WebP and APNG; videos are decoded by ffmpeg, an installed one or that of imageio-ffmpeg.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from gentrain.data.dataset import Frame, Pixels
from gentrain.sources import pictures
from gentrain.sources.pictures import Unfit

VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg")

# What a frame lasts that says nothing, or less than any player shows, in milliseconds: as browsers have it.
USUAL_MS, SHORTEST_MS = 100.0, 11.0

NO_FFMPEG = "a video, which ffmpeg decodes: pip install imageio-ffmpeg"


def of_animation(file: str, frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    """Frames uint8 (side, side, channels) of an animated picture, at the frame's rate or one by one.

    Raises:
        Unfit: it has a single frame; else nearly anything on broken files.
    """
    ends, shown = 0.0, 0
    for pixels, milliseconds in pictures.animation(file, frame, side, channels):
        if not frame.fps:
            yield pixels
            continue
        ends += milliseconds if milliseconds >= SHORTEST_MS else USUAL_MS
        while shown * 1000 < ends * frame.fps - 1e-6:
            yield pixels
            shown += 1


def of_sheet(file: str, frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    """The same of a sprite sheet, which has no rate of its own: each cell is one frame.

    Raises:
        Unfit: its sides do not divide; else nearly anything on broken files.
    """
    yield from pictures.cells(file, frame, side, channels)


def of_pictures(files: Sequence[str], frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    """The same of a folder of frames, which has no rate of its own: each picture is one frame."""
    for file in files:
        yield pictures.fitted(file, frame, side, channels)


def of_video(file: str, frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    """The same of a video.

    Raises:
        Unfit: there is no ffmpeg, or it cannot read the file.
    """
    program = ffmpeg()
    if program is None:
        raise Unfit(NO_FFMPEG)
    colours = "#" + "".join(f"{value:02x}" for value in frame.background_rgb)
    scaled = f"scale={side}:{side}:flags=lanczos"
    edge = "min(iw\\,ih)"
    filters = {
        "center": f"crop={edge}:{edge},{scaled}",
        "none": scaled,
        "pad": f"scale={side}:{side}:flags=lanczos:force_original_aspect_ratio=decrease,"
        f"pad={side}:{side}:-1:-1:color={colours}",
    }[frame.crop]
    rate = f"fps={frame.fps:g}," if frame.fps else ""
    command = [program, "-v", "error", "-nostdin", "-i", f"file:{os.path.abspath(file)}", "-an", "-vf", rate + filters]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24" if channels == 3 else "gray", "-"]
    size = side * side * channels
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL) as process,
    ):
        assert process.stdout is not None
        try:
            while len(content := process.stdout.read(size)) == size:
                yield np.frombuffer(content, np.uint8).reshape(side, side, channels)
        finally:
            with contextlib.suppress(OSError):
                process.kill()
        process.wait()
        said.seek(0)
        if lines := said.read().decode("utf-8", "replace").strip().splitlines():
            raise Unfit(pictures.shown(lines[-1]))


@cache
def ffmpeg() -> str | None:
    """Where ffmpeg is; None where there is none."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def clips(frames: Iterator[Pixels], frame: Frame) -> Iterator[Pixels]:
    """Clips uint8 (T, side, side, channels), one behind the other; what is left at the end is no further clip.

    Of fewer frames than one clip has it is looped, or no clip where `frame.short` says so.

    Raises:
        Unfit: there are no frames, or one.
    """
    wanted, held, made = frame.frames, list[Pixels](), 0
    for one in frames:
        held.append(one)
        if len(held) == wanted:
            yield np.stack(held)
            held, made = [], made + 1
    if made:
        return
    if len(held) < 2:
        raise Unfit("a single picture, no clip" if held else "without frames")
    if frame.short == "loop":
        yield np.stack([held[number % len(held)] for number in range(wanted)])
