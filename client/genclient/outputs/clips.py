"""Places for clips, which batches have as `images` (N, T, H, W, C): one animation, one picture, an archive, shards.

A file for each is clip_files.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.images.grid import check_channels, clip_rows, laid_out
from genclient.outputs.animation import Animation, ExactWebP, open_animation
from genclient.outputs.archive import Archive
from genclient.outputs.clip_files import ClipFiles
from genclient.outputs.grid import Grid
from genclient.outputs.image_set import ImageSet
from genclient.outputs.output import Output, Outputs, Places
from genclient.outputs.shards import TarShards
from genclient.outputs.template import parse_template

FPS = 12.0
"""Frames a second, where nobody says otherwise."""

ANIMATIONS = (".gif", ".webp", ".apng", ".mp4")

_EXPECTED = (
    "a name that ends in .gif, .webp, .apng, .mp4, .png, .npz or .tar, a folder, frame%05d.png, clip%04d.gif, or -"
)


class ClipAnimation(Output):
    """All clips side by side, playing together; or the frames of that, each a file."""

    def __init__(
        self,
        image_set: ImageSet,
        animation: Animation,
        files: Sequence[Path],
        grid: tuple[int, int] | None,
        scale: int | None,
        captions: bool,
    ) -> None:
        """Take the animation, the list that it puts finished files of a folder in, and how clips are laid out."""
        super().__init__(image_set)
        self._animation, self._files, self._captions = animation, files, captions
        self._scale = scale or (None if animation.enlarged else 1)
        rows = (len(image_set.seeds), image_set.rows) if image_set.rows > 1 else None
        self._grid = rows or grid
        self._clips: NDArray[np.uint8] | None = None

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Put clips in their places."""
        if self._clips is None:
            check_channels(encoded.shape[-1])
            self._clips = np.empty((len(self.image_set), *encoded.shape[1:]), np.uint8)
        self._clips[places] = encoded
        self.version = version
        return []

    def finish(self) -> Sequence[Path]:
        """Write the animation."""
        assert self._clips is not None
        written = self._animation.save(self._frames(self._clips), self.image_set.grid_text(self.version))
        self._clips = None
        return [*self._files, *written]

    def discard(self) -> None:
        """Forget the clips."""
        self._clips = None

    def plan(self, missing: Places) -> list[str]:
        """The animation."""
        return [str(self._animation.path)]

    def _frames(self, clips: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        captions = [self.image_set.caption(place) for place in range(len(self.image_set))] if self._captions else []
        for frame in range(clips.shape[1]):
            yield laid_out(clips[:, frame], *(self._grid or ()), scale=self._scale, captions=captions)


class ClipGrid(Grid):
    """One picture, in which each clip is a row of its frames."""

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> NDArray[np.uint8]:
        """Rows."""
        return clip_rows(outputs["images"])


class ClipShards(TarShards):
    """Shards for WebDataset with `KEY.webp`, an animation of exactly these pixels, for each clip."""

    suffix = "webp"
    fps = FPS

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> list[bytes]:
        """Records."""
        clips = outputs["images"]
        return self.records(places, self._files(clips), clips.shape[1:], version)

    def _request(self) -> dict[str, Any]:
        return {**super()._request(), "frames_per_second": self.fps}

    def _files(self, clips: NDArray[np.uint8]) -> list[bytes]:
        check_channels(clips.shape[-1])
        animation = ExactWebP(self._out, self.fps, True)
        return [animation.content(iter(clip), {}) for clip in clips]

    def is_whole_picture(self, content: bytes, key: str, mark: str) -> bool:
        """Whether it ends where it says; whose it is stands in the JSON beside it."""
        return content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 == len(content)


def open_clips(
    out: str,
    image_set: ImageSet,
    send: Callable[[bytes], None],
    *,
    fps: float,
    grid: tuple[int, int] | None = None,
    shard_size: int | None = None,
    overwrite: bool = False,
    scale: int | None = None,
    captions: bool = False,
    latent_size: int | None = None,
) -> Output:
    """The place for clips that `out` names; arguments are those of `place.open_output`, and frames per second.

    Raises:
        UsageError: it names no place for clips, or not with these settings.
        ClientError: it would need a program that is not there.
    """
    path, suffix = Path(out), Path(out).suffix.lower()
    is_folder, template = _is_folder(out), parse_template(out, 2)
    archive, shards = suffix == ".npz" and not is_folder, suffix == ".tar" and not is_folder
    each = is_folder or (suffix in ANIMATIONS and template is not None)
    for option, given in (("grid", grid is not None), ("scale", scale is not None), ("captions", captions)):
        if given and (archive or shards or (each and option != "scale")):
            raise UsageError(f"--{option}: found it beside --out {out}, expected an animation or a picture")
    if latent_size is not None and not archive:
        raise UsageError(f"--save-latents: found it beside --out {out}, expected it with an archive, a .npz file")
    if shard_size is not None and not shards:
        raise UsageError(f"--shard-size: found it beside --out {out}, expected it with .tar")
    if archive:
        return Archive(image_set, path, latent_size)
    if shards:
        made = ClipShards(image_set, path, template, shard_size, overwrite)
        made.fps = fps
        return made
    if each:
        template = None if is_folder else parse_template(out, 1)
        return ClipFiles(image_set, path.parent if template else path, template, overwrite, fps, scale or 1)
    if out == "-" or (suffix == ".png" and not _is_of_frames(out)):
        layout = grid or (1, len(image_set))
        return ClipGrid(image_set, None if out == "-" else path, send, layout, scale, captions)
    if not (_is_of_frames(out) or suffix in ANIMATIONS):
        raise UsageError(f"--out: found {out}, expected {_EXPECTED}")
    files: list[Path] = []
    return ClipAnimation(image_set, open_animation(out, fps, True, files.append), files, grid, scale, captions)


def is_several_files(out: str) -> bool:
    """Whether a place gets several: a folder, or pictures whose names have a number."""
    return _is_folder(out) or _is_of_frames(out)


def _is_of_frames(out: str) -> bool:
    return out.lower().endswith(".png") and parse_template(out, 1) is not None


def _is_folder(out: str) -> bool:
    return out != "-" and (out.endswith(("/", os.sep)) or os.path.isdir(out) or not Path(out).suffix)
