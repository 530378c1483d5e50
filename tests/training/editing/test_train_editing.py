"""From a picture to the latents that draw it: `gentrain encoder`, and `gentrain project` on anybody's generator."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Gentrain = Callable[..., tuple[int, str, str]]
Z, SIDE, CLASSES = 4, 16, 2


def generator(kind: str) -> Any:
    """A small generator of blots, whose weights nobody has trained: latents tell their places, a class their side."""
    import keras

    keras.utils.set_random_seed(1)
    one_hot, floats = kind == "one-hot", kind in ("one-hot", "from 0 to 1")
    latents = keras.Input((Z,), name="z" if one_hot else "latents")
    inputs, x = [latents], latents
    if kind in ("classes", "one-hot"):
        labels = keras.Input((CLASSES,) if one_hot else (), name="labels", dtype="float32" if one_hot else "int32")
        told = (
            labels if one_hot else keras.layers.Embedding(CLASSES, CLASSES, embeddings_initializer="identity")(labels)
        )
        inputs, x = [latents, labels], keras.layers.Concatenate()([x, keras.layers.Rescaling(3.0)(told)])
    x = keras.layers.Dense(32, activation="tanh")(x)
    x = keras.layers.Reshape((4, 4, 2))(x)
    x = keras.layers.UpSampling2D(4, interpolation="bilinear")(x)
    images = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid" if floats else "tanh", name="images")(x)
    return keras.Model(inputs, images)


def run_of(folder: Path, kind: str) -> Path:
    """A run directory, as far as it says what generator it has."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    generator(kind).save(folder / "generator.keras")
    latents = {"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, Z]}
    labels = {"name": "labels", "role": "labels", "range": [0, CLASSES - 1], "classes": ["cat", "dog"]}
    inputs = [latents, labels] if kind == "classes" else [latents]
    (folder / "interface.json").write_text(json.dumps({"version": 1, "inputs": inputs}))
    return folder


def drawn(kind: str, place: Path, label: int = 0) -> Any:
    """A picture that the generator can draw, as a file and as pixels."""
    latents = np.random.default_rng(7).standard_normal((1, Z)).astype(np.float32)
    given: list[Any] = [latents]
    if kind == "classes":
        given.append(np.array([label], np.int32))
    if kind == "one-hot":
        given.append(np.eye(CLASSES, dtype=np.float32)[[label]])
    image = np.asarray(generator(kind)(given if len(given) > 1 else latents))[0, ..., 0]
    pixels = np.rint(image * 255 if kind in ("one-hot", "from 0 to 1") else (image + 1) * 127.5).astype(np.uint8)
    Image.fromarray(pixels).save(place)
    return pixels


def test_an_encoder_learns_from_the_pictures_of_the_training_too_but_not_those_held_out(
    run_directory: Path, gentrain: Gentrain, tmp_path: Path
) -> None:
    from gentrain.commands.encoder import _pictures
    from gentrain.editing import drawing as drawings
    from gentrain.editing import encoder as encoders

    run = Path(shutil.copytree(run_directory, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    config["settings"]["held_out"] = 500
    (run / "config.json").write_text(json.dumps(config))
    drawing = drawings.find(run)
    real, reason = _pictures(run, drawing)
    assert real is not None, reason
    assert len(real.chosen) == len(set(real.chosen)) == 4500
    few = real._replace(chosen=real.chosen[:2])
    pixels, classes = encoders._some(drawing, few, 8, np.random.default_rng(0))
    assert {image.tobytes() for image in np.asarray(pixels)} == {real.images[i].tobytes() for i in few.chosen}
    assert set(np.asarray(classes)) == set(real.labels[few.chosen])

    def weights(chosen: Any) -> Any:
        trained = encoders.train(drawing, 0.064, 0, lambda *_: None, real._replace(chosen=chosen))
        return np.concatenate([weight.ravel() for weight in trained.get_weights()])

    one, again, other = weights(real.chosen[:1]), weights(real.chosen[:1]), weights(real.chosen[1:2])
    np.testing.assert_allclose(one, again, atol=1e-4)
    assert np.abs(one - other).max() > 1e-3, "which pictures they are reaches the step"
    code, _, errors = gentrain("encoder", run, "--kimg", 0.1)
    assert code == 0
    assert "learning from samples and pictures of its training, 0.1 thousand" in errors


def test_a_run_whose_feature_net_is_damaged_is_compared_in_pixels(tmp_path: Path) -> None:
    from gentrain.editing.likeness import Likeness

    (tmp_path / "features.keras").write_bytes(b"PK")
    assert Likeness((8, 8, 1), tmp_path).net == "pixels"


@pytest.mark.parametrize("kind", ["plain", "classes"])
def test_an_encoder_learns_to_redraw_samples_and_goes_with_its_generator(
    kind: str, gentrain: Gentrain, tmp_path: Path
) -> None:
    run = run_of(tmp_path / "run", kind)
    code, out, errors = gentrain("encoder", run, "--kimg", 2)
    assert (code, out.strip()) == (0, str(run / "encoder.keras")), errors
    assert errors.count("learning from 2 thousand samples alone: ") == 1

    import keras

    about = json.loads((run / "encoder.json").read_text())
    assert about["psnr"] > about["floor"] + 2
    encoder = keras.models.load_model(run / "encoder.keras", compile=False)  # of Keras' own layers
    found = encoder(np.zeros((3, SIDE, SIDE, 1), np.float32))
    assert {name: (value.dtype, tuple(value.shape)) for name, value in found.items()} == {
        "latents": ("float32", (3, Z)),
        **({"labels": ("int32", (3,))} if kind == "classes" else {}),
    }
    from gentrain.editing import drawing
    from gentrain.editing import encoder as encoders

    assert encoders.load(drawing.find(run)) is not None
    (run / "generator.keras").write_bytes((run / "generator.keras").read_bytes() + b" ")
    assert encoders.load(drawing.find(run)) is None, "of another state of the generator"


@pytest.mark.parametrize("kind", ["classes", "one-hot", "from 0 to 1", "version"])
def test_a_projection_finds_latents_that_draw_the_picture(kind: str, gentrain: Gentrain, tmp_path: Path) -> None:
    made = "classes" if kind == "version" else kind
    pixels = drawn(made, tmp_path / "picture.png", label=1)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    if kind == "classes":
        subject = run_of(tmp_path / "run", kind)
    elif kind == "version":
        subject = tmp_path / "published"  # of a repository the newest version
        generator(made).export(subject / "3", verbose=False)
        (subject / "3" / "manifest.json").write_text(json.dumps({"class_count": 2, "class_names": ["cat", "dog"]}))
    else:
        subject = tmp_path / "foreign.keras"
        generator(kind).save(subject)
    code, out, errors = gentrain("project", subject, "picture.png", "broken.png", "--out", "z.npz", "--steps", 150)
    assert code == 0, errors
    assert "skipped broken.png: not an image" in errors
    has_classes = made in ("classes", "one-hot")
    with np.load(tmp_path / "z.npz") as found:
        assert set(found) == {"latents", "psnr", "files", *(["labels"] if has_classes else [])}
        assert found["latents"].shape == (1, Z)
        assert found["latents"].dtype == np.float32
        assert found["psnr"][0] > 30
        assert f"picture.png  {found['psnr'][0]:.1f} dB" in out
        if has_classes:
            assert found["labels"].tolist() == [1]
            assert ("dog" if made == "classes" else "class 1") in out
        given: list[Any] = [found["latents"]]
        given += [found["labels"]] if made == "classes" else [np.eye(CLASSES)[found["labels"]]] if has_classes else []
    image = np.asarray(generator(made)(given if len(given) > 1 else given[0]))[0, ..., 0]
    again = image * 255 if kind in ("one-hot", "from 0 to 1") else (image + 1) * 127.5
    assert np.abs(again - pixels).mean() < 8
    with Image.open(tmp_path / "z.png") as sheet:
        assert sheet.width > 3 * 128


def test_what_cannot_be_projected_is_said_in_one_line(gentrain: Gentrain, tmp_path: Path) -> None:
    import keras

    run = run_of(tmp_path / "run", "classes")
    drawn("classes", tmp_path / "picture.png")
    latents = keras.Input((Z,), name="latents")
    steps = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64)(latents))
    keras.Model(latents, keras.ops.cast(keras.ops.cast(steps, "int32"), "float32")).save(tmp_path / "integers.keras")
    picture = keras.Input((SIDE, SIDE, 1), name="image")
    keras.Model(picture, keras.layers.Conv2D(1, 3, padding="same")(picture)).save(tmp_path / "pictures.keras")
    (tmp_path / "empty").mkdir()
    for subject, arguments, code, message in [
        (run, ["picture.png", "--label", "bird"], 1, "--label bird: no class of"),
        (run, ["picture.png", "--out", "z.png"], 2, "--out z.png: expected a name that ends in .npz"),
        (run, ["nothing.png"], 1, "nothing.png: No such file"),
        (run, ["empty"], 1, "empty: no pictures there"),
        ("integers.keras", ["picture.png"], 1, "cannot be differentiated"),
        ("pictures.keras", ["picture.png"], 1, "expected latents (N, Z)"),
        ("picture.png", ["picture.png"], 1, "not a Keras model"),
        ("empty", ["picture.png"], 1, "expected a run directory"),
    ]:
        found, _, errors = gentrain("project", subject, *arguments)
        assert (found, len(errors.splitlines())) == (code, 1), errors
        assert message in errors
    code, _, errors = gentrain("encoder", tmp_path / "empty")
    assert (code, "no run" in errors) == (1, True)
