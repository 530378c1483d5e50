"""Generators: images from latents and whatever else their interface names, compared with Keras pixel by pixel.

version.py       what a version holds beside its SavedModel: files, pictures, card, manifest
proof.py         every file of it run, and held to its limit
inverted.py      the way back: what its run's encoder adds, from pictures to latents
worst_layer.py   the layer that loses most of a file's accuracy
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.describe import tables
from genexport.kinds.kind import Companion, Kind, Report, Source, Version

if TYPE_CHECKING:
    import numpy as np

    from genexport.compare.frechet import Features
    from genexport.compare.parity import Difference
    from genexport.generator.load import Generator as Model
    from genexport.options import Options
    from genexport.savedmodel.signatures import Signature

    Images = np.ndarray[Any, Any]


class Generator(Kind):
    """Images of seeds. A model is a `generator.load.Generator`."""

    name = "generator"
    tasks = ("image-generation",)
    leaves_out_integers = False
    """Whether an int8 or micro file past its limit is left out; else nothing is published."""

    def load(self, source: Source) -> Model:
        from genexport.generator.encoder import with_encoder
        from genexport.generator.load import load

        return with_encoder(load(*source), source.path)

    def about(self, model: Model) -> str:
        from genexport.roles import ROLES

        low, high = model.output_range
        shape = tables.shape_text({"image_shape": model.image_shape, **model.facts})
        facts = {**model.facts, "class_names": ()}
        takes = ", ".join(ROLES[tensor.role].words(tensor.shape, facts) for tensor in model.inputs)
        return f"{shape} from {takes}, pixels from {low:g} to {high:g}"

    def endpoints(self, model: Model) -> dict[str, Signature]:
        from genexport.kinds.generator import inverted
        from genexport.savedmodel import signatures

        back = inverted.signatures(model.encoder) if model.encoder else {}
        return signatures.signatures(model) | back

    def examples(self, model: Model, count: int) -> Mapping[str, Any]:
        from genexport.savedmodel import signatures

        return signatures.examples(model, count)

    def warm(self, model: Model, count: int) -> Mapping[str, Any]:
        """The same; and for its encoder some picture."""
        import numpy as np

        back = {"image": np.full((count, *model.image_shape), 0.5, np.float32)} if model.encoder else {}
        return {**self.examples(model, count), **back}

    def interface(self, model: Model) -> Mapping[str, Any] | None:
        if model.description is None:
            return None
        back = {"invert": model.encoder.interface(model)} if model.encoder else {}
        return {**model.description.json, **back}

    def compare(self, model: Model, version: Version) -> dict[str, Any]:
        from genexport.kinds.generator import version as generator_version

        return generator_version.compare(self, model, version)

    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], report: Report
    ) -> dict[str, Difference]:
        from genexport.kinds.generator import version as generator_version

        return generator_version.verify(folder, manifest, reference, report)

    def companions(self, model: Model, run: Path | None, options: Options) -> list[Companion]:
        """Its run's discriminator."""
        from genexport.kinds.discriminator import Discriminator
        from genexport.kinds.discriminator import model as discriminator

        model_of_run = discriminator.load(model, run) if run and options.discriminator else None
        return [Companion(discriminator.SUFFIX, Discriminator(), model_of_run)] if model_of_run else []

    def features(self, run: Path | None) -> Features | None:
        """The network that measures what a file does to the Fréchet distance, if that is to be measured."""
        from genexport.compare.frechet import Features

        return Features.of(run)

    def entries(self, model: Model) -> dict[str, Any]:
        """What the manifest says beside what those of all generators have."""
        return {}

    def grid_rows(
        self, rows: Mapping[str, Images], inputs: Mapping[str, Images], truth: Images | None
    ) -> dict[str, Images]:
        """The rows of the contact sheet: each file's images, and the pictures that they are made of."""
        return {**rows, **{f"given: {name}": pictures for name, pictures in inputs.items()}}

    def draw(self, model: Model, images: Images, folder: Path) -> None:
        """Write further pictures of what Keras makes, (N, …) in [0, 1], into a version's folder."""

    def card(self, manifest: Mapping[str, Any]) -> str:
        """MODEL_CARD.md, of a manifest with the files beside it."""
        from genexport.describe import model_card

        return model_card.text(manifest, model_card.of_generator(manifest))

    def takes(self, manifest: Mapping[str, Any]) -> str:
        inputs = manifest["signatures"]["serving_default"]["inputs"]
        return f"from {manifest['latent_size']} latents" if "latents" in inputs else f"from {' and '.join(inputs)}"

    def quality(self, manifest: Mapping[str, Any]) -> str:
        return tables.quality_text(manifest) or "not measured"
