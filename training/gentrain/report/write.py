"""One HTML page about a run: what was trained, its curves and scores, its samples beside real images.

Works on a run under way too. The page says what is missing (metrics, the images themselves), and what to do.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from gentrain import sources
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.images import clip_rows, image_grid
from gentrain.metrics import METRICS
from gentrain.metrics.nearest import copies
from gentrain.plan import plan
from gentrain.presets import PRESETS
from gentrain.progress import duration
from gentrain.report import curves, snapshots, timelapse
from gentrain.report import html as page
from gentrain.report.record import Record, Score, input_names
from gentrain.report.record import read as read_record
from gentrain.report.snapshots import Snapshot

Read = Callable[[str, Frame], Dataset]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

CLIPS = "A clip a row: the still, later frames as generated, and as they are"
ROWS = "A clip a row, nine frames of each"
TRIPLES = "Input, translated and true side by side, four pairs in a row"
STYLED = "Input, translated and one of the style side by side, four in a row"
COLUMNS = 8  # images in a row of an image grid
MOST_CLASSES = 20  # rows of samples by class
MOST_ROWS = 200  # of the long tables


def write(run: Path, out: Path, film: Path, read: Read = sources.read) -> None:
    """Write the page to `out`, and the time-lapse of the samples to `film` (.webp or .gif).

    `read` gives the images of a source, as `gentrain.sources.read`.

    Raises:
        TrainError: `run` is no run, or a file cannot be written.
        UsageError: `film` ends otherwise.

    Example:
    ```python
    write(Path("runs/digits"), out=Path("digits.html"), film=Path("digits.gif"))
    ```
    """
    record = read_record(run)
    frames = timelapse.write(run, film)
    html = page.page(f"{_name(run)} – gentrain report", _body(record, film if frames else None, read))
    with replacing(out) as temporary:
        temporary.write_bytes(html)


def _body(record: Record, film: Path | None, read: Read) -> Iterable[Markup]:
    dataset, reason = _dataset(record, read)
    snapshot = snapshots.shown(record)
    yield page.heading(_name(record.run))
    yield page.paragraph(_summary(record), "lead")
    yield page.paragraph(f"Samples, scores and nearest images below are those of {snapshot}.")
    by_class = list(_classes(record, snapshot, dataset))
    yield page.section(
        "Samples", *(by_class or _samples(record, snapshot, dataset)), page.paragraph(reason) if reason else Markup()
    )
    yield page.section("Over the training", _film(record, film))
    yield page.section("Scores", *_scores(record, snapshot))
    if _translates(record):
        yield page.section("Measured translations", _translations(record))
    else:
        yield page.section("Nearest training images", _nearest(record))
    yield page.section("Notes", page.table([(f"{kimg:g} kimg", text) for kimg, text in record.notes[-MOST_ROWS:]]))
    yield page.section("Curves", page.grid(curves.charts(record)) or page.paragraph("No line is in log.jsonl yet."))
    yield page.section("What was trained", *_facts(record))


def _summary(record: Record) -> str:
    """One or two sentences: what, how far, how fast."""
    done, settings = record.progress, record.settings
    target = settings.get("kimg")
    length = f"{done.images_seen / 1000:g} kimg"
    if settings.get("minutes"):
        length += f" in {duration(done.seconds)} of {settings['minutes']:g} minutes"
    elif isinstance(target, (int, float)):
        over = done.images_seen >= target * 1000
        length += f" in {duration(done.seconds)}" + (
            "" if over else f"; under way or stopped: {target:g} were requested"
        )
    speed = f", {done.images_seen / done.seconds:.0f} images/s on average" if done.seconds else ""
    return f"{_images(record)}. Trained for {length}{speed}."


def _images(record: Record) -> str:
    shape = list(record.dataset.get("image_shape") or record.config.get("image_shape") or ())
    size = f", {shape[1]}×{shape[0]}, {'grey' if shape[2] == 1 else 'colour'}" if len(shape) == 3 else ""
    classes = record.dataset.get("class_names") or ()
    count = record.dataset.get("count", record.config.get("image_count", "?"))
    return f"{record.config.get('data', 'images')}: {count} images{size}" + (
        f", {len(classes)} classes" if classes else ""
    )


def _dataset(record: Record, read: Read) -> tuple[Dataset | None, str]:
    """The images of the run, or None and why they cannot be shown."""
    try:
        begun = plan(record.run)
        dataset = read(begun.data, begun.frame)
    except TrainError as error:
        return None, f"Without real images beside them: {error}."
    if record.dataset.get("fingerprint") not in (None, dataset.fingerprint):
        return None, f"Without real images beside them: those at {begun.data} are no longer what it was trained on."
    return dataset, ""


def _samples(record: Record, snapshot: Snapshot, dataset: Dataset | None) -> Iterable[Markup]:
    png = _grid_of(record, snapshot)
    if not png:
        yield page.paragraph("There are no samples yet.")
        return
    if _translates(record):
        drawn = page.image(png, "image/png", f"Image grid of translations by {snapshot}", pixels=True)
        what = "pictures" if record.settings.get("style") else "clips" if record.settings.get("frames") else "pairs"
        yield page.figure(drawn, caption=f"{_triples(record)}: {what} held out of the training, uncurated")
        return
    drawn = page.image(png, "image/png", f"Image grid of generated images by {snapshot}", pixels=True)
    clips = bool(record.settings.get("frames"))
    caption = f"Generated by {snapshot}: {ROWS if clips else 'seeds 0 to 63'}, uncurated"
    figures = [page.figure(drawn, caption=caption)]
    if dataset is not None:
        order = np.random.default_rng(0).permutation(len(dataset.images))[: COLUMNS * COLUMNS]
        grid = clip_rows(dataset.images[order]) if clips else image_grid(dataset.images[order], COLUMNS)
        real = page.image(_png(grid), "image/png", "Real images", pixels=True)
        figures.insert(0, page.figure(real, caption="Real, drawn at random from the training images"))
    yield page.grid(figures)


def _translates(record: Record) -> bool:
    """Whether the run makes pictures of pictures."""
    return (record.run / "examples.npz").exists()


def _translations(record: Record) -> Markup:
    try:
        name = "animations.png" if record.settings.get("frames") else "translations.png"
        data = (record.run / name).read_bytes()
    except OSError:
        return page.paragraph(f"Not measured yet: `gentrain evaluate {record.run}`")
    shown = _triples(record)
    return page.figure(page.image(data, "image/png", shown, pixels=True), caption=f"{shown}.")


def _triples(record: Record) -> str:
    if record.settings.get("frames"):
        return CLIPS
    return STYLED if record.settings.get("style") else TRIPLES


def _grid_of(record: Record, snapshot: Snapshot) -> bytes:
    """The image grid of the snapshot: for the best its own, or else drawn now, and the newest one for the last."""
    if snapshot.name == "best" and (kept := snapshots.grid_of_best(record.run)).exists():
        return kept.read_bytes()
    if snapshot.name == "best":
        drawn = np.concatenate(_drawn(snapshot.file, [range(COLUMNS * COLUMNS)]))
        return _png(clip_rows(drawn) if drawn.ndim == 5 else image_grid(drawn, COLUMNS))
    grids = timelapse.grids_of(record.run)
    return grids[-1].read_bytes() if grids else b""


def _classes(record: Record, snapshot: Snapshot, dataset: Dataset | None) -> Iterable[Markup]:
    """Real images beside samples, a row a class, where the generator takes labels."""
    if "labels" not in input_names(snapshot.file):
        return
    names = [str(name) for name in record.dataset.get("class_names") or ()]
    shown = names[:MOST_CLASSES]
    rows = []
    samples = _drawn(snapshot.file, [range(COLUMNS)] * len(shown))
    for label, (name, drawn) in enumerate(zip(shown, samples, strict=True)):
        real = Markup()
        if dataset is not None and dataset.labels is not None:
            members = np.flatnonzero(dataset.labels == label)
            members = np.random.default_rng(0).permutation(members)[:COLUMNS]
            real = _row(dataset.images[members], f"Real images of {name}")
        rows.append((name, real, _row(drawn, f"Generated images of {name}")))
    more = f" The first {len(shown)} of {len(names)} classes." if len(names) > len(shown) else ""
    yield page.paragraph(f"A row is a class; a column of generated images has the same latents in each.{more}")
    yield page.pictures(rows, ("class", "real", "generated"))


def _drawn(generator: Path, rows: Sequence[Sequence[int]]) -> list[Pixels]:
    """The seeds of each row through a generator, uint8 (N, H, W, C) each; the row's number is the label."""
    labels = "labels" in input_names(generator)
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras

    from gentrain.metrics.generate import generate

    model = keras.models.load_model(generator, compile=False)
    return [
        generate(model, len(seeds), seeds[0], {"labels": np.full(len(seeds), number, np.int32)} if labels else None)
        for number, seeds in enumerate(rows)
    ]


