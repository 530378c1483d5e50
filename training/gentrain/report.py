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

from gentrain import page, record, timelapse
from gentrain.dataset import Dataset
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.progress import duration
from gentrain.record import Record
from gentrain.sheets import sheet, to_pixels

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

COLUMNS = 8  # images in a row of a sheet
MOST_CLASSES = 20  # rows of samples by class, and classes counted
MOST_CHARTS = 24

NAMES = {
    "d_loss": "critic",
    "g_loss": "generator",
    "r1": "R1 (real)",
    "r2": "R2 (generated)",
    "real_logit": "real",
    "fake_logit": "generated",
    "learning_rate": "learning rate",
    "images_per_second": "images/s",
    "frechet": "Fréchet distance",
    "kernel": "kernel distance",
}
X_LABEL = "kimg (thousand images shown)"
LINEAR = ("What the critic says", "Speed")
LOWER_IS_BETTER = ("frechet", "kernel")
SHARES = ("precision", "recall", "density", "coverage")

# What is drawn together: title, label of the y axis, which keys of log.jsonl. Any other key has a chart of its own.
CHARTS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("Fréchet distance", "distance", lambda key: key == "frechet"),
    ("Kernel distance", "distance", lambda key: key == "kernel"),
    ("Precision, recall, density, coverage", "share", lambda key: key in SHARES),
    ("Losses", "loss, mean of a tick", lambda key: key.endswith("_loss")),
    ("What the critic says", "logit, mean of a tick", lambda key: key.endswith("_logit")),
    ("Gradient penalties", "squared gradient", lambda key: key in ("r1", "r2", "penalty", "gradient_penalty")),
    ("Learning rate", "learning rate", lambda key: key.endswith("learning_rate")),
    ("Speed", "images/s", lambda key: key == "images_per_second"),
)


def write(run: Path, out: Path, film: Path) -> None:
    """Write the page to `out`, and the time-lapse of the samples to `film` (.webp or .gif).

    Raises:
        TrainError: `run` is no run, or a file cannot be written.
        UsageError: `film` ends otherwise.
    """
    found = record.read(run)
    frames = timelapse.write(run, film)
    html = page.page(f"{_name(run)} – gentrain report", _body(found, film if frames else None))
    with replacing(out) as temporary:
        temporary.write_bytes(html)


def _body(found: Record, film: Path | None) -> Iterable[str]:
    dataset, reason = _dataset(found)
    yield f"<h1>{page.escape(_name(found.run))}</h1>"
    yield page.paragraph(_summary(found), "lead")
    yield page.section("Samples", *_samples(found, dataset, reason))
    yield page.section("Classes", *_classes(found, dataset))
    yield page.section("Over the training", _film(found, film))
    yield page.section("Scores", *_scores(found))
    yield page.section("Nearest training images", _nearest(found))
    yield page.section("Curves", page.grid(_charts(found)) or page.paragraph("No line is in log.jsonl yet."))
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
        length += f" in {duration(done.seconds)}" + ("" if over else f"; under way or stopped: {target:g} were asked for")
    speed = f", {done.images_seen / done.seconds:.0f} images/s on average" if done.seconds else ""
    return f"{_images(found)}. Trained for {length}{speed}."


def _images(found: Record) -> str:
    shape = found.dataset.get("image_shape") or found.config.get("image_shape") or ()
    size = f", {shape[1]}×{shape[0]}, {'grey' if shape[2] == 1 else 'colour'}" if len(shape) == 3 else ""
    classes = found.dataset.get("class_names") or ()
    count = found.dataset.get("count", found.config.get("image_count", "?"))
    return f"{found.config.get('data', 'images')}: {count} images{size}" + (
        f", {len(classes)} classes" if classes else ""
    )


def _dataset(found: Record) -> tuple[Dataset | None, str]:
    """The images of the run, or None and why they cannot be shown."""
    from gentrain import run as training
    from gentrain import sources

    try:
        plan = training.plan(found.run)
        dataset = sources.read(plan.data, plan.frame)
    except TrainError as error:
        return None, f"Without real images beside them: {error}."
    if found.dataset.get("fingerprint") not in (None, dataset.fingerprint):
        return None, f"Without real images beside them: those at {plan.data} are no longer what it was trained on."
    return dataset, ""


def _samples(found: Record, dataset: Dataset | None, reason: str) -> Iterable[str]:
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
    if reason:
        yield page.paragraph(reason)


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
    yield page.paragraph(f"A column of generated images has the same latents in every row.{more}")
    yield page.pictures(rows, ("class", "real", "generated"))


