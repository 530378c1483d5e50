"""Video generation: clips of one length, from latents or from a picture, which is their first frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.describe import tables
from genexport.kinds.generator import Generator
from genexport.kinds.kind import Companion

if TYPE_CHECKING:
    from genexport.describe.model_card import Words
    from genexport.generator.load import Generator as Model
    from genexport.kinds.generator import Images
    from genexport.options import Options

SHOWN_FRAMES = 16
SHOWN_CLIPS = 4
"""Of Keras in the contact sheet, a row each; every file has one."""


class VideoGeneration(Generator):
    """`latents` (and labels), or `image` → `clips` (N, T, H, W, C), compared with Keras on 64 examples."""

    name = "video-generation"
    tasks = ("video-generation",)
    warms_with_pictures = True
    leaves_out_integers = True

    def warmed_shape(self, model: Model) -> tuple[int, ...]:
        return model.output_shape

    def companions(self, model: Model, run: Path | None, options: Options) -> list[Companion]:
        """None: a discriminator of clips scores no images."""
        return []

    def features(self, run: Path | None) -> None:
        """None: a feature net of images says nothing of motion."""

    def entries(self, model: Model) -> dict[str, Any]:
        source = model.real_examples.source if model.real_examples else None
        return {"examples": {"count": model.compared, "source": source}}

    def grid_rows(
        self, rows: Mapping[str, Images], inputs: Mapping[str, Images], truth: Images | None
    ) -> dict[str, Images]:
        """A clip a row: the first few of Keras, then the first one of each file; what they are made of comes below."""
        keras, *files = rows
        shown = {f"{keras}: clip {number}": clip for number, clip in enumerate(rows[keras][:SHOWN_CLIPS])}
        shown |= {f"{file}: clip 0": rows[file][0] for file in files}
        shown |= {} if truth is None else {"true: clip 0": truth[0]}
        frames = {caption: _some(clip) for caption, clip in shown.items()}
        return {**frames, **{f"given: {name}": pictures[:SHOWN_CLIPS] for name, pictures in inputs.items()}}

    def draw(self, model: Model, images: Images, folder: Path) -> None:
        from genexport.describe import preview

        preview.write(images, model.frames_per_second or preview.FRAMES_PER_SECOND, folder / preview.FILE)

    def card(self, manifest: Mapping[str, Any]) -> str:
        from genexport.describe import model_card

        return model_card.text(manifest, _words(manifest))


def _some(clip: Images) -> Images:
    """Up to 16 frames of a clip, evenly."""
    return clip[:: -(-len(clip) // SHOWN_FRAMES)]


def _words(manifest: Mapping[str, Any]) -> Words:
    from genexport.describe import model_card, preview

    name, examples = manifest["name"], manifest["examples"]
    of_a_picture = "image" in manifest["signatures"]["serving_default"]["inputs"]
    rate = manifest["frames_per_second"]
    speed = f", {rate:g} frames a second" if rate else ""
    command = "animate photo.png" if of_a_picture else "sample --seeds 0-15"
    device = model_card.smallest(manifest)
    on_device = f"\ngenclient {command} --tflite {device} --out clips.gif     # no server" if device else ""
    seeds = "" if of_a_picture else "One seed is one clip, in every file and on every device.\n\n"
    return model_card.Words(
        task="video-generation",
        summary=f"A GAN generator of clips, {tables.shape_text(manifest)} (width×height×channels){speed}, from "
        f"{', '.join(model_card.inputs(manifest))}.",
        contact_sheet="a clip a row, through every file",
        compared=f"generated the clips of {examples['count']} {_examples(examples['source'], of_a_picture)}",
        calling=f"""\
![clips that Keras generates]({preview.FILE})

{seeds}```sh
genserve --model_name {name} --model_base_path models/{name}     # or TensorFlow Serving
genclient {command} --model {name} --out clips.gif{on_device}
```

The signature `png` gives `png_bytes`, a file a frame.

{model_card.from_python(manifest)}""",
        limits=(
            "It reproduces the gaps and biases of the clips that it was trained on, and generates no others than "
            f"{tables.shape_text(manifest)}.",
            *(("Of pictures unlike its training clips' it makes something all the same.",) if of_a_picture else ()),
        ),
        pipeline="image-to-video" if of_a_picture else "",
    )


def _examples(source: str | None, of_a_picture: bool) -> str:
    if not of_a_picture:
        return "fixed seeds"
    return "made-up pictures" if source is None else f"pictures of {source}"
