"""Which place `--out` means, once it is known whether a model makes images or clips."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genclient.cli.console import emit
from genclient.cli.source import Source
from genclient.errors import RpcError, UsageError

if TYPE_CHECKING:
    from genclient.outputs.image_set import ImageSet
    from genclient.outputs.output import Output


def place_of(
    out: str, image_set: ImageSet, source: Source, options: dict[str, Any], latent_size: int | None = None
) -> Output:
    """The place that `--out` names, by the options of `image_set_options` and `--fps`.

    Raises:
        UsageError: it is none for what the model makes.
        ClientError: the model cannot be reached, or a program is missing.
    """
    from genclient.outputs import clips
    from genclient.outputs.place import open_output

    settings = {name: options[name] for name in ("grid", "shard_size", "overwrite", "scale", "captions")}
    settings["latent_size"] = latent_size
    animated = out.lower().endswith(clips.ANIMATIONS) and not os.path.isdir(out)
    # What suits clips alone is for later; any other fault is told before a server is asked.
    frames = any(settings[name] for name in ("grid", "scale", "captions")) and clips.is_several_files(out)
    output = None if animated or frames else open_output(out, image_set, emit, **settings)
    if not _makes_clips(source, options["dry_run"], animated):
        if options["fps"] is not None:
            raise UsageError(f"--fps: found {options['fps']:g}, expected none: {source.model} makes images, no clips")
        return output or open_output(out, image_set, emit, **settings)
    return clips.open_clips(out, image_set, emit, fps=rate_of(source, options), **settings)


def rate_of(source: Source, options: dict[str, Any]) -> float:
    """Frames a second of clips: those of `--fps`, else those of the model where it says so."""
    from genclient.outputs.clips import FPS

    given = options["fps"]
    return (source.frames_per_second or FPS) if given is None else float(given)


def clip_frames(source: Source, dry_run: bool) -> int:
    """How many frames the model's clips have; 0 of images, of an unknown number, and where a dry run reaches no server.

    Raises:
        ClientError: the model cannot be reached.
    """
    try:
        return (source.clip_shape() or (0,))[0] or 0
    except RpcError as error:
        if dry_run and error.code.name == "UNAVAILABLE":
            return 0
        raise


def _makes_clips(source: Source, dry_run: bool, animated: bool) -> bool:
    """Whether the model does; where a dry run reaches no server, by the ending of `--out`."""
    try:
        return source.clip_shape() is not None
    except RpcError as error:
        if dry_run and error.code.name == "UNAVAILABLE":
            return animated
        raise
