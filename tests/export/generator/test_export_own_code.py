"""Code that comes with a generator: classes of the user's own, and layers by which latents alone do not decide."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from foreign_generators import LABELS, LATENTS, drawn, in_unit_range, save, sigmoid_generator
from genexport.errors import ExportError
from genexport.generator.load import load
from keras import layers

OWN = """
import keras

class Glow(keras.layers.Layer):
    def call(self, x):
        return x * 0.5

class Parts(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.shape_up = keras.layers.Dense(48), keras.layers.Reshape((4, 4, 3))
        self.grow, self.table = keras.layers.UpSampling2D(), keras.layers.Embedding(2, 6)

    def draw(self, z):
        return keras.ops.tanh(self.grow(self.shape_up(self.dense(z))))

class One(Parts):
    def call(self, z):
        return self.draw(z)

class Two(Parts):
    def call(self, z, label, training=False):
        return self.draw(z + self.table(label))

class Pair(Parts):
    def call(self, inputs):
        return {"images": self.draw(inputs[0] + self.table(inputs[1]))}

class Named(Parts):
    def call(self, inputs):
        return self.draw(inputs["z"] + self.table(inputs["y"]))

@keras.saving.register_keras_serializable("own")
class Registered(One):
    pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The module `own_layers` beside the caller."""
    (tmp_path / "own_layers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import own_layers  # type: ignore[import-not-found]

    yield own_layers
    monkeypatch.delitem(__import__("sys").modules, "own_layers")


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called:UserWarning")
@pytest.mark.parametrize("kind", ["One", "Two", "Pair", "Named", "Registered"])
def test_a_subclass_is_taken_with_its_weights_when_its_module_is_imported(kind: str, own, tmp_path: Path) -> None:
    model = getattr(own, kind)()
    inputs = {
        "Two": (LATENTS, LABELS),
        "Pair": ([LATENTS, LABELS],),
        "Named": ({"z": LATENTS, "y": LABELS},),
    }.get(kind, (LATENTS,))
    (expected,) = keras.tree.flatten(model(*inputs))
    file = save(model, tmp_path)
    generator = load(file, imports=["own_layers"])
    assert bool(generator.class_count) == (len(keras.tree.flatten(inputs)) > 1)
    labels = (LABELS,) if generator.class_count else ()
    np.testing.assert_allclose(generator.images(LATENTS, *labels), in_unit_range(expected), atol=1e-6)
    assert any("1 × UpSampling2D by a resize op" in note for note in generator.notes)
    assert load(file, imports=[str(tmp_path / "own_layers.py")]).latent_size == 6


def test_a_layer_of_the_users_own_is_named_and_so_is_the_remedy(own, tmp_path: Path) -> None:
    start = [keras.Input((6,)), layers.Dense(48), layers.Reshape((4, 4, 3))]
    file = save(keras.Sequential([*start, own.Glow(name="shine")]), tmp_path)
    with pytest.raises(ExportError, match=r"code that is not in the file \(Glow\), for layer shine; .*--import MODULE"):
        load(file)
    assert load(file, "-1..1", imports=["own_layers"]).image_shape == (4, 4, 3)
    file = save(keras.Sequential([*start, layers.Lambda(lambda x: x * 2, name="twice")]), tmp_path)
    with pytest.raises(
        ExportError, match=r"code that is not in the file \(Lambda\), for layer twice; replace Lambda by"
    ):
        load(file)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module", "--import no_such_module: no such module, here or installed"),
        ("nothing.py", "--import nothing.py: FileNotFoundError"),
        ("broken", "--import broken: ZeroDivisionError: division by zero"),
        ("needing", "--import needing: it needs the module no_such_library"),
        ("lacking", "--import lacking: ImportError: cannot import name 'nothing'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_in_one_line(name: str, message: str, own, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needing.py").write_text("import no_such_library")
    (tmp_path / "lacking.py").write_text("from json import nothing")
    with pytest.raises(ExportError, match=message) as raised:
        load(save(sigmoid_generator(), tmp_path), imports=[name])
    assert "\n" not in str(raised.value)


def test_a_model_saved_before_it_was_built_is_told_what_to_do(own, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not yet been built"):
        file = save(own.One(), tmp_path)
    with pytest.raises(ExportError, match=r"One was saved before it was built.*call it on latents once"):
        load(file, imports=["own_layers"])


def test_a_layer_that_draws_at_random_is_named_and_one_that_does_so_in_training_alone_is_not(tmp_path: Path) -> None:
    (tmp_path / "random_layers.py").write_text(
        "import keras\n"
        "class AlwaysNoise(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x + keras.random.normal(keras.ops.shape(x))\n"
    )
    from genexport.generator.keras_file import import_classes

    noise = import_classes([str(tmp_path / "random_layers.py")])["AlwaysNoise"]
    z = keras.Input((6,))
    quiet = layers.Dropout(0.5)(layers.GaussianNoise(1.0)(z))
    assert load(save(keras.Model(z, drawn(quiet)), tmp_path)).latent_size == 6
    file = save(keras.Model(z, drawn(noise(name="grain")(quiet))), tmp_path)
    with pytest.raises(ExportError, match=r"two different images: grain \(AlwaysNoise\) draws at random"):
        load(file, imports=[str(tmp_path / "random_layers.py")])


DEPENDENT = """
import keras
from keras import ops

class Grain(keras.layers.Layer):
    def call(self, x):
        return x + keras.random.normal(ops.shape(x))

class Moments(keras.layers.Layer):
    "Batch normalisation by the moments of the batch, also in inference."
    def call(self, x):
        axes = (0, 1, 2)
        return (x - ops.mean(x, axes, keepdims=True)) / (ops.std(x, axes, keepdims=True) + 1e-3)
"""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Grain", r"two different images: guilty \(Grain\) draws at random"),
        (
            "Moments",
            r"depends on the others in its batch: guilty \(Moments\) gives an example other values when it is alone",
        ),
    ],
)
def test_a_layer_by_which_latents_alone_do_not_decide_is_named_beside_one_that_is_replaced(
    kind: str, message: str, tmp_path: Path
) -> None:
    from genexport.generator.keras_file import import_classes

    file = tmp_path / "dependent_layers.py"
    file.write_text(DEPENDENT)
    layer = import_classes([str(file)])[kind](name="guilty")
    z = keras.Input((6,))
    x = layers.UpSampling2D()(layers.Reshape((4, 4, 4))(layers.Dense(64)(z)))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh")(layer(x))
    with pytest.raises(ExportError, match=message):
        load(save(keras.Model(z, x), tmp_path), imports=[str(file)])
