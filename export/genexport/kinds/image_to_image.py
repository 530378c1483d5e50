"""Image-to-image: pictures become other pictures. A generator that is checked on real pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.describe import tables
from genexport.kinds.generator import Generator

if TYPE_CHECKING:
    from genexport.describe.model_card import Words
    from genexport.generator.load import Generator as Model
    from genexport.kinds.generator import Images


class ImageToImage(Generator):
    """`image` → `images`, perhaps with hints, labels or latents; compared on 64 pictures that it was not trained on."""

    name = "image-to-image"
    tasks = ("image-to-image",)
    warms_with_pictures = True
    leaves_out_integers = True  # eight bits are few for edges that have to stay where they are

    def features(self, run: Path | None) -> None:
        """None: 64 pictures are too few for a Fréchet distance."""

    def entries(self, model: Model) -> dict[str, Any]:
        return {
            "examples": {"count": model.compared, "source": model.real_examples.source if model.real_examples else None}
        }

    def grid_rows(
        self, rows: Mapping[str, Images], inputs: Mapping[str, Images], truth: Images | None
    ) -> dict[str, Images]:
        """Inputs first, then what every file makes of them, and the right answer last, where it is known."""
        input_rows = {f"input: {name}": pictures for name, pictures in inputs.items()}
        return {**input_rows, **rows, **({} if truth is None else {"true": truth})}

    def card(self, manifest: Mapping[str, Any]) -> str:
        from genexport.describe import model_card

        return model_card.text(manifest, _words(manifest))

    def takes(self, manifest: Mapping[str, Any]) -> str:
        return f"from {' and '.join(manifest['signatures']['serving_default']['inputs'])}"


def _words(manifest: Mapping[str, Any]) -> Words:
    from genexport.describe import model_card

    name, examples = manifest["name"], manifest["examples"]
    takes = ", ".join(model_card.inputs(manifest))
    source = "made-up pictures" if examples["source"] is None else f"pictures of {examples['source']}"
    device = model_card.smallest(manifest)
    on_device = (
        f"\ngenclient translate photo.jpg --tflite {device} --out translated.png     # no server" if device else ""
    )
    return model_card.Words(
        task="image-to-image",
        summary=f"A GAN generator that turns pictures into pictures of {tables.shape_text(manifest)} "
        f"(width×height×channels). It takes {takes}.",
        contact_sheet="inputs, and what every file makes of them",
        compared=f"translated {examples['count']} {source}",
        calling=f"""\
```sh
genserve --model_name {name} --model_base_path models/{name}     # or TensorFlow Serving
genclient translate photo.jpg --model {name} --out translated.png{on_device}
```

The signature `png` takes pictures of any size, PNG or JPEG, as `image_bytes`, and gives `png_bytes`.

{model_card.from_python(manifest)}""",
        limits=(
            "It knows pictures like those that it was trained on; of others it makes something all the same, which "
            "may show what is not there.",
            f"It gives nothing larger than {tables.shape_text(manifest)}.",
        ),
    )
