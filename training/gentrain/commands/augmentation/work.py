"""`gentrain augment`, step by step: a generator, its pictures, and classifiers that say whether they help."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gentrain import plan as plans
from gentrain import quiet
from gentrain.commands import subject as subjects
from gentrain.commands.augmentation import parts, pictures, verdict
from gentrain.commands.augmentation.options import Options
from gentrain.commands.study import journal, synthetic
from gentrain.commands.study.options import ALL, ARMS, Arm
from gentrain.errors import TrainError
from gentrain.files import sweep
from gentrain.progress import duration
from gentrain.report.figures import mean
from gentrain.report.record import input_names

MANIFEST = "manifest.json"
GENERATOR = ".generator"
"""The run of the generator, hidden, so that the folder is read as one of images."""

COMPARED = tuple(arm for arm in ARMS if arm.real)


class Augmentation:
    """One folder of pictures; `go` does what is not done yet, `text` says what came out."""

    def __init__(
        self, options: Options, out: Path, read: parts.Read, echo: Callable[[str], None], show: Callable[[], Any]
    ) -> None:
        """Read the images; nothing is written, and no TensorFlow is imported.

        Args:
            options: what to do.
            out: where the pictures go.
            read: gives the images of a source, as `gentrain.sources.read`.
            echo: takes a line for the user.
            show: gives a context with `show` and `note`, as `gentrain.progress.Training`.

        Raises:
            UsageError: a setting cannot be, or there is nothing to fill up.
            TrainError: images without classes, too few of them, a run that is none or not of classes.
        """
        self.options, self.out, self.echo, self.show = options, out, echo, show
        self.subject = None if options.run is None else _of_classes(Path(options.run), options.data or None)
        self.source = options.data if self.subject is None else self.subject.data
        _refuse_inside(out, self.source)
        if self.subject is None:
            frame = synthetic.plan(options.training, out / GENERATOR, self.source, options.seed).frame
        else:
            frame = self.subject.frame
        self.dataset = read(self.source, frame)
        if self.subject is not None:
            self.subject.check(self.dataset)
        self.parts = parts.divide(self.dataset, self.subject, read(options.test, frame) if options.test else None)
        self.wanted = options.wanted(list(self.dataset.class_counts().values()))
        self.folders = pictures.folders(self.dataset.class_names)

    def describe(self) -> dict[str, Any]:
        """What is to be done, as `--dry-run` prints it."""
        real, tested = self.parts.real.class_counts(), self.parts.test.class_counts()
        classes = {
            name: {"folder": folder, "real": real[name], "tested": tested[name], "wanted": wanted}
            for name, folder, wanted in zip(self.dataset.class_names, self.folders, self.wanted, strict=True)
        }
        return {**self._head(), "classes": classes}

    def go(self) -> None:
        """Train, draw, write and test; each step is kept at once, and what is there is not done again.

        Raises:
            TrainError: `out` holds other things, or was begun with other options; a full disk.
            KeyboardInterrupt: stopped; the same command goes on from there.
        """
        self.journal = journal.begin(self.out, self._head(), MANIFEST)
        sweep(self.out.glob(".tmp-*"))
        if few := self.parts.few:
            self.echo(f"  {few}")
        if missing := [
            label for label, wanted in enumerate(self.wanted) if wanted and not self._folder(label).exists()
        ]:
            self._make(missing)
        while left := self._untested():
            self._test(*left[0])
        self.journal.others["experiment"] = self._experiment()
        self.journal.write()

    def text(self) -> str:
        """The table, what is in the folder, and the answer."""
        arms, labels = self._right(), np.asarray(self.parts.test.labels)
        filled = [] if self.options.per_class else [label for label, wanted in enumerate(self.wanted) if wanted]
        classes = self.journal.others["classes"].values()
        count, drawn, near = (sum(one[key] for one in classes) for key in ("count", "drawn", "near_copies"))
        copies = f"; {near} of {drawn} drawn were near-copies of training images and are left out" if near else ""
        asked = sum(self.wanted)
        short = f" of {asked} asked for: this generator copies" if count < asked else ""
        lines = [
            verdict.table(arms, labels, filled),
            f"{len(labels)} real images that nothing was trained on, every class counts alike; mean ± standard "
            f"deviation over {self.options.repeats} classifiers, each class drawn equally often, half of it generated "
            f"where there are generated pictures.",
            *(f"{one.with_} against {one.without}: {one}." for one in self._gains()),
            f"{count} pictures{short}{copies}.",
            verdict.sentence(verdict.best(arms, labels)),
        ]
        return "\n".join(lines) + "\n"

    def _make(self, missing: list[int]) -> None:
        """Train the generator, if that is not done, and write the folders of these labels."""
        quiet.import_tensorflow()
        file = self._generator()
        generator = (self.subject or subjects.Subject(file, self.source)).generator
        if tuple(generator.output_shape[1:]) != self.dataset.images.shape[1:]:
            raise TrainError(
                f"{file}: makes images of {generator.output_shape[1:]}, not {self.dataset.images.shape[1:]}"
            )
        self.journal.others["generator"] = {
            "file": str(file if self.subject else file.relative_to(self.out)),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        self.echo(f"drawing {sum(self.wanted[label] for label in missing)} pictures")
        wanted = {label: self.wanted[label] for label in missing}
        made = pictures.make(generator, self.dataset, self.parts.unseen, wanted, max(self.wanted), self.options.seed)
        classes = self.journal.others.setdefault("classes", {})
        for label, one in made.items():
            about = {"label": label, "folder": self.folders[label], **one.describe()}
            classes[self.dataset.class_names[label]] = about
            self.journal.write()
            pictures.write(self._folder(label), one)

    def _generator(self) -> Path:
        if self.subject is not None:
            return self.subject.file
        real, started = parts.levelled(self.parts.real), time.perf_counter()
        self.echo(f"training a generator on {len(self.parts.real.images)} images")
        file = synthetic.train(self.options.training, real, self.out / GENERATOR, self.options.seed, self.show)
        self.journal.add_generator(ALL, self.options.seed, time.perf_counter() - started)
        return file

    def _untested(self) -> list[tuple[int, Arm]]:
        todo = [(seed, arm) for seed in range(self.options.repeats) for arm in COMPARED]
        return [(seed, arm) for seed, arm in todo if self.journal.result(ALL, seed, arm.name) is None]

    def _test(self, seed: int, arm: Arm) -> None:
        """Train one classifier and keep which test images it gets wrong."""
        quiet.import_tensorflow()
        import keras

        from gentrain.commands.study import classifier

        o, real, test, started = self.options, self.parts.real, self.parts.test, time.perf_counter()
        assert real.labels is not None
        assert test.labels is not None
        shape = tuple(int(length) for length in real.images.shape[1:])
        there = {label: name for label, name in enumerate(self.folders) if arm.synthetic and self.wanted[label]}
        images, labels = pictures.read(self.out, there, shape)
        order = classifier.by_class(real.labels, labels, o.steps, o.batch, o.seed + seed)
        images, labels = np.concatenate([real.images, images]), np.concatenate([real.labels, labels])
        classes = len(real.class_names)
        model = classifier.train(images, labels, order, classes, o.seed + seed, arm.classical, o.flip)
        right = classifier.right(model, test.images, np.asarray(test.labels))
        accuracy = verdict.accuracy(right[None], np.asarray(test.labels))[0]
        wrong = [int(index) for index in np.flatnonzero(~right)]
        self.journal.add(ALL, seed, arm.name, accuracy, time.perf_counter() - started, wrong=wrong)
        self.echo(f"classifier {seed + 1} of {o.repeats}, {arm.name}: {100 * accuracy:.1f}%{self._left()}")
        keras.backend.clear_session()

    def _right(self) -> dict[str, verdict.Right]:
        """Of each way of training, which test images each classifier got right."""
        found = {}
        for arm in COMPARED:
            right = np.ones((self.options.repeats, len(self.parts.test.images)), bool)
            for seed in range(self.options.repeats):
                right[seed, (self.journal.result(ALL, seed, arm.name) or {})["wrong"]] = False
            found[arm.name] = right
        return found

    def _gains(self) -> list[verdict.Gain]:
        """What classical augmentation adds, and what generated pictures do, without it and with it."""
        pairs = [("real", "real + classical"), *verdict.PAIRS]
        labels = np.asarray(self.parts.test.labels)
        return [verdict.gain(self._right(), *pair, labels) for pair in pairs]

    def _experiment(self) -> dict[str, Any]:
        """What the manifest says of it."""
        arms, labels = self._right(), np.asarray(self.parts.test.labels)
        best = verdict.best(arms, labels)
        return {
            "verdict": verdict.sentence(best),
            "helps": best.low > 0,
            "accuracy": {name: verdict.accuracy(right, labels) for name, right in arms.items()},
            "gains": [
                {"without": one.without, "with": one.with_, "points": one.points, "interval": [one.low, one.high]}
                for one in self._gains()
            ],
        }

    def _left(self) -> str:
        """About how long the other classifiers will take."""
        left = len(self._untested())
        seconds = left * mean([result["seconds"] for result in self.journal.results])
        return f" · about {duration(seconds)} left" if left else ""

    def _folder(self, label: int) -> Path:
        return self.out / self.folders[label]

    def _head(self) -> dict[str, Any]:
        fixed = self.options.fixed()
        return {
            "made_by": "gentrain augment",
            "options": fixed,
            "data": parts.describe(self.dataset),
            "trained_on": len(self.parts.real.images),
            "tested_on": len(self.parts.test.images),
        }


def _of_classes(run: Path, data: str | None) -> subjects.Subject:
    """The generator of a run; raises TrainError for one that does not draw from latents and labels."""
    subject = subjects.find(run, data)
    inputs = set(input_names(subject.file))
    if subject.run is None or inputs != {"latents", "labels"}:
        raise TrainError(f"{run}: not a run of classes; gentrain fit --conditional makes one")
    return subject


def _refuse_inside(out: Path, data: str) -> None:
    """Raise TrainError where the pictures would be among the images that they are made of."""
    source, target = plans.folder_of(data), out.resolve()
    if source is not None and (source == target or source in target.parents or target in source.parents):
        raise TrainError(f"{out}: lies inside the data, {data}, or around it; take another --out")
