"""One HTML page about a run: what was trained, its curves and scores, its samples beside real images.

Works on a run under way too. What is missing (metrics, the images themselves) is said on the page, with what to do.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gentrain import curves, page, record, sources, timelapse
from gentrain.dataset import Dataset, Frame
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.metrics import METRICS
from gentrain.plan import plan
from gentrain.presets import PRESETS
from gentrain.progress import duration
from gentrain.record import Record
from gentrain.sheets import sheet, to_pixels

Read = Callable[[str, Frame], Dataset]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

COLUMNS = 8  # images in a row of a sheet
MOST_CLASSES = 20  # rows of samples by class
MOST_ROWS = 200  # of the long tables


def write(run: Path, out: Path, film: Path, read: Read = sources.read) -> None:
    """Write the page to `out`, and the time-lapse of the samples to `film` (.webp or .gif).

    `read` gives the images of a source, as `gentrain.sources.read`.

    Raises:
        TrainError: `run` is no run, or a file cannot be written.
        UsageError: `film` ends otherwise.
    """
    found = record.read(run)
    frames = timelapse.write(run, film)
    html = page.page(f"{_name(run)} – gentrain report", _body(found, film if frames else None, read))
    with replacing(out) as temporary:
        temporary.write_bytes(html)


def _body(found: Record, film: Path | None, read: Read) -> Iterable[str]:
    dataset, reason = _dataset(found, read)
    yield page.heading(_name(found.run))
    yield page.paragraph(_summary(found), "lead")
    by_class = list(_classes(found, dataset))
    yield page.section("Samples", *(by_class or _samples(found, dataset)), reason and page.paragraph(reason))
    yield page.section("Over the training", _film(found, film))
    yield page.section("Scores", *_scores(found))
    yield page.section("Nearest training images", _nearest(found))
    yield page.section(
        "What it told", page.table([(f"{kimg:g} kimg", text) for kimg, text in found.notes[-MOST_ROWS:]])
    )
    yield page.section("Curves", page.grid(curves.charts(found)) or page.paragraph("No line is in log.jsonl yet."))
    yield page.section("What was trained", *_facts(found))


def _summary(found: Record) -> str:
    """One or two sentences: what, how far, how fast."""
    done, settings = found.progress, found.settings
    target = settings.get("kimg")
    length = f"{done.images_seen / 1000:g} kimg"
    if settings.get("minutes"):
        length += f" in {duration(done.seconds)} of {settings['minutes']:g} minutes"
    elif isinstance(target, (int, float)):
        over = done.images_seen >= target * 1000
        length += f" in {duration(done.seconds)}" + (
            "" if over else f"; under way or stopped: {target:g} were asked for"
        )
    speed = f", {done.images_seen / done.seconds:.0f} images/s on average" if done.seconds else ""
    return f"{_images(found)}. Trained for {length}{speed}."


def _images(found: Record) -> str:
    shape = list(found.dataset.get("image_shape") or found.config.get("image_shape") or ())
    size = f", {shape[1]}×{shape[0]}, {'grey' if shape[2] == 1 else 'colour'}" if len(shape) == 3 else ""
    classes = found.dataset.get("class_names") or ()
    count = found.dataset.get("count", found.config.get("image_count", "?"))
    return f"{found.config.get('data', 'images')}: {count} images{size}" + (
        f", {len(classes)} classes" if classes else ""
    )


def _dataset(found: Record, read: Read) -> tuple[Dataset | None, str]:
    """The images of the run, or None and why they cannot be shown."""
    try:
        wanted = plan(found.run)
        dataset = read(wanted.data, wanted.frame)
    except TrainError as error:
        return None, f"Without real images beside them: {error}."
    if found.dataset.get("fingerprint") not in (None, dataset.fingerprint):
        return None, f"Without real images beside them: those at {wanted.data} are no longer what it was trained on."
    return dataset, ""


def _samples(found: Record, dataset: Dataset | None) -> Iterable[str]:
    sheets = timelapse.sheets_of(found.run)
    if not sheets:
        yield page.paragraph("There is no sheet of samples yet.")
        return
    newest = sheets[-1]
    alt = f"Sheet of generated images after {timelapse.kimg_of(newest)} kimg"
    drawn = page.image(newest.read_bytes(), "image/png", alt, pixels=True)
    caption = f"Generated, after {timelapse.kimg_of(newest)} kimg: the same latents at every time, not chosen"
    figures = [page.figure(drawn, caption=caption)]
    if dataset is not None:
        order = np.random.default_rng(0).permutation(len(dataset.images))[: COLUMNS * COLUMNS]
        real = page.image(_png(sheet(dataset.images[order], COLUMNS)), "image/png", "Sheet of real images", pixels=True)
        figures.insert(0, page.figure(real, caption="Real, drawn at random from the training images"))
    yield page.grid(figures)


def _classes(found: Record, dataset: Dataset | None) -> Iterable[str]:
    """Real images beside samples, a row a class, where the generator takes labels."""
    generator = found.run / "generator.keras"
    if "labels" not in record.input_names(generator):
        return
    names = [str(name) for name in found.dataset.get("class_names") or ()]
    shown = names[:MOST_CLASSES]
    rows = []
    for label, (name, drawn) in enumerate(zip(shown, _samples_by_class(generator, len(shown)), strict=True)):
        real = ""
        if dataset is not None and dataset.labels is not None:
            members = np.flatnonzero(dataset.labels == label)
            members = np.random.default_rng(0).permutation(members)[:COLUMNS]
            real = _row(dataset.images[members], f"Real images of {name}")
        rows.append((name, real, _row(drawn, f"Generated images of {name}")))
    more = f" The first {len(shown)} of {len(names)} classes." if len(names) > len(shown) else ""
    yield page.paragraph(f"A row is a class; a column of generated images has the same latents in each.{more}")
    yield page.pictures(rows, ("class", "real", "generated"))


def _samples_by_class(generator: Path, classes: int) -> list[Pixels]:
    """Seeds 0 to 7 through a conditional generator, once for every class: uint8 (8, H, W, C) each."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras

    from gentrain.latents import latents_of_seeds

    model = keras.models.load_model(generator, compile=False)
    size = next(tensor.shape[1] for tensor in model.inputs if tensor.name == "latents")
    latents = np.asarray(latents_of_seeds(range(COLUMNS), size))
    labels = [np.full(COLUMNS, label, np.int32) for label in range(classes)]
    return [to_pixels(np.asarray(model({"latents": latents, "labels": row}, training=False))) for row in labels]


