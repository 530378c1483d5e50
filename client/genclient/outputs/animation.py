"""From frames to an animation: GIF, WebP, APNG, MP4 by ffmpeg, or a folder of pictures. It makes no images.

Frames come as uint8 (H, W, C), one after another. The same frames give the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import struct
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genclient.errors import ClientError, UsageError
from genclient.files.whole import NewFile, new_file, save_bytes, writing
from genclient.images.grid import picture, png
from genclient.outputs.claim import Claim
from genclient.outputs.template import Template, parse_template

Frames = Iterator[NDArray[np.uint8]]

MOST_FPS = 120
MOST_GIF_FPS = 50
"""GIF has times in hundredths of a second, and browsers take one hundredth for ten."""

_FRAME = "frame"
"""The text field of a frame's number."""

_EXPECTED = "a name that ends in .gif, .webp, .png or .apng (APNG), .mp4, or a folder"


class Animation(ABC):
    """A place for frames.

    Attributes:
        enlarged: whether frames are for people, who want them large, unless specified; else they are for programs.
        milliseconds: how long each frame is shown, where they are not all shown alike; MP4 knows the speed alone.
    """

    enlarged = True
    milliseconds: Sequence[int] = ()

    def __init__(self, path: Path, fps: float, loop: bool) -> None:
        """Take where to, how fast, and whether it begins again at its end."""
        self.path, self.fps, self.loop = path, fps, loop

    @abstractmethod
    def save(self, frames: Frames, text: Mapping[str, str]) -> Sequence[Path]:
        """Write frames, and `text` with them where the format has a place for it; gives the files.

        Raises:
            ClientError: they cannot be written.
        """

    def _times(self, count: int, unit: int) -> list[int]:
        """Milliseconds that each frame is shown, in multiples of `unit`, without drifting from the speed requested."""
        given = list(itertools.accumulate(self.milliseconds, initial=0))
        exact = given if self.milliseconds else [number * 1000 / self.fps for number in range(count + 1)]
        ends = [round(end / unit) * unit for end in exact]
        return [end - start for start, end in itertools.pairwise(ends)]


class Picture(Animation):
    """An animated picture, in memory until it is whole, as Pillow does not notice that a disk took a part only."""

    def save(self, frames: Frames, text: Mapping[str, str]) -> Sequence[Path]:
        """See `Animation`."""
        with writing(self.path):
            content = self.content(frames, text)
        save_bytes(self.path, content)
        return [self.path]

    @abstractmethod
    def content(self, frames: Frames, text: Mapping[str, str]) -> bytes:
        """The file, with `text` in it."""

    def _made(self, pictures: list[Image.Image], kind: str, unit: int, **settings: Any) -> bytes:
        content, times = io.BytesIO(), self._times(len(pictures), unit)
        pictures[0].save(content, kind, save_all=True, append_images=pictures[1:], duration=times, **settings)
        return content.getvalue()


class Gif(Picture):
    """256 colours a frame; transparency lies on white."""

    def content(self, frames: Frames, text: Mapping[str, str]) -> bytes:
        """See `Picture`."""
        pictures = [_with_palette(_opaque(picture(frame))) for frame in frames]
        loop = {"loop": 0} if self.loop else {}
        return self._made(pictures, "GIF", 10, comment=_line(text).encode(), **loop)


class WebP(Picture):
    """Lossy, of high quality."""

    settings: Mapping[str, Any] = {"quality": 90, "use_sharp_yuv": True}

    def content(self, frames: Frames, text: Mapping[str, str]) -> bytes:
        """See `Picture`."""
        about, settings = Image.Exif(), dict(self.settings)
        if text:
            about[0x010E] = _line(text)  # ImageDescription
            settings["exif"] = about
        pictures = [picture(frame) for frame in frames]
        return self._made(pictures, "WEBP", 1, loop=0 if self.loop else 1, **settings)


class ExactWebP(WebP):
    """Every pixel as it is; grey is written as colour."""

    settings: Mapping[str, Any] = {"lossless": True, "exact": True}


class Apng(Picture):
    """Every pixel as it is."""

    def content(self, frames: Frames, text: Mapping[str, str]) -> bytes:
        """See `Picture`."""
        about = PngInfo()
        for key, value in text.items():
            about.add_itxt(key, value)
        pictures = [picture(frame) for frame in frames]
        return self._made(pictures, "PNG", 1, loop=0 if self.loop else 1, pnginfo=about)


