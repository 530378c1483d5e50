"""MODEL_CARD.md: what a version is, in words, made of its manifest alone.

The front matter is that of the Hugging Face hub (huggingface.co/docs/hub/model-cards), the sections follow Mitchell et
al., "Model Cards for Model Reporting", 2019, arXiv 1810.03993.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genexport.describe import tables
from genexport.roles import ROLES
from genexport.roles.role import Role

FILE = "MODEL_CARD.md"

# Identifiers that the hub knows for what data are published under; any other text becomes `other` with a name.
LICENCES = """
    apache-2.0 mit afl-3.0 bsd bsd-2-clause bsd-3-clause cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
    cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 odc-by odbl pddl gpl-2.0
    gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 ofl-1.1 unlicense wtfpl
"""

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Words:
    """What the card of a kind says in words of its own.

    Attributes:
        task: of interface.json.
        summary: what it is, a sentence or two.
        contact_sheet: what contact_sheet.png shows.
        compared: goes on from "each file".
        calling: how to call it, Markdown.
        limits: what it cannot do, a sentence each.
        quality: Markdown, where it is not measured as generators are.
        results: what of each file was compared.
        licence_reaches: what the data's licence may extend to.
        pipeline: the hub's tag, where it is another than that of the task.
    """

    task: str
    summary: str
    contact_sheet: str
    compared: str
    calling: str
    limits: Sequence[str]
    quality: str = ""
    results: str = "pixels"
    licence_reaches: str = "generated images"
    pipeline: str = ""


PIPELINES = {
    "image-generation": "unconditional-image-generation",
    "video-generation": "text-to-video",
    "fake-detection": "image-classification",
}
"""Task of interface.json → the hub's tag, where it is another."""


def text(manifest: Mapping[str, Any], words: Words | None = None) -> str:
    """The card of a version.

    Args:
        manifest: with `files`, those beside the card.
        words: of its kind; a generator's unless given.
    """
    words = words or of_generator(manifest)
    parts = [
        _front_matter(manifest, words.task, words.pipeline),
        f"# {_plain(manifest['name'])}",
        f"{_plain(words.summary)} Exported {manifest['created']}.",
        f"![{words.contact_sheet}](contact_sheet.png)",
        "## Data",
        _data(manifest),
        "## Training",
        _training(manifest),
        "## Quality",
        words.quality or _quality(manifest),
        "## Files",
        _files(manifest, words),
        "## How to call it",
        words.calling,
        "## Limits",
        _limits(manifest, words),
    ]
    return "\n\n".join(parts) + "\n"


def of_generator(manifest: Mapping[str, Any]) -> Words:
    """The words of a generator of images from latents and whatever else it takes."""
    return Words(
        task=(manifest.get("interface") or {}).get("task", "image-generation"),
        summary=f"A GAN generator of {tables.shape_text(manifest)} images (width×height×channels) from "
        f"{', '.join(inputs(manifest))}.",
        contact_sheet="the same latents through every file",
        compared="generated the images of 256 fixed seeds",
        calling=_calling(manifest),
        limits=(
            "It reproduces the gaps and biases of its training images, and generates nothing larger than "
            f"{tables.shape_text(manifest)}.",
            "Latents far from N(0, 1) give images that were never checked.",
            "It may reproduce parts of training images: check `nearest.png` of the run before publishing it.",
        ),
    )


def inputs(manifest: Mapping[str, Any]) -> list[str]:
    """Each input for people: `32 latents`, `2 classes (cat, dog)`."""
    return [role.words(tuple(spec.get("shape", ())), manifest) for role, spec in _inputs(manifest)]


def smallest(manifest: Mapping[str, Any]) -> str:
    """The TFLite file that a device would take first; nothing where there is none."""
    name = manifest["name"]
    files = (f"tflite/{name}-{variant}.tflite" for variant in ("dynamic", "float32"))
    return next((file for file in files if file in manifest["files"]), "")