def _film(record: Record, film: Path | None) -> Markup:
    if film is None:
        return page.paragraph("A time-lapse needs two image grids; so far there are fewer.")
    with Image.open(film) as opened:
        frames = getattr(opened, "n_frames", 1)
        opened.seek(frames - 1)
        still = io.BytesIO()
        opened.convert("RGB").save(still, "PNG")
    kind = "image/gif" if film.suffix.lower() == ".gif" else "image/webp"
    alt = f"Time-lapse: the same latents at {frames} times of the training"
    moving = page.moving(film.read_bytes(), kind, still.getvalue(), alt)
    caption = f"The same latents throughout, to the last of the training; also in {film.name}"
    return page.figure(moving, caption=caption, narrow=True)


def _scores(record: Record, snapshot: Snapshot) -> Iterable[Markup]:
    metrics = record.metrics
    if not record.scores():
        yield page.paragraph(f"Not measured yet: `gentrain evaluate {record.run}`")
        return
    yield _score_table(record)
    if snapshot.is_not(metrics.get("kimg")):
        yield page.paragraph(
            f"Measured at {metrics['kimg']:g} kimg, and {snapshot} has taken that one's place since: "
            f"`gentrain evaluate {record.run}` measures it."
        )
    yield _how_measured(record)
    if metrics.get("unknown"):
        yield page.paragraph(f"What these numbers cannot say: {metrics['unknown']}.")
    if _net(metrics.get("features")).get("name") == "classifier":
        yield page.paragraph(
            "A classifier's features tell classes apart and see neither blur nor noise; precision and density are the "
            "lower of its own and those in a random net's features, which see texture."
        )
    yield _copies(metrics)
    yield _class_accuracy(metrics)