def _film(found: Record, film: Path | None) -> str:
    if film is None:
        return page.paragraph("A time-lapse needs two sheets of samples; so far there are fewer.")
    with Image.open(film) as opened:
        frames = getattr(opened, "n_frames", 1)
        opened.seek(frames - 1)
        still = io.BytesIO()
        opened.convert("RGB").save(still, "PNG")
    kind = "image/gif" if film.suffix.lower() == ".gif" else "image/webp"
    alt = f"Time-lapse: the same latents at {frames} times of the training"
    moving = page.moving(film.read_bytes(), kind, still.getvalue(), alt)
    return (
        f'<div class="narrow">{page.figure(moving, caption=f"The same latents throughout; also in {film.name}")}</div>'
    )


def _scores(found: Record) -> Iterable[str]:
    scores, metrics = found.scores(), found.metrics
    if not scores:
        yield page.paragraph(f"Not measured yet: `gentrain evaluate {found.run}`")
        return
    rows = []
    for name, score in scores.items():
        better = f" ({METRICS[name].better} is better)" if name in METRICS else ""
        floor = "" if score.floor is None else f"{score.floor:.4g}"
        rows.append((curves.NAMES.get(name, name.replace("_", " ")) + better, f"{score.value:.4g}", floor))
    yield page.table(rows, ("", "measured", "floor"))
    features = metrics.get("features")
    told = features if isinstance(features, dict) else {"name": features}
    notes = [f"{metrics['samples']} samples"] if "samples" in metrics else []
    notes += [f"the generator at {metrics['kimg']} kimg"] if metrics.get("kimg") is not None else []
    notes += [f"features: {', '.join(_brief(key, value) for key, value in told.items() if value)}"]
    yield page.paragraph(
        f"The floor is what real images reach in the place of generated ones. Measured: {'; '.join(notes)}. Numbers "
        "compare only in the same features and with as many samples."
    )
    accuracies = metrics.get("class_accuracy")
    if isinstance(accuracies, dict):
        rows = [
            (str(name), f"{value:.1%}" if isinstance(value, float) else str(value), "")
            for name, value in accuracies.items()
        ]
        yield page.fold("Taken for the class that was asked for", page.table([row[:2] for row in rows[:MOST_ROWS]]))


def _brief(key: str, value: Any) -> str:
    """One fact about a feature net: a hash is cut to what tells it from others."""
    if isinstance(value, float):
        return f"{key} {value:.1%}"
    return f"{key} {str(value)[:12] if key == 'hash' else value}"


def _nearest(found: Record) -> str:
    try:
        data = (found.run / "nearest.png").read_bytes()
    except OSError:
        return ""
    alt = "Generated images, each with the training images that are nearest to it"
    ratios = found.metrics.get("nearest")
    told = ratios.items() if isinstance(ratios, dict) else ()
    measured = [f"{value:.2f} by {space}" for space, value in told if isinstance(value, float)]
    caption = f"{alt}."
    if measured:
        caption += f" Distance, as a multiple of that between training images: {', '.join(measured)}; near 0: copies."
    return page.figure(page.image(data, "image/png", alt), caption=caption)


def _facts(found: Record) -> Iterable[str]:
    config, preset = found.config, found.config.get("preset")
    standard = vars(PRESETS[preset]()) if preset in PRESETS else {}
    changed = {name: value for name, value in found.settings.items() if standard.get(name, value) != value}
    rows = [("images", _images(found)), ("preset", str(preset))]
    rows += [(name, f"{value} (preset: {standard[name]})") for name, value in changed.items()]
    rows += [(f"version of {name}", str(value)) for name, value in dict(config.get("versions") or {}).items()]
    rows += [("git commit", str(config["git_commit"]))] if config.get("git_commit") else []
    skipped = found.dataset.get("skipped") or ()
    rows += [("files skipped", str(len(skipped)))] if skipped else []
    yield page.table(rows)
    yield page.fold("Every setting", page.table([(name, str(value)) for name, value in found.settings.items()]))
    counts = list(dict(found.dataset.get("class_counts") or {}).items())
    yield page.fold("Images a class", page.table([(str(name), str(count)) for name, count in counts[:MOST_ROWS]]))
    shown = [(str(entry.get("file")), str(entry.get("reason"))) for entry in skipped[:MOST_ROWS]]
    yield page.fold("Files skipped", page.table(shown))


def _row(images: Pixels, alt: str) -> str:
    """Images of one class side by side; with fewer than a row has, the rest stays white."""
    missing = COLUMNS - len(images)
    padded = np.concatenate([images, np.full((missing, *images.shape[1:]), 255, np.uint8)]) if missing else images
    return page.image(_png(sheet(padded, COLUMNS)), "image/png", alt, pixels=True)


def _png(pixels: Pixels) -> bytes:
    """uint8 (H, W, C) as a PNG of that very size."""
    with io.BytesIO() as file:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG", optimize=True)
        return file.getvalue()


def _name(run: Path) -> str:
    return run.resolve().name or str(run)
