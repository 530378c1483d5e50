"""A folder with a file for each clip, animated WebP of exactly its pixels, or files by a template; and a manifest.

What is there already is known by the text in it, as with pictures.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from genclient.errors import UsageError
from genclient.images.grid import check_channels
from genclient.outputs import png
from genclient.outputs.animation import Apng, ExactWebP, Gif, Picture, check_rate
from genclient.outputs.image_set import ImageSet
from genclient.outputs.names import renamed
from genclient.outputs.output import Outputs, Places
from genclient.outputs.pictures import Pictures
from genclient.outputs.template import Template

SUFFIX = ".webp"
"""Of the files of a folder."""

KINDS: dict[str, type[Picture]] = {SUFFIX: ExactWebP, ".gif": Gif, ".apng": Apng}

_DESCRIPTION = 0x010E  # of EXIF


class ClipFiles(Pictures):
    """One file a clip. A later run adds what is missing, further seeds or pictures too."""

    def __init__(
        self, image_set: ImageSet, folder: Path, template: Template | None, overwrite: bool, fps: float, scale: int
    ) -> None:
        """As `Pictures`; and frames a second, and how wide each pixel is.

        Raises:
            UsageError: the template is of no animated picture, or has one name for several clips, or the rate is none.
        """
        super().__init__(image_set, folder, template, overwrite)
        self._suffix = os.path.splitext(template.text)[1].lower() if template else SUFFIX
        if template and self._suffix not in KINDS:
            raise UsageError(f"--out: found {template.text}, expected {', '.join(KINDS)} where each clip is a file")
        check_rate(fps, self._suffix)
        self._fps, self._scale = fps, scale
        self._animation = KINDS[self._suffix](folder, fps, True)

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> list[bytes]:
        """The files."""
        clips = outputs["images"]
        check_channels(clips.shape[-1])
        larger = clips.repeat(self._scale, axis=2).repeat(self._scale, axis=3)
        texts = [self.image_set.text(place, version) for place in places.tolist()]
        return [self._animation.content(iter(clip), text) for clip, text in zip(larger, texts, strict=True)]

    def is_whole(self, content: bytes, key: str, value: str) -> bool:
        """Whether it ends where it should, and says this of itself."""
        return png.is_whole(content, key, value) if self._suffix == ".apng" else is_whole(content, key, value)

    def _name(self, image_set: ImageSet, place: int) -> str:
        name = super()._name(image_set, place)
        return name if self._template else renamed(name, SUFFIX)

    def _request(self) -> dict[str, Any]:
        request = super()._request()
        files = request["files"] if self._template else renamed(request["files"], SUFFIX)
        return {**request, "files": files, "frames_per_second": self._fps, "scale": self._scale}


def is_whole(content: bytes, key: str, value: str) -> bool:
    """Whether this is a GIF or WebP that ends where it should, and says `key value` among what it says of itself."""
    if content[:4] == b"RIFF":
        ends = int.from_bytes(content[4:8], "little") + 8 == len(content)
    else:
        ends = content[:4] == b"GIF8" and content.endswith(b";")
    return ends and f"{key} {value}" in _said(content)


def _said(content: bytes) -> Sequence[str]:
    """What an animation was given as text, part by part."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.format == "GIF":
                return bytes(opened.info.get("comment", b"")).decode().split(", ")
            return str(opened.getexif().get(_DESCRIPTION, "")).split(", ")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's, for other files
        return ()
