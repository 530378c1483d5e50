"""The loop of a study: for every seed and size a draw of real images, a generator on them, a classifier an arm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gentrain import quiet
from gentrain.commands.study import results, split, synthetic
from gentrain.commands.study.journal import begin
from gentrain.commands.study.options import ARMS, Arm, Options, Size
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import UsageError
from gentrain.progress import duration
from gentrain.report.figures import mean

Read = Callable[[str, Frame], Dataset]
Note = Callable[[str], None]
Show = Callable[[], Any]


class Study:
    """One study in a folder; `go` does what is not done yet, `text` is its table as it stands."""

    def __init__(self, options: Options, out: Path, read: Read, echo: Note, show: Show) -> None:
        """Read the images and the journal; no TensorFlow yet.

        Args:
            options: what to study.
            out: its folder.
            read: gives the images of a source, as `gentrain.sources.read`.
            echo: takes a line for the user.
            show: gives a context with `show` and `note`, as `gentrain.progress.Training`.

        Raises:
            UsageError: a setting cannot be, or no size is left.
            TrainError: images without classes, other options than the study began with.
        """
        self.options, self.out, self.echo, self.show = options, out, echo, show
        first = synthetic.plan(options, out / "generators" / "none", options.data, seed=0)
        self.dataset = read(options.data, first.frame)
        self.split = split.hold_out(self.dataset)
        self.sizes, notes = split.possible(options.sizes, self.split)
        for note in notes:
            echo(note)
        if not self.sizes:
            raise UsageError(f"--n: none is left; there are {self.split.fewest} images a class to draw from")
        self.counts = {size: self.split.images_a_class(size) for size in self.sizes}
        self.journal = begin(out, self._head())

    def go(self) -> None:
        """Run every arm of every cell that has no result yet, keeping each result at once.

        Raises:
            KeyboardInterrupt: stopped; the same study goes on from there.
        """
        for seed, size, arms in list(self._cells()):
            self._cell(seed, size, arms)
            self.publish()
        self.publish()

    def text(self) -> str:
        """The table, the gains and what they are of, in Markdown."""
        found = results.collect(self.journal, self.sizes, self.options.seeds)
        parts = [results.table(found, self.sizes, self.counts), results.gains(found, self.sizes, self.counts)]
        return "\n".join([*(part for part in parts if part), self._explanation()])

    def publish(self) -> None:
        """Write study.md and study.png of what there is."""
        found = results.collect(self.journal, self.sizes, self.options.seeds)
        title = f"{Path(self.options.data).name}: a classifier's accuracy, {self._seeds()}"
        results.write(self.out, self.text(), found, self.counts, title)

    def _cells(self) -> Iterator[tuple[int, Size, list[Arm]]]:
        """(seed, size, arms without a result); all sizes of a seed before the next seed."""
        for seed in range(self.options.seeds):
            for size in self.sizes:
                missing = [arm for arm in ARMS if self.journal.accuracy(size, seed, arm.name) is None]
                if missing:
                    yield seed, size, missing

    def _cell(self, seed: int, size: Size, arms: list[Arm]) -> None:
        quiet.import_tensorflow()
        import keras

        from gentrain.commands.study import classifier

        real = self._only(self.split.draw(size, seed))
        test = self._only(self.split.test)
        assert real.labels is not None
        assert test.labels is not None
        generated = self._generated(real, size, seed) if any(arm.synthetic for arm in arms) else None
        o, classes = self.options, len(self.dataset.class_names)
        for arm in arms:
            started = time.perf_counter()
            sets = [(real.images, real.labels)] if arm.real else []
            sets += [generated] if arm.synthetic and generated is not None else []
            images, labels = (np.concatenate(parts) for parts in zip(*sets, strict=True))
            order = classifier.in_turn([len(one[0]) for one in sets], o.steps, o.batch, seed)
            model = classifier.train(images, labels, order, classes, seed, arm.classical, o.flip)
            accuracy = float(classifier.right(model, test.images, test.labels).mean())
            self.journal.add(size, seed, arm.name, accuracy, time.perf_counter() - started)
            self.echo(f"n = {size}, seed {seed}, {arm.name}: {100 * accuracy:.1f}%{self._left()}")
            keras.backend.clear_session()

    def _generated(self, real: Dataset, size: Size, seed: int) -> tuple[Any, Any]:
        """Images and labels from this cell's generator, trained first where none is given."""
        o = self.options
        if o.generator is not None:
            generator = Path(o.generator)
        else:
            run = self.out / "generators" / f"n{size}-seed{seed}"
            self.echo(f"n = {size}, seed {seed}: training a generator on {len(real.images)} images{self._left()}")
            started = time.perf_counter()
            generator = synthetic.train(o, real, run, seed, self.show)
            self.journal.add_generator(size, seed, time.perf_counter() - started)
        shape = tuple(int(length) for length in real.images.shape[1:])
        return synthetic.draw(generator, shape, len(real.class_names), o.synthetic, seed)

    def _only(self, indices: split.Indices) -> Dataset:
        d = self.dataset
        assert d.labels is not None
        return Dataset(d.source, np.asarray(d.images[indices]), np.asarray(d.labels)[indices], d.class_names)

    def _left(self) -> str:
        """About how long the rest will take, by what has been measured so far."""
        cells = list(self._cells())
        arms = sum(len(missing) for _, _, missing in cells)
        have = {(entry["n"], entry["seed"]) for entry in self.journal.generators}
        trainings = 0 if self.options.generator else sum((size, seed) not in have for seed, size, _ in cells)
        arm_seconds = [result["seconds"] for result in self.journal.results]
        gan_seconds = [entry["seconds"] for entry in self.journal.generators]
        if not arms or not arm_seconds or (trainings and not gan_seconds):
            return ""
        seconds = arms * mean(arm_seconds) + (trainings * mean(gan_seconds) if trainings else 0.0)
        return f" · about {duration(seconds)} left"

    def _seeds(self) -> str:
        return "one seed" if self.options.seeds == 1 else f"{self.options.seeds} seeds"

    def _head(self) -> dict[str, Any]:
        fixed = self.options.fixed()
        if self.options.generator is not None:
            fixed["generator_sha256"] = synthetic.check(Path(self.options.generator))
        described = self.dataset.describe()
        names = ("source", "count", "image_shape", "class_names", "fingerprint")
        return {
            "options": fixed,
            "data": {name: described[name] for name in names},
            "held_out": len(self.split.test),
        }

    def _explanation(self) -> str:
        o = self.options
        if o.generator is None:
            settings = ", ".join([f"preset {o.preset}", *(f"{name} {value}" for name, value in o.changes)])
            origin = (
                f"Each generator was trained for {o.kimg:g} kimg ({settings}) on its row's real images and no others."
            )
        else:
            origin = (
                f"All synthetic images are from one generator, {Path(o.generator).name}, which has seen whatever it "
                "was trained on: these rows do not show what few images alone can give."
            )
        return (
            f"{Path(o.data).name}: accuracy in percent on {len(self.split.test)} real images that nothing was trained "
            f"on, mean ± standard deviation over {self._seeds()} (of the images drawn, the generator and the "
            f"classifier). {o.steps} steps of {o.batch} for every arm; {o.synthetic} synthetic images a class, half of "
            f"each batch beside real ones. Classical: shifts, rotations up to 10°, zoom{', flips' if o.flip else ''}. "
            f"{origin}\n"
        )
