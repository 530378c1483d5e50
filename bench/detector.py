"""How well a detector knows pictures of a generator that it has never seen, on digits. Prints Markdown.

Four generators of different kind learn the digits, each for a few minutes: genline's, a tutorial's architecture with
genline's recipe, another one with another loss, and a variational autoencoder. Each is left out in turn: a detector
learns from the others and is measured on all. The real commands do it, `gentrain fit` and `gentrain detector`. With
--real and --fake it is other pictures, and runs that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from common import KEPT, Cells, gentrain, number, paragraph, table

STEPS = 3000
AT_5_PERCENT = ("clean", "JPEG 50", "blur")
PUBLISHED = ("--set", "learning_rate=5e-4", "--set", "learning_rate_final=5e-4", "--set", "ema_halflife_kimg=1")
GENERATORS: dict[str, tuple[object, ...]] = {
    "genline": ("--preset", "small", "--kimg", 220),
    "dcgan28, rpgan": (
        *("--preset", "small", "--set", "networks=dcgan28", "--kimg", 100),
        *("--set", "generator_width=64", "--set", "discriminator_width=48"),
    ),
    "dcgan64, wgan-gp": (
        *("--preset", "dcgan64", "--resolution", 28, "--loss", "wgan-gp", "--kimg", 20, *PUBLISHED),
        *(
            "--set",
            "generator_width=48",
            "--set",
            "discriminator_width=32",
            "--set",
            "dropout=0",
            "--set",
            "beta_1=0.5",
        ),
    ),
}


VAE = "VAE"
NAMES = (*GENERATORS, VAE)
LATENT_SIZE, HIDDEN, EPOCHS, BATCH = 16, 400, 40, 100


def folder_of(name: str) -> Path:
    """The run directory of a generator, or its file."""
    folder = KEPT / "detector" / name.replace(", ", "-")
    return folder / "generator.keras" if name == VAE else folder


def train(name: str) -> dict[str, Any]:
    """Train a generator; a run that is there goes on."""
    if name == VAE:
        return train_vae(folder_of(name))
    given = ("--data", "digits", "--run", folder_of(name), "--set", "kimg_per_evaluation=0")
    gentrain("fit", *given, *GENERATORS[name])
    return {}


def train_vae(file: Path) -> dict[str, Any]:
    """A decoder, latents (N, 16) → images (N, 28, 28, 1) in [-1, 1]; "Auto-Encoding Variational Bayes", 1312.6114."""
    from gentrain import quiet, sources
    from gentrain.data.dataset import Frame

    quiet.import_tensorflow()
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(0)
    real = tf.constant(sources.read("digits", Frame(28)).images, tf.float32) / 255
    encoder = keras.Sequential([layers.Flatten(), layers.Dense(HIDDEN, "relu"), layers.Dense(2 * LATENT_SIZE)])
    latents = keras.Input((LATENT_SIZE,), name="latents")
    pixels = layers.Dense(28 * 28, "sigmoid")(layers.Dense(HIDDEN, "relu")(latents))
    images = layers.Rescaling(2.0, -1.0, name="images")(layers.Reshape((28, 28, 1))(pixels))
    decoder = keras.Model(latents, images)
    encoder.build((None, 28, 28, 1))
    optimizer, weights = keras.optimizers.Adam(1e-3), [*encoder.trainable_variables, *decoder.trainable_variables]

    @tf.function  # type: ignore[untyped-decorator]
    def step(batch: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            mean, log_variance = tf.split(encoder(batch), 2, axis=1)
            drawn = mean + tf.exp(log_variance / 2) * tf.random.normal(tf.shape(mean))
            guess = tf.clip_by_value((decoder(drawn) + 1) / 2, 1e-5, 1 - 1e-5)
            unlike = -tf.reduce_sum(batch * tf.math.log(guess) + (1 - batch) * tf.math.log(1 - guess), axis=(1, 2, 3))
            surplus = tf.reduce_sum(tf.exp(log_variance) + mean**2 - 1 - log_variance, axis=1) / 2
            loss = tf.reduce_mean(unlike + surplus)
        optimizer.apply(tape.gradient(loss, weights), weights)

    for _ in range(EPOCHS):
        order = tf.random.shuffle(tf.range(len(real)))
        for start in range(0, len(real), BATCH):
            step(tf.gather(real, order[start : start + BATCH]))
    file.parent.mkdir(parents=True, exist_ok=True)
    decoder.save(file)
    return {}


def detect(left_out: str, steps: int, real: str, folders: dict[str, Path]) -> dict[str, Any]:
    """Figures of a detector that has not seen one of the generators, and its CPU seconds."""
    folder = KEPT / "detector" / "detectors" / left_out.replace(", ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    given: list[object] = []
    for name, generator in folders.items():
        given += ["--unseen" if name == left_out else "--fake", generator]
    before = os.times()
    gentrain("detector", "--real", real, *given, "--run", folder, "--steps", steps)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return {"cpu": cpu, "metrics": metrics}


def report(cells: dict[str, dict[str, Any]], folders: dict[str, Path], command: str, title: str, days: str) -> str:
    """The section of Markdown."""
    first = next(iter(cells.values()))["metrics"]
    changes, rows = first["disturbances"], []
    for left_out, cell in cells.items():
        for name in folders:
            about = cell["metrics"]["sources"][str(folders[name])]
            clean, shown = about["detector"]["clean"], f"**{name}**" if name == left_out else name
            areas = (about["detector"][change]["auroc"] for change in changes)
            found = (
                clean["recognised"],
                *(about["detector"][change]["recognised_at_5_percent"] for change in AT_5_PERCENT),
            )
            rows.append([left_out, shown, *map(number, (*areas, *found))])
        alarms = cell["metrics"]["real"]["false_alarms"]
        of_real = (number(alarms[change]) for change in changes)
        rows.append([left_out, "*real pictures called generated*", *of_real, *[""] * (1 + len(AT_5_PERCENT))])
    beside = []
    for name in cells:
        cell = cells[name]["metrics"]["sources"][str(folders[name])]
        for judge, key in (("pixel statistics", "pixel_statistics"), ("its own discriminator", "own_discriminator")):
            if cell[key]:
                beside.append([name, judge, *(number(cell[key][change]["auroc"]) for change in changes)])
    seconds = ", ".join(f"{cell['cpu']:.0f}" for cell in cells.values())
    low, high = first["false_alarms_interval"]
    about = paragraph(
        f"""{command}, {seconds} CPU seconds with reading, drawing and measuring; one seed, {days}. AUROC on
        {first["real"]["test"]} real pictures and {next(iter(first["sources"].values()))["test"]} of each generator,
        none of them learned from; **bold: not trained on**. Recognised: clean, at the threshold for 5% false alarms of
        the kind of disturbance that it bears least (95% interval {low:.1%} to {high:.1%}); then at a threshold that
        calls 5% of these very real pictures generated."""
    )
    at_5 = (f"at 5% of {change}" for change in AT_5_PERCENT)
    heads = ["left out", "generator", *changes, "recognised", *at_5]
    return f"""## Detector: {title}

