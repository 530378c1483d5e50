"""The page about a run, its charts, and the time-lapse of its samples."""

from __future__ import annotations

import base64
import io
import json
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from gentrain.report import curves, record, timelapse
from gentrain.report.write import write
from keras import layers
from PIL import Image, ImageStat

HOSTILE = '<script>alert("x")</script>'
EMPTY_TAGS = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """The tags of a page, in order, its text, and that every tag that is opened is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text, self.open = "", []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def images(self, kind: str) -> list[bytes]:
        """The contents of all pictures of a media type, both those shown and those for other readers."""
        uris = [a["src"] for a in self.all("img")] + [a["srcset"] for a in self.all("source")]
        start = f"data:{kind};base64,"
        return [base64.b64decode(uri.removeprefix(start)) for uri in uris if uri.startswith(start)]


@pytest.fixture
def run(run_directory: Path, tmp_path: Path) -> Path:
    """A copy of a real run, to be changed."""
    return Path(shutil.copytree(run_directory, tmp_path / "digits"))


@pytest.fixture(scope="module")
def page(run_directory: Path, tmp_path_factory: pytest.TempPathFactory, command) -> Page:
    """The page of a real run as it is."""
    folder = tmp_path_factory.mktemp("page")
    out = folder / "digits.html"
    done = command("gentrain", "report", run_directory, "--out", out, "--timelapse", folder / "digits.webp")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    return Page(out)


def report(run: Path) -> Page:
    write(run, run / "report.html", run / "timelapse.webp")
    return Page(run / "report.html")


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_page_stands_alone_and_says_what_its_pictures_show(page: Page) -> None:
    assert "http://" not in page.source
    assert "https://" not in page.source
    assert not page.all("script")
    assert not page.all("link")
    for image in page.all("img"):
        assert image["src"].startswith("data:")
        assert image["alt"]
    assert len(page.all("h1")) == len(page.all("title")) == 1
    assert page.all("html")[0]["lang"] == "en"


def test_page_tells_what_was_trained(page: Page) -> None:
    for words in ("5000 images, 28×28, grey, 10 classes", " kimg in ", "(preset: 10.0)", "version of keras"):
        assert words in page.text
    assert "gentrain evaluate" in page.text


def test_real_images_stand_beside_the_newest_samples_in_grids_alike(page: Page, run_directory: Path) -> None:
    real, samples = (Image.open(io.BytesIO(png)) for png in page.images("image/png")[:2])
    side = 8 * (28 + 2) - 2
    assert real.size == (side, side)
    assert samples.size == tuple(side * (samples.width // side) for _ in "wh")
    newest = sorted((run_directory / "samples").iterdir())[-1]
    assert np.array_equal(np.asarray(samples), np.asarray(Image.open(newest)))
    assert np.asarray(real).std() > 50


def test_charts_hold_a_line_for_every_number_of_the_log_in_light_and_dark(page: Page, run_directory: Path) -> None:
    charts = [ElementTree.fromstring(svg) for svg in page.images("image/svg+xml")]
    drawn = sum(len(chart.findall(".//*[@id]")) > 10 for chart in charts)
    assert drawn == len(charts) >= 2 * 5
    for word in ("generator", "discriminator", "R1 (real)", "learning rate", "images/s"):
        assert any(word in image["alt"] for image in page.all("img"))


def test_names_are_shown_and_never_obeyed(run: Path) -> None:
    hostile = run.rename(run.with_name("<b>&amp;'"))
    change(hostile / "dataset.json", class_names=[HOSTILE] * 10, class_counts={HOSTILE: 5000}, count=HOSTILE)
    change(hostile / "dataset.json", skipped=[{"file": HOSTILE + "\udcff.png", "reason": HOSTILE}])
    change(hostile / "config.json", data=HOSTILE, preset=HOSTILE, versions={HOSTILE: HOSTILE}, git_commit=HOSTILE)
    (hostile / "metrics.json").write_text(json.dumps({"metrics": {HOSTILE: {"value": 1}}, "features": HOSTILE}))
    with (hostile / "log.jsonl").open("a") as log:
        log.write(json.dumps({"kimg": 5, HOSTILE: 1.0, "$x_{": 2.0}) + "\n")
    page = report(hostile)
    assert page.text.count(HOSTILE) >= 10
    assert not page.all("script")
    assert not page.all("b")


def grey_generator(path: Path, level: float) -> None:
    """A generator that draws this level of grey, from -1 to 1, whatever its latents."""
    latents = keras.Input((4,), name="latents")
    flat = layers.Dense(28 * 28, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(level))
    path.parent.mkdir(exist_ok=True)
    keras.Model(latents, layers.Reshape((28, 28, 1))(flat(latents))).save(path)


@pytest.mark.parametrize(("snapshot", "level"), [("best", 0.5), ("last", None), (None, 0.5)])
def test_samples_and_scores_are_of_one_snapshot_which_is_named(run: Path, snapshot: str | None, level: float) -> None:
    grey_generator(run / "best" / "generator.keras", 0.5)
    (run / "best" / "best.json").write_text('{"kimg": 2.5}')
    if snapshot:
        kimg = 2.5 if snapshot == "best" else 4.096
        scores = {"metrics": {"frechet": {"value": 1.5, "floor": 0.5}}, "snapshot": snapshot, "kimg": kimg}
        (run / "metrics.json").write_text(json.dumps({**scores, "memorised": {"value": 0.75, "floor": 0.01}}))
    page = report(run)
    named = "the last snapshot, at 4.096 kimg" if snapshot == "last" else "the best snapshot, at 2.5 kimg"
    assert f"are those of {named}" in page.text
    assert any(image["alt"] == f"Image grid of generated images by {named}" for image in page.all("img"))
    samples = np.asarray(Image.open(io.BytesIO(page.images("image/png")[1])))
    assert (set(np.unique(samples[:20, :20])) == {191}) == (level is not None), "the grid is the snapshot's"
    assert ("75.0% of the samples are nearer to a training image" in page.text) == (snapshot is not None)
    assert "has taken that one's place" not in page.text


def test_scores_of_a_generator_that_is_gone_are_said_to_be_so(run: Path) -> None:
    scores = {"metrics": {"frechet": {"value": 1.5, "floor": 0.5}}, "snapshot": "last", "kimg": 2.0}
    (run / "metrics.json").write_text(json.dumps(scores))
    assert "Measured at 2 kimg, and the last snapshot, at 4.096 kimg has taken that one's place" in report(run).text


def test_conditional_generator_is_shown_class_by_class(run: Path) -> None:
    latents, labels = keras.Input((4,), name="latents"), keras.Input((), dtype="int32", name="labels")
    grey = layers.Rescaling(1 / 5, -1)(layers.Reshape((1, 1, 1))(labels))  # label 5 → 0, the middle
    noise = layers.Rescaling(0.1)(layers.Reshape((28, 28, 1))(layers.Dense(28 * 28)(latents)))
    keras.Model([latents, labels], layers.Add(name="images")([grey, noise])).save(run / "generator.keras")
    page = report(run)
    rows = [a["alt"] for a in page.all("img") if a["alt"].startswith(("Real images of", "Generated images of"))]
    assert rows == [f"{kind} images of {digit}" for digit in range(10) for kind in ("Real", "Generated")]
    pictures = [image for image in map(io.BytesIO, page.images("image/png")) if Image.open(image).height == 28]
    generated = [np.asarray(Image.open(png), float) for png in pictures[1::2]]
    assert [picture.shape for picture in generated] == [(28, 8 * 30 - 2)] * 10
    steps = np.diff([picture[:, :28].mean() for picture in generated])
    assert (steps > 15).all(), "each row should be of its own label"
    assert np.abs(np.diff(generated[4] - generated[5]))[:, :27].max() <= 2, "rows should share their latents"


@pytest.mark.parametrize("tail", ['{"kimg": 4.5, "d_lo', "\x00\x00\n", '["kimg"]\n{"kimg": "4"}\n{"kimg": NaN}\n'])
def test_damaged_end_of_the_log_is_left_out(run: Path, tail: str) -> None:
    whole = record.read(run)
    with (run / "log.jsonl").open("a") as log:
        log.write(tail)
    assert record.read(run).log == whole.log


def test_run_that_has_only_begun_or_was_stopped_has_a_page(run: Path) -> None:
    change(run / "config.json", settings=json.loads((run / "config.json").read_text())["settings"] | {"kimg": 99.0})
    assert "99 were requested" in report(run).text
    for name in ("log.jsonl", "dataset.json", "generator.keras"):
        (run / name).unlink()
    for name in ("samples", "checkpoints"):
        shutil.rmtree(run / name)
    page = report(run)
    assert "There are no samples yet" in page.text
    assert "No line is in log.jsonl yet" in page.text


def test_images_that_have_changed_are_not_shown_as_those_of_the_run(run: Path) -> None:
    change(run / "dataset.json", fingerprint="0" * 64)
    page = report(run)
    assert "no longer what it was trained on" in page.text
    assert not [image for image in page.all("img") if image["alt"] == "Real images"]


def test_scores_stand_beside_their_references_in_the_table_and_the_chart(run: Path) -> None:
    lines = [{"kimg": kimg, "frechet": 90.0 / kimg, "precision": 0.5, "recall": 0.6} for kimg in (1, 10, 80)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = {"frechet": {"value": 1.234, "floor": 0.567}, "coverage": {"value": 0.89}, "odd": None}
    (run / "metrics.json").write_text(json.dumps({"metrics": metrics, "samples": 2500}))
    Image.new("L", (40, 20), 99).save(run / "nearest.png")
    page = report(run)
    for words in ("1.234", "0.567", "0.89", "2500 samples", "lower is better", "what real images reach"):
        assert words in page.text
    assert any(Image.open(io.BytesIO(png)).size == (40, 20) for png in page.images("image/png"))
    dashed = [b"stroke-dasharray" in svg for svg in page.images("image/svg+xml")]
    assert sum(dashed) == 2, "the light and the dark chart of the one metric with a floor"
    charts = curves.charts(record.read(run))
    assert len(charts) == 2, "the distance, and precision and recall together"


def test_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path, run: Path, command) -> None:
    for folder in (tmp_path / "nothing", tmp_path, run / "config.json"):
        done = command("gentrain", "report", folder)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "expected a folder made by gentrain fit" in done.stderr
    (run / "config.json").write_text("{")
    done = command("gentrain", "report", run)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "config.json" in done.stderr


@pytest.mark.parametrize("name", ["film.webp", "film.gif"])
def test_time_lapse_has_a_frame_a_grid_and_rests_on_the_last(run_directory: Path, tmp_path: Path, name: str) -> None:
    grids = timelapse.grids_of(run_directory)
    assert timelapse.write(run_directory, tmp_path / name) == len(grids)
    with Image.open(tmp_path / name) as film:
        assert film.n_frames == len(grids)
        film.seek(film.n_frames - 1)
        last, duration = np.asarray(film.convert("L"), float), film.info["duration"]
        film.seek(0)
        film.load()
        assert film.info["duration"] < duration
    shown = np.asarray(Image.open(grids[-1]), float)
    assert np.abs(last[: len(shown)] - shown).mean() < 12


def test_time_lapse_is_bounded_whatever_the_grids(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for kimg in range(125):
        Image.new("L", (600, 900), 2 * kimg).save(tmp_path / f"samples/{kimg:06d}kimg.png")
    (tmp_path / "samples/000124kimg.png").write_bytes(b"\x89PNG\r\n\x1a\ncut")
    Image.new("RGB", (99, 99), "red").save(tmp_path / "samples/000123kimg.png")
    frames = timelapse.write(tmp_path, tmp_path / "film.webp")
    assert 100 <= frames <= timelapse.MOST_FRAMES
    assert (tmp_path / "film.webp").stat().st_size < 1_000_000
    with Image.open(tmp_path / "film.webp") as film:
        assert max(film.size) <= timelapse.LONGEST_SIDE + timelapse.CAPTION


def test_time_lapse_needs_two_grids_and_a_format_that_moves(run: Path, command) -> None:
    done = command("gentrain", "report", run, "--timelapse", "film.mp4")
    assert done.returncode == 2
    assert "film.mp4" in done.stderr
    for grid in timelapse.grids_of(run)[1:]:
        grid.unlink()
    assert "needs two image grids" in report(run).text
    assert not (run / "timelapse.webp").exists()


def test_lines_in_a_chart_are_named_without_overlap(tmp_path: Path) -> None:
    from gentrain.report import figures

    lines = {f"line {i}": ([0.0, 1.0], [1.0, 1.0 + i / 1000]) for i in range(4)}
    svg = ElementTree.fromstring(figures.curves(lines, "x", "y"))
    picture = figures.accuracies({"a": {20: [0.5, 0.7]}, "b": {20: [0.6]}}, {20: "20"}, "title")
    assert len(svg.findall(".//{http://www.w3.org/2000/svg}path")) > 8
    image = Image.open(io.BytesIO(picture))
    assert image.width > 600
    assert ImageStat.Stat(image.convert("L")).stddev[0] > 5