def _score_table(record: Record) -> Markup:
    """Each metric beside its reference, the second net's, and what a translation's input scores as it is."""
    scores, others = record.scores(), record.second_scores()
    unchanged = any(score.unchanged is not None for score in scores.values())
    header = ["", "measured", "reference"]
    header += ["by the second net", "reference"] if others else []
    header += ["input as it is"] if unchanged else []
    rows = []
    for name, score in scores.items():
        row = [_label(name), *_cells(score)]
        row += _cells(others.get(name)) if others else ()
        row += [_number(score.unchanged)] if unchanged else []
        rows.append(tuple(row))
    return page.table(rows, tuple(header))


def _how_measured(record: Record) -> Markup:
    metrics = record.metrics
    notes = [f"{metrics['samples']} samples"] if "samples" in metrics else []
    notes += [f"the generator at {metrics['kimg']} kimg"] if metrics.get("kimg") is not None else []
    notes += [f"features: {_described(metrics.get('features'))}"]
    if record.second_scores():
        notes += [f"the second net: {_described(record.second.get('features'))}"]
    return page.paragraph(
        f"Reference: what real images reach in the place of generated ones. Measured: {'; '.join(notes)}. Numbers "
        "compare only in the same features and with as many samples."
    )


def _class_accuracy(metrics: dict[str, Any]) -> Markup:
    accuracies = metrics.get("class_accuracy")
    if not isinstance(accuracies, dict):
        return Markup()
    rows = [
        (str(name), f"{value:.1%}" if isinstance(value, float) else str(value)) for name, value in accuracies.items()
    ]
    return page.fold("Classified as the requested class", page.table(rows[:MOST_ROWS]))