{about}

{table(heads, rows, texts=2)}

The same pictures by a linear classifier of pixel statistics that has not seen the generator either, and by the
discriminator that the generator was trained with:

{table(["generator", "judged by", *changes], beside, texts=2)}"""


def main() -> None:
    """Train the generators, leave each out, print the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--again", action="store_true", help="start the detectors over")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each detector (default: {STEPS})")
    parser.add_argument("--real", help="other pictures than digits, with --fake")
    parser.add_argument(
        "--fake", type=Path, action="append", help="a run that learned them, or its pictures; two or more"
    )
    parser.add_argument("--without", action="append", help="leave out these alone, not each in turn")
    parser.add_argument("--title", default="digits, a generator never seen", help="of the section")
    arguments = parser.parse_args()
    measured = Cells("detector", arguments.again)
    if arguments.real:
        folders = {run.parent.name if run.is_file() else run.name: run for run in arguments.fake}
        command = f"`python bench/detector.py --real DIR{' --fake RUN' * len(folders)}`"
    else:
        for name in NAMES:
            measured.get(f"generator {name}", train, name)
        folders, command = {name: folder_of(name) for name in NAMES}, "`python bench/detector.py`"
    about = (arguments.steps, arguments.real or "digits", folders)
    cells = {
        name: measured.get(f"without {name} {arguments.steps}", detect, name, *about)
        for name in arguments.without or folders
    }
    print(report(cells, folders, f"{command}: {arguments.steps} steps", arguments.title, measured.days()))


if __name__ == "__main__":
    main()