class Mp4(Animation):
    """H.264 as every player takes it, made by ffmpeg; sides of odd length get a line of black."""

    def __init__(self, path: Path, fps: float, loop: bool) -> None:
        """As `Animation`.

        Raises:
            ClientError: there is no ffmpeg.
        """
        super().__init__(path, fps, loop)
        ffmpeg = find_ffmpeg()
        if ffmpeg is None:
            advice = "pip install imageio-ffmpeg; .gif, .webp and .png need none"
            raise ClientError(f"--out {path}: found no ffmpeg, which makes MP4: {advice}")
        self._ffmpeg = ffmpeg

    def save(self, frames: Frames, text: Mapping[str, str]) -> Sequence[Path]:
        """See `Animation`."""
        first = next(frames)
        with new_file(self.path) as file, tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                self._command(first.shape, file, text), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log
            )
            try:
                self._feed(process, itertools.chain([first], frames))
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if process.returncode:
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                raise ClientError(f"cannot write {self.path}: ffmpeg: {lines[-1] if lines else process.returncode}")
            if not _is_whole_mp4(file.temporary):  # ffmpeg does not report every write that fails at its end
                raise ClientError(f"cannot write {self.path}: ffmpeg left it unfinished; is the disk full?")
        return [self.path]

    def _command(self, shape: tuple[int, ...], file: NewFile, text: Mapping[str, str]) -> list[str]:
        given = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{shape[1]}x{shape[0]}", "-r", f"{self.fps:g}")
        even = "pad=ceil(iw/2)*2:ceil(ih/2)*2"
        made = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "17", "-vf", even, "-movflags", "+faststart")
        about = ("-bitexact", "-metadata", f"comment={_line(text)}")
        quiet = ("-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-y")
        return [self._ffmpeg, *quiet, *given, "-i", "-", *made, *about, "-f", "mp4", f"file:{file.temporary}"]

    def _feed(self, process: subprocess.Popen[bytes], frames: Iterable[NDArray[np.uint8]]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has given up, and says why
            for frame in frames:
                process.stdin.write(_opaque(picture(frame)).convert("RGB").tobytes())
            process.stdin.close()
            process.wait()


class Folder(Animation):
    """A PNG file for each frame."""

    enlarged = False

    def __init__(self, path: Path, fps: float, loop: bool, template: Template, report: Callable[[Path], None]) -> None:
        """As `Animation`, and the names, and what is called with each file."""
        super().__init__(path, fps, loop)
        self._template, self._report = template, report

    def save(self, frames: Frames, text: Mapping[str, str]) -> Sequence[Path]:
        """See `Animation`; files are reported one by one, and none at the end."""
        claim, count = Claim(self.path, f"{os.path.basename(self._template.text)}.frames"), 0
        try:
            for frame in frames:
                if count == 0:
                    self._begin(claim)
                path = self.path / self._template.name(count)
                save_bytes(path, png(frame, {_FRAME: str(count), **text}))
                self._report(path)
                count += 1
        finally:
            claim.release()
        return []

    def _begin(self, claim: Claim) -> None:
        """Keep others out, and remove the frames of an earlier animation: a shorter one would end with them."""
        with claim.changing():
            claim.share()
            if not claim.alone():
                raise ClientError(f"--out {self.path}: another genclient is writing frames there; let it end first")
        for path in list(self.path.iterdir()):
            number = self._template.number(path.name)
            if number is not None and _is_frame(path, number):
                with writing(path):
                    path.unlink(missing_ok=True)


def open_animation(out: str, fps: float, loop: bool, report: Callable[[Path], None]) -> Animation:
    """The animation that a path names; `report` is called with each file of a folder as it is finished.

    Raises:
        UsageError: it names none, or not at this speed.
        ClientError: it would need a program that is not there.
    """
    path, suffix = Path(out), Path(out).suffix.lower()
    check_rate(fps)
    if not out or "\0" in out or out == "-":
        raise UsageError(f"--out: found {out!r}, expected {_EXPECTED}")
    template = parse_template(out, 1)
    if out.endswith(("/", os.sep)) or os.path.isdir(out) or not suffix:
        return Folder(path, fps, loop, Template("frame%05d.png"), report)
    if suffix == ".png" and template is not None:
        return Folder(path.parent, fps, loop, template, report)
    kinds: dict[str, Callable[[Path, float, bool], Animation]]
    kinds = {".gif": Gif, ".webp": WebP, ".png": Apng, ".apng": Apng, ".mp4": Mp4}
    if suffix not in kinds:
        raise UsageError(f"--out: found {out}, expected {_EXPECTED}")
    check_rate(fps, suffix)
    return kinds[suffix](path, fps, loop)


def check_rate(fps: float, suffix: str = "") -> None:
    """See that files of this ending can be so fast.

    Raises:
        UsageError: they cannot.
    """
    if not 0.1 <= fps <= MOST_FPS:
        raise UsageError(f"--fps: found {fps:g}, expected 0.1 to {MOST_FPS} frames a second")
    if suffix == ".gif" and fps > MOST_GIF_FPS:
        raise UsageError(f"--fps: found {fps:g}, expected at most {MOST_GIF_FPS} in a GIF")


def find_ffmpeg() -> str | None:
    """The program that is installed, or that of imageio-ffmpeg; None where there is neither."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return shutil.which(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def _is_frame(path: Path, number: int) -> bool:
    """Whether a picture says of itself that it is this frame."""
    try:
        with Image.open(path) as opened:
            return opened.info.get(_FRAME) == str(number)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's, for other files
        return False


def _is_whole_mp4(path: Path) -> bool:
    """Whether a file's boxes, an index among them, end where it does. Source: ISO/IEC 14496-12, 4.2."""
    at, size, kinds = 0, path.stat().st_size, set()
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, kind, longer = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
            kinds.add(kind)
            at += max(8, longer if length == 1 else length)
    return at == size and {b"moov", b"mdat"} <= kinds


def _line(text: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in text.items())


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


def _with_palette(image: Image.Image) -> Image.Image:
    """The 256 colours that suit a frame best, and dots of them for those between; grey stays exact."""
    if image.mode == "L":
        return image
    return image.quantize(palette=image.quantize(256, Image.Quantize.MEDIANCUT), dither=Image.Dither.FLOYDSTEINBERG)