def _samples_by_class(generator: Path, classes: int) -> list[Pixels]:
    """Seeds 0 to 7 through a conditional generator, once for every class: uint8 (8, H, W, C) each."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras

    from gentrain.latents import latents_of_seeds

    model = keras.models.load_model(generator, compile=False)
    size = next(tensor.shape[1] for tensor in model.inputs if tensor.name == "latents")
    latents = latents_of_seeds(range(COLUMNS), size)
    return [
        to_pixels(np.asarray(model({"latents": latents, "labels": np.full(COLUMNS, label, np.int32)}, training=False)))
        for label in range(classes)
    ]


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
    return f'<div class="narrow">{page.figure(moving, caption=f"The same latents throughout; also in {film.name}")}</div>'


def _scores(found: Record) -> Iterable[str]:
    scores = found.scores()
    if not scores:
        yield page.paragraph(f"Not measured yet: `gentrain evaluate {found.run}`")
        return
    rows = [
        (
            NAMES.get(name, name.replace("_", " ")) + (" (lower is better)" if name in LOWER_IS_BETTER else ""),
            f"{score.value:.4g}",
            "" if score.floor is None else f"{score.floor:.4g}",
        )
        for name, score in scores.items()
    ]
    yield page.table(rows, ("", "measured", "floor"))
    features = found.metrics.get("features")
    told = features if isinstance(features, dict) else {"name": features} if features else {}
    notes = [f"{found.metrics['samples']} samples"] if "samples" in found.metrics else []
    notes += [f"features: {', '.join(f'{key} {value}' for key, value in told.items())}"] if told else []
    yield page.paragraph(
        "The floor is what real images reach against real ones. Numbers compare only in the same features and with as "
        f"many samples ({'; '.join(notes) or 'neither is recorded'})."
    )


def _nearest(found: Record) -> str:
    try:
        data = (found.run / "nearest.png").read_bytes()
    except OSError:
        return ""
    alt = "Generated images, each with the training images that are nearest to it"
    return page.figure(page.image(data, "image/png", alt), caption="Is it memorising? " + alt + ".")


def _charts(found: Record) -> list[str]:
    keys = list(dict.fromkeys(key for line in found.log for key in line if key not in ("kimg", "seconds")))
    charts = []
    for title, label, belongs in CHARTS:
        together = [key for key in keys if belongs(key)]
        keys = [key for key in keys if key not in together]
        if together:
            charts.append(_chart(found, title, label, together))
    return charts + [_chart(found, NAMES.get(key, key), key, [key]) for key in keys[: MOST_CHARTS - len(charts)]]


def _chart(found: Record, title: str, label: str, keys: list[str]) -> str:
    from gentrain import figures

    lines = {_plain(NAMES.get(key, key)): found.curve(key) for key in keys}
    floors = {_plain(NAMES.get(k, k)): s.floor for k, s in found.scores().items() if k in keys and s.floor is not None}
    light, dark = (
        figures.curves(lines, X_LABEL, _plain(label), theme, floors, may_be_log=title not in LINEAR)
        for theme in (figures.LIGHT, figures.DARK)
    )
    last = ", ".join(f"{name} {y[-1]:.3g}" for name, (_, y) in lines.items())
    caption = "Dashed: the floor, what real images reach." if floors else ""
    return page.figure(page.themed(light, dark, f"{title} over kimg; at the end {last}"), title, caption)


def _plain(text: str) -> str:
    """Without what matplotlib would take for mathematics, and no longer than fits."""
    return text.replace("$", "").replace("\\", "")[:40] or "?"


def _facts(found: Record) -> Iterable[str]:
    from gentrain.presets import PRESETS

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
    yield _fold("Every setting", [(name, str(value)) for name, value in found.settings.items()])
    counts = list(dict(found.dataset.get("class_counts") or {}).items())
    yield _fold("Images a class", [(str(name), str(count)) for name, count in counts[: 10 * MOST_CLASSES]])
    yield _fold("Files skipped", [(str(s.get("file")), str(s.get("reason"))) for s in skipped[: 5 * MOST_CLASSES]])


def _fold(title: str, rows: list[tuple[str, str]]) -> str:
    return f"<details><summary>{page.escape(title)}</summary>\n{page.table(rows)}\n</details>" if rows else ""


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
