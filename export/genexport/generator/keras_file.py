"""A file becomes a model, a .keras file in Keras' safe mode, or one line says why it does not.

Classes that are not Keras' own have to be named by their module, whose code is then run. Precisions below float32 can
be turned into float32 on the way: the types stand in the file's configuration, and Keras casts the weights it reads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from genexport.errors import ExportError
from genexport.generator import file_kinds, frozen, keras2

OTHER_FLOATS = {"float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"}


def import_classes(names: Sequence[str]) -> dict[str, Any]:
    """Import modules, `package.module` or a path to a .py file, and give the Keras classes in them by name.

    Importing registers what `keras.saving.register_keras_serializable` decorates; the other classes of the module, and
    its functions, are found by their names. Modules are looked for beside the caller too, as `python -m` does.

    Raises:
        ExportError: a module is not there or raises while it is imported.
    """
    found: dict[str, Any] = {}
    for name in names:
        module = _module(name)
        package = module.__name__.partition(".")[0]
        for key, value in vars(module).items():
            if callable(value) and str(getattr(value, "__module__", None)).partition(".")[0] == package:
                found[key] = value
    return found


def _module(name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(Path(name).stem, name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[Path(name).stem] = module
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        missing = "no such module, here or installed" if error.name == name else f"it needs the module {error.name}"
        raise ExportError(f"--import {name}: {missing}") from error
    except Exception as error:  # whatever the module's own code raises
        raise ExportError(f"--import {name}: {type(error).__name__}: {one_line(error)}") from error
    return module


def read(path: Path, classes: dict[str, Any]) -> Any:
    """The model in a .keras file, of Keras 3 or 2, an HDF5 file, or a SavedModel; `classes` are of `import_classes`.

    Raises:
        ExportError: something else (the message says what, and what to do), damaged, or it needs code that is not in
            it; the message names the layers.
    """
    content = file_kinds.kind(path)
    if content in file_kinds.ADVICE:
        raise ExportError(f"{path}: {file_kinds.ADVICE[content]}")
    if content == "saved_model":
        return frozen.read_saved_model(path)
    if content == "h5":
        return keras2.read_hdf5(path, classes)
    if content == "keras2":
        return keras2.read_old(path, classes)
    return _read_keras(path, classes)


def _read_keras(path: Path, classes: dict[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            # Keras warns of models that it cannot build; `interface.find` builds those.
            warnings.simplefilter("ignore")
            return keras.models.load_model(path, custom_objects=classes, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises by whatever is wrong inside the archive
        foreign = _foreign_layers(path, classes)
        raise ExportError(f"{path}: cannot be loaded: {_advice(foreign) or one_line(error)}") from error


def read_in_float32(path: Path, classes: dict[str, Any]) -> Any:
    """The same model with every floating type in its configuration turned into float32."""
    with tempfile.TemporaryDirectory() as folder:
        copy, source = Path(folder) / "float32.keras", path
        if file_kinds.kind(path) != "keras":
            source = Path(folder) / "given.keras"
            read(path, classes).save(source)
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(copy, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json":
                    content = json.dumps(_float32(json.loads(content))).encode()
                new.writestr(name, content)
        return _read_keras(copy, classes)


def configuration(path: Path) -> dict[str, Any]:
    """What `config.json` of a .keras file holds; empty where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return {}
    return config if isinstance(config, dict) else {}


def one_line(error: BaseException | str, length: int = 300) -> str:
    """The text of an error without its line breaks, cut at `length`."""
    text = " ".join(str(error).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _walk(config: Any, visit: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(config, dict):
        visit(config)
    for item in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        _walk(item, visit)


def _float32(config: dict[str, Any]) -> dict[str, Any]:
    def visit(part: dict[str, Any]) -> None:
        if _other_float(part.get("dtype")):  # of inputs, of casts, and of the tensors between layers
            part["dtype"] = "float32"
        if part.get("class_name") == "DTypePolicy" and _other_float(part["config"].get("name")):
            part["config"]["name"] = "float32"

    _walk(config, visit)
    return config


def _other_float(name: Any) -> bool:
    return isinstance(name, str) and name in OTHER_FLOATS


def _foreign_layers(path: Path, classes: dict[str, Any]) -> dict[str, str]:
    """Class → layer name, of classes that Keras has not and `classes` neither, and of Lambda, which holds code."""
    found: dict[str, str] = {}

    def visit(part: dict[str, Any]) -> None:
        kind, module, registered = part.get("class_name"), str(part.get("module")), part.get("registered_name")
        if not isinstance(kind, str) or kind in classes:
            return
        own = registered and not module.startswith("keras") and keras.saving.get_registered_object(registered) is None
        if kind == "Lambda" or own:
            config = part.get("config")
            name = part.get("name") or (config.get("name") if isinstance(config, dict) else None)
            found.setdefault(kind, str(name or kind))

    _walk(configuration(path), visit)
    return found


def _advice(foreign: dict[str, str]) -> str | None:
    if not foreign:
        return None
    layers = ", ".join(f"layer {name}" for name in sorted(foreign.values()))
    advice = (
        "replace Lambda by a layer of Keras' or by keras.ops"
        if set(foreign) == {"Lambda"}
        else "name the module that holds it with --import MODULE, or build it from Keras' own layers"
    )
    return f"it needs code that is not in the file ({', '.join(sorted(foreign))}), for {layers}; {advice}"
