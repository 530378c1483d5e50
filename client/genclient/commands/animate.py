"""`genclient animate`: clips that a model makes of a user's pictures, each of which begins to move."""

from __future__ import annotations

import math
from typing import Any

import click

from genclient.cli.console import Console
from genclient.cli.given import collected, protect, surveyed
from genclient.cli.options import (
    clip_rate_option,
    command,
    image_set_options,
    out_option,
    output_options,
    source_options,
    value_range_option,
    value_ranges,
)
from genclient.cli.placing import place_of, rate_of
from genclient.cli.run import Run, check_stdout, grid_of, print_plan
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.cli.translating import Translator
from genclient.errors import ClientError

COMMON = ("out", "fps", "grid", "overwrite", "target", "model", "tflite")
"""Options that --help shows."""

MOST_BYTES = 2**28
"""Of clips in memory, where they are written one by one."""


@command(common=COMMON)
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@out_option(
    "out.gif",
    "An animation (.gif, .webp, .apng, .mp4), a folder with a file a picture, frame%05d.png, a clip a row (.png), "
    "arrays (.npz), %06d.tar, or -.",
)
@clip_rate_option("clips")
@value_range_option
@image_set_options(
    caption="the picture's name",
    overwrites="other files of the same names",
    scale="to about 512 pixels; in a folder: 1",
)
@source_options
@output_options
@click.pass_context
def animate(
    context: click.Context, /, pictures: tuple[str, ...], out: str, server: Server, console: Console, **options: Any
) -> None:
    """Make a clip of each PICTURE with a model that animates stills, and print the paths of the files written.

    \b
    genclient animate photo.png --model alive --out photo.gif
    genclient animate photos/ --model alive --grid 4x2 --fps 8 --out wall.mp4
    genclient animate photos/ --tflite alive-dynamic.tflite --out moving/
    genclient animate photos/ --model alive --out clips/%06d.tar

    PICTURE is a file that Pillow reads, a folder that is searched at any depth, or - for stdin. Several clips play side
    by side, or a folder gets an animated WebP for each. Pictures of any size are taken, as by translate; those that
    cannot be read are reported, and the exit code is then 1. Folders and shards (.tar) resume.
    """
    from genclient.client.translation import Variations, check_result
    from genclient.outputs.clip_files import SUFFIX
    from genclient.outputs.translation import translation

    options["grid"] = grid_of(options["grid"])
    ranges = value_ranges(options["value_range"])
    check_stdout(out, console)
    given = list(collected(pictures, out))
    with open_source(context, server, options) as source:
        if not options["dry_run"]:
            source.resolve_version()
        check_result(source.binding(), source.model, clips=True)
        good, originals, failed = surveyed(source, given, ranges, None, console)
        for line in failed:
            console.note(line)
        if not good:
            raise ClientError(f"found no picture that can be read, of {len(given)}")
        image_set = translation(source.model, originals, source.model_sha256, task="video-generation")
        protect(out, image_set, given, options["overwrite"], SUFFIX)
        output = place_of(out, image_set, source, options)
        if options["dry_run"]:
            print_plan(source, output, console)
        else:
            translator = Translator(source, good, ranges, None, Variations(), is_grid=False)
            translator.at_a_time = max(1, min(translator.at_a_time, MOST_BYTES // _clip_bytes(source)))
            Run(source, output, out, console, translator.batches, options["show"], rate_of(source, options)).go()
    if failed:
        context.exit(1)


def _clip_bytes(source: Source) -> int:
    """Of one clip; of sides that are not known, those of a small one."""
    return math.prod(side or 16 for side in source.clip_shape() or ())
