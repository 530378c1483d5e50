"""How TensorFlow is imported: without what Keras imports for wrappers that nothing here uses, or without Keras."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEFT_OUT = ("sklearn", "pandas", "matplotlib")


@pytest.mark.parametrize(
    ("room", "left_out"),
    [("gentrain", LEFT_OUT), ("genexport", LEFT_OUT), ("genserve", ("keras", *LEFT_OUT))],
)
def test_tensorflow_comes_without_what_nothing_uses(room: str, left_out: tuple[str, ...]) -> None:
    """It takes 0.6 of the time so; after it the collector is on again and passes it over, and nothing is hidden."""
    done = _python(f"""
        import gc, sys
        from {room} import quiet
        quiet.import_tensorflow()
        import tensorflow as tf
        print(tf.__name__, gc.isenabled(), gc.get_freeze_count() > 100_000)
        print(*(name for name in {left_out} if name in sys.modules))
        import sklearn, pandas, matplotlib
        print(sklearn.__name__, pandas.__name__, matplotlib.__name__, tf.keras.layers.Dense.__name__)
    """)
    assert done.stdout.splitlines() == ["tensorflow True True", "", "sklearn pandas matplotlib Dense"], done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("room", ["gentrain", "genexport", "genserve"])
def test_what_was_imported_before_stays(room: str) -> None:
    """A caller's pandas is not touched, nor a collector that they switched off."""
    done = _python(f"""
        import gc, sys, pandas
        gc.disable()
        from {room} import quiet
        quiet.import_tensorflow()
        print(sys.modules["pandas"] is pandas, gc.isenabled())
    """)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_commands_of_gentrain_read_their_data_before_tensorflow_is_imported() -> None:
    """Mistakes are told at once, and TensorFlow is imported where its notes are held back."""
    commands = ("augment", "augment_study", "data", "detector", "encoder", "evaluate", "fit", "project", "report")
    later = ("plan", "run", "editing.drawing", "detection.files", "detection.pictures", "commands.augmentation.work")
    modules = [f"gentrain.{name}" for name in (*later, *(f"commands.{command}" for command in commands))]
    done = _python(f"""
        import {", ".join(modules)}
        import sys
        print({{"tensorflow", "keras"}} & sys.modules.keys())
    """)
    assert done.stdout.split() == ["set()"], done.stderr


def _python(code: str) -> subprocess.CompletedProcess[str]:
    lines = "\n".join(line.strip() for line in code.strip().splitlines())
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=120)