def _label(name: str) -> str:
    alone = ", but not by itself" if name in METRICS and METRICS[name].alone else ""
    better = f" ({METRICS[name].better} is better{alone})" if name in METRICS else ""
    return curves.NAMES.get(name, name.replace("_", " ")) + better


def _cells(score: Score | None) -> tuple[str, str]:
    """A value and its reference."""
    if score is None:
        return "", ""
    return _number(score.value), _number(score.reference)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _net(features: Any) -> dict[str, Any]:
    return features if isinstance(features, dict) else {"name": features}


def _copies(metrics: dict[str, Any]) -> Markup:
    value, original = (_value(metrics.get(name)) for name in ("memorised", "originality"))
    if value is None:
        return Markup()
    sentences = [f"{value:.1%} of the samples are nearer to a training image than 99 in 100 unseen real images are."]
    if original is not None:
        sentences.append(f"Originality {original:.2f}: 1 for new images, near 0 for copies of training images.")
    if copies(value, original):
        sentences.append("It copies training images: the other numbers mean nothing.")
    return page.paragraph(" ".join(sentences))


def _value(entry: Any) -> float | None:
    value = entry.get("value") if isinstance(entry, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _described(features: Any) -> str:
    """The facts about a feature net; a hash is cut to what distinguishes it."""
    facts = {name: value for name, value in _net(features).items() if value}
    return ", ".join(
        f"{name} {value:.1%}" if isinstance(value, float) else f"{name} {str(value)[:12] if name == 'hash' else value}"
        for name, value in facts.items()
    )


def _nearest(record: Record) -> Markup:
    try:
        data = (record.run / "nearest.png").read_bytes()
    except OSError:
        return Markup()
    alt = "Generated images, each with the training images that are nearest to it"
    ratios = record.metrics.get("nearest")
    by_space = ratios.items() if isinstance(ratios, dict) else ()
    measured = [f"{value:.2f} by {space}" for space, value in by_space if isinstance(value, float)]
    caption = f"{alt}."
    if measured:
        caption += f" Distance, as a multiple of unseen real images': {', '.join(measured)}; near 0: copies."
    return page.figure(page.image(data, "image/png", alt), caption=caption)


def _facts(record: Record) -> Iterable[Markup]:
    config, preset = record.config, record.config.get("preset")
    standard = vars(PRESETS[preset]()) if preset in PRESETS else {}
    changed = {name: value for name, value in record.settings.items() if standard.get(name, value) != value}
    rows = [("images", _images(record)), ("preset", str(preset))]
    rows += [(name, f"{value} (preset: {standard[name]})") for name, value in changed.items()]
    rows += [(f"version of {name}", str(value)) for name, value in dict(config.get("versions") or {}).items()]
    rows += [("git commit", str(config["git_commit"]))] if config.get("git_commit") else []
    skipped = record.dataset.get("skipped") or ()
    rows += [("files skipped", str(len(skipped)))] if skipped else []
    yield page.table(rows)
    yield page.fold("Every setting", page.table([(name, str(value)) for name, value in record.settings.items()]))
    counts = list(dict(record.dataset.get("class_counts") or {}).items())
    yield page.fold("Images a class", page.table([(str(name), str(count)) for name, count in counts[:MOST_ROWS]]))
    shown = [(str(entry.get("file")), str(entry.get("reason"))) for entry in skipped[:MOST_ROWS]]
    yield page.fold("Files skipped", page.table(shown))


def _row(images: Pixels, alt: str) -> Markup:
    """Images of one class side by side, of clips the middle frame; with fewer than a row has, the rest stays white."""
    if images.ndim == 5:
        images = images[:, images.shape[1] // 2]
    missing = COLUMNS - len(images)
    padded = np.concatenate([images, np.full((missing, *images.shape[1:]), 255, np.uint8)]) if missing else images
    return page.image(_png(image_grid(padded, COLUMNS)), "image/png", alt, pixels=True)


def _png(pixels: Pixels) -> bytes:
    """uint8 (H, W, C) as a PNG of that very size."""
    with io.BytesIO() as file:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG", optimize=True)
        return file.getvalue()


def _name(run: Path) -> str:
    return run.resolve().name or str(run)