def _front_matter(manifest: Mapping[str, Any], task: str, pipeline: str = "") -> str:
    licence = manifest["data"]["licence"]
    known = licence.lower() in LICENCES.split()
    lines = ["# That of the training data, as stated at export."]
    lines += ["license: " + (licence.lower() if known else "unknown" if licence == NOT_STATED else "other")]
    if not known and licence != NOT_STATED:
        lines.append(f"license_name: {json.dumps(' '.join(licence.split()))}")
    tags = ["gan", task, "tensorflow", "keras"]
    tags += ["tflite", "litert"] if any(name.startswith("tflite/") for name in manifest["files"]) else []
    tags += ["onnx"] if any(name.startswith("onnx/") for name in manifest["files"]) else []
    tags += ["class-conditional"] if manifest["class_count"] else []
    lines += ["library_name: keras", f"pipeline_tag: {pipeline or PIPELINES.get(task, task)}", "tags:"]
    return "\n".join(["---", *lines, *(f"- {tag}" for tag in tags), "---"])


def _inputs(manifest: Mapping[str, Any]) -> list[tuple[Role, Mapping[str, Any]]]:
    """The roles of a version's inputs, and what they are in its signatures."""
    specs = manifest["signatures"]["serving_default"]["inputs"]
    described = {
        name for name, role in ROLES.items() if any(manifest.get(key, none) != none for key, none in role.facts.items())
    }
    return [(role, specs.get(name, {})) for name, role in ROLES.items() if name in {*specs, *described}]


def _data(manifest: Mapping[str, Any]) -> str:
    data = manifest["data"]
    counts = data.get("class_counts") or {}
    rows = {
        "source": data.get("source", NOT_STATED),
        "images": f"{data['count']:,}" if "count" in data else NOT_STATED,
        "skipped": data.get("skipped"),
        "classes": ", ".join(f"{name} ({count})" for name, count in list(counts.items())[:50]),
        "fingerprint": data.get("fingerprint"),
        "licence": data["licence"],
    }
    return _facts(rows)


