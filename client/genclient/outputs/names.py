"""Which files a request has, by what its manifest says of it: all of an old set go where another takes its place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from genclient.errors import UsageError
from genclient.latents.file import Latents
from genclient.latents.seeds import parse_seeds
from genclient.outputs.image_set import ImageSet
from genclient.outputs.template import Template
from genclient.outputs.translation import ORIGINALS, Original, translation


def file_names(request: Mapping[str, Any]) -> Iterator[str]:
    """Names of files, some in folders of classes; none for what is no request of this version's."""
    try:
        files = str(request.get("files"))
        suffix = os.path.splitext(files)[1]
        if files == renamed(ORIGINALS, suffix):
            yield from (renamed(name, suffix) for name in filter(_is_inside, request["pictures"]))
            return
        image_set, template = _image_set(request), Template(str(request["files"]))
        size = request.get("shard_size")
        count = None if size is None else -(-len(image_set) // int(size))
    except (UsageError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return
    if count is not None:
        yield from (template.name(shard, count) for shard in range(count))
    elif image_set.rows > 1 or image_set.labels:
        yield from (renamed(image_set.picture_name(place), suffix) for place in range(len(image_set)))
    else:
        yield from map(template.name, image_set.numbers.tolist())


def renamed(name: str, suffix: str) -> str:
    """With another ending: clips have names as pictures do."""
    return os.path.splitext(name)[0] + suffix


def _is_inside(name: str) -> bool:
    """Whether a name stays within its folder, whoever wrote the manifest."""
    return not os.path.isabs(name) and ".." not in name.replace(os.sep, "/").split("/")


def _image_set(request: Mapping[str, Any]) -> ImageSet:
    """The images of a request, but for the latents themselves."""
    if "pictures" in request:
        return translation(str(request["model"]), [Original(*pair) for pair in request["pictures"].items()])
    label, digest = request["label"], request["latents_sha256"]
    return ImageSet(
        model=str(request["model"]),
        seeds=parse_seeds(str(request["seeds"])),
        label=label if isinstance(label, int) else None,
        labels=tuple(map(int, label)) if isinstance(label, list) else (),
        classes=tuple(map(str, request["classes"])),
        texts=tuple(map(str, request.get("texts") or ())),
        latents=None if digest is None else Latents("", np.empty((0, 0), np.float32), str(digest)),
    )
