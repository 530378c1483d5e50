"""The tensors of a file that PyTorch saved, read without PyTorch, and without running anything that the file names.

The file is a row of pickles and then the bytes of each tensor, as `torch.save` wrote it before version 1.6. A pickle
may name any function of Python; here three names mean something, and any other is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from gentrain.errors import TrainError

Array = np.ndarray[Any, Any]

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read(path: Path) -> dict[str, Array]:
    """Name → tensor, of a state dictionary of float32 and int64 tensors.

    Raises:
        TrainError: no such file, or it is damaged or of another kind.
    """
    try:
        with path.open("rb") as file:
            if pickle.Unpickler.load(_Names(file)) != MAGIC:
                raise ValueError("it does not begin as such files do")
            for _ in ("version of the format", "the machine's sizes"):
                _Names(file).load()
            storages: dict[str, _Storage] = {}
            tensors = _Names(file, storages).load()
            for key in _Names(file).load():
                storages[key].read(file)
            return {name: tensor() for name, tensor in tensors.items()}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        pickle.PickleError,
    ) as error:
        raise TrainError(f"{path}: no weights of PyTorch that can be read: {error}") from error


class _Dictionary(dict[str, Any]):
    """Stands for an OrderedDict, and forgets what hangs on it."""

    def __setstate__(self, state: Any) -> None: ...


class _Storage:
    """The values of one or more tensors, which follow in the file."""

    def __init__(self, dtype: str, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.values: Array = np.zeros(0, dtype)

    def read(self, file: IO[bytes]) -> None:
        """The next values of the file."""
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        if count != self.count:
            raise ValueError(f"{count} values where {self.count} were announced")
        self.values = np.frombuffer(file.read(count * np.dtype(self.dtype).itemsize), self.dtype)
        if len(self.values) != count:
            raise ValueError("it ends too early")


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """What gives the tensor, once the storage has been read."""

    def made() -> Array:
        steps = np.tensordot(np.array(strides, int), np.indices(shape), 1) if shape else 0
        return storage.values[offset + steps]

    return made


class _Names(pickle.Unpickler):
    """Knows the names that a state dictionary needs, and no others."""

    def __init__(self, file: IO[bytes], storages: dict[str, _Storage] | None = None) -> None:
        super().__init__(file)
        self.storages = {} if storages is None else storages

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        """The three names; raises UnpicklingError for another."""
        if (module, name) == ("collections", "OrderedDict"):
            return _Dictionary
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need")

    def persistent_load(self, reference: Any) -> _Storage:
        """A storage, by what the pickle says of it."""
        _, dtype, key, _, count, _ = reference
        return self.storages.setdefault(key, _Storage(dtype, count))