def _training(manifest: Mapping[str, Any]) -> str:
    training = manifest["training"]
    if not training:
        return "Unknown: published from a model file without a run directory."
    seconds = training.get("seconds")
    versions = training.get("versions") or {}
    rows = {
        "preset": training.get("preset"),
        "images shown": f"{training['kimg']:g} kimg (thousands)" if "kimg" in training else None,
        "time": None if seconds is None else f"{seconds / 60:.1f} minutes",
        **{name: training.get(name) for name in ("networks", "loss", "augment", "batch", "precision", "seed")},
        "snapshot": manifest["provenance"].get("snapshot"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "git commit": training.get("git_commit"),
    }
    return _facts(rows)


def _quality(manifest: Mapping[str, Any]) -> str:
    quality = manifest["quality"]
    if not quality:
        return "Not measured. Run `gentrain evaluate RUN` before exporting to have the numbers here."
    copies, second = quality.get("copies", {}), quality.get("second", {})
    others = second.get("metrics", {})
    rows = [
        [name, *_beside(score), *(_beside(others.get(name)) if others else ())]
        for name, score in {**quality["metrics"], **copies}.items()
    ]
    header = ["metric", "value", "reference", *(["second net", "reference"] if others else [])]
    about = ["The reference is what real images score in place of generated ones: the best possible value."]
    names = [_plain(net["name"]) for each in (quality, second) if "name" in (net := each.get("features", {}))]
    if names and "samples" in quality:
        about += [f"Features: {', then '.join(names)}; {quality['samples']:,} generated images."]
    if copies:
        about += ["`memorised` is the part that copies training images, `originality` near 0 means copies."]
    if quality.get("unknown"):
        about += [f"{_plain(quality['unknown'])}."]
    if not any("floor" in score for score in quality["metrics"].values()):
        about = ["Measured during training. `gentrain evaluate RUN` adds the reference: what real images score."]
    return "\n\n".join([_markdown(header, rows), " ".join(about)])


def _beside(score: Mapping[str, float] | None) -> list[str]:
    """A value and its reference."""
    if score is None:
        return ["", ""]
    return [f"{score['value']:.4g}", f"{score['floor']:.4g}" if "floor" in score else "not measured"]


def _files(manifest: Mapping[str, Any], words: Words) -> str:
    rows = [row for row in tables.parity_rows(manifest) if row[-1]]
    about = (
        f"Before publishing, each file {words.compared}, which were compared with Keras ({words.results} "
        "from 0 to 1). `manifest.json` has the SHA-256 of every file; `genexport verify` repeats the checks."
    )
    header = ["file", *tables.PARITY_HEADER[1:]]
    if not any(row[4] for row in rows):  # no feature net at hand
        header, *rows = [[*row[:4], row[5]] for row in (header, *rows)]
    needs = manifest.get("tflite", {})
    rows = [[*row, needs.get(row[0].removeprefix("tflite/"), {}).get("runtime", "")] for row in rows]
    notes = [f"- `{name}`: {_plain(text)}." for name, text in tables.remarks(manifest)]
    return "\n\n".join([about, _markdown([*header, "TFLite from"], rows), *(["\n".join(notes)] if notes else [])])


def _calling(manifest: Mapping[str, Any]) -> str:
    name, roles, small = manifest["name"], _inputs(manifest), smallest(manifest)
    options = "".join(role.option for role, _ in roles)
    sample = f"--seeds 0-15{options} --out grid.png"
    device = f"\ngenclient sample --tflite {small} {sample}     # no server" if small else ""
    seeds = f"""\
One seed is one image, in every file and on every device: the latents of a seed are
`tf.raw_ops.StatelessRandomNormalV2(shape=[{manifest["latent_size"]}], key=[seed], counter=[0, 0], alg=1)`.

"""
    return f"""\
{seeds if "seeds" in manifest["signatures"] else ""}```sh
genserve --model_name {name} --model_base_path models/{name}     # or TensorFlow Serving
genclient sample --model {name} {sample}{device}
```

{_inverting(manifest)}{from_python(manifest)}"""


def _inverting(manifest: Mapping[str, Any]) -> str:
    """The way back, where there is an encoder."""
    encoder = manifest.get("encoder")
    if not encoder:
        return ""
    near = f" Samples of its own come back with {encoder['psnr']:.1f} dB." if "psnr" in encoder else ""
    labels = " and `labels` int32 (N,)" if manifest["class_count"] else ""
    return f"""\
```sh
genclient invert photo.jpg --model {manifest["name"]} --out photo.npz     # the latents that draw a picture
genclient sample --model {manifest["name"]} --latents photo.npz
```

`invert` takes `image` float32 (N, H, W, C) from 0 to 1 and gives `latents` float32 (N, Z){labels};
`invert_encoded` takes PNG or JPEG files of any size as `image_bytes` string (N,).{near} A picture unlike its training
images becomes the nearest that it can draw.

"""


def from_python(manifest: Mapping[str, Any]) -> str:
    """How Python calls the SavedModel, a sentence."""
    roles = _inputs(manifest)
    arguments = ", ".join(f"{role.name}=…" for role, _ in roles)
    gives = "clips are float32 (N, T, H, W, C)" if manifest.get("frame_count") else "images are float32 (N, H, W, C)"
    takes = " and ".join(f"`{role.name}` {spec['dtype']} {_sizes(spec['shape'])}" for role, spec in roles if spec)
    return (
        f'From Python: `tf.saved_model.load(folder).signatures["serving_default"]({arguments})`, {takes};\n'
        f"{gives} from 0 to 1."
    )


def _sizes(shape: Sequence[int | None]) -> str:
    sizes = ["N" if size is None else str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def _limits(manifest: Mapping[str, Any], words: Words) -> str:
    lines = list(words.limits)
    if not manifest["quality"] and not words.quality:
        lines.append("Its quality has not been measured.")
    licence = manifest["data"]["licence"]
    stated = "was not stated at export" if licence == NOT_STATED else f"is {_plain(licence)}, as stated at export"
    lines.append(
        f"The licence of the data {stated}; whether it extends to {words.licence_reaches} depends on your jurisdiction."
    )
    return "\n".join(f"- {line}" for line in lines)


def _facts(rows: Mapping[str, Any]) -> str:
    known = [[name, str(value)] for name, value in rows.items() if value not in (None, "")]
    return _markdown(("", ""), known)


def _markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *([_plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(value: Any) -> str:
    """On one line, with nothing that Markdown would take for its own."""
    return " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
