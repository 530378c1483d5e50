"""genline's own roles: latents, seeds, labels, images to make, to start from or to score, picture files, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError
from genclient.images import pixels
from genclient.latents.array import Numbers, seed_numbers
from genclient.latents.seeds import latents as draw_latents
from genclient.model.role import FLOATS, INTEGERS, Column, Given, Read, Role, check_size, has_rank
from genclient.model.signature import MAX_Z, TensorSpec
from genclient.rpc import codec

_ROUNDING = 1e-3
"""How far floats may leave [0, 1] and still be such pixels: what resizing leaves."""

Label = int | Sequence[int] | NDArray[Any] | None


class LatentsRole(Role):
    """float32 (N, Z), of seeds unless they are given themselves."""

    name = "latents"
    expected = "latents to be float32 (N, Z), float16 or float64"
    instead = ("seeds",)

    def fits(self, spec: TensorSpec) -> bool:
        """Floats of two dimensions."""
        return spec.dtype in FLOATS and spec.shape is not None and len(spec.shape) == 2

    def fault(self, spec: TensorSpec) -> str | None:
        """Also of a size that no generator has."""
        if self.fits(spec) and not 1 <= ((spec.shape or (0, 0))[1] or 0) <= MAX_Z:
            return f"expected latents of shape (N, Z) with Z from 1 to {MAX_Z}"
        return super().fault(spec)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """`latents` as they are, or those of `seeds`, times `truncation`."""
        factor = np.float32(checked_truncation(given))
        z = (spec.shape or (0, 0))[1] or 0
        array = given.get("latents")
        if array is None:
            seeds = _seeds(given, "latents")
            return Column(lambda start, stop: draw_latents(seeds.at(start, stop), z) * factor, seeds.count, seeds.at)
        if array.shape[1] != z:
            raise UsageError(f"latents: found {array.shape[1]} an image, expected {z}")
        return Column(lambda start, stop: array[start:stop] * factor, len(array))

    def refuse(self, given: Given) -> None:
        """Latents, where the model has seeds."""
        if given.get("latents") is not None:
            raise UsageError("latents: found some, expected none with a signature that takes seeds")


class SeedsRole(Role):
    """int64 (N,): the model draws the latents."""

    name = "seeds"
    expected = "seeds to be int64 (N)"
    guessed = False
    instead = ("latents",)

    def fits(self, spec: TensorSpec) -> bool:
        """int64 of one dimension."""
        return spec.dtype == "int64" and has_rank(spec, 1)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """The seeds."""
        if checked_truncation(given) != 1:
            raise UsageError(
                f"truncation: found {given['truncation']:g}, expected 1 with a signature that takes seeds: "
                "the server draws the latents, choose one that takes latents"
            )
        if given.get("latents") is not None:
            raise UsageError("latents: found some, expected none with a signature that takes seeds")
        numbers = _seeds(given, "seeds")
        return Column(numbers.at, numbers.count, numbers.at)

    def refuse(self, given: Given) -> None:
        """Nothing: latents are made of them."""


class LabelsRole(Role):
    """Classes, int32 (N,) or (N, 1)."""

    name = "labels"
    expected = "labels to be integers (N) or (N, 1)"
    optional = True

    def fits(self, spec: TensorSpec) -> bool:
        """Whole numbers, one an example."""
        column = spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] == 1
        return spec.dtype in INTEGERS and (has_rank(spec, 1) or column)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """The same for all, or one for each."""
        label = given.get("labels")
        if label is None:
            raise UsageError("label: found none, expected the index of a class, since this generator is conditional")
        if isinstance(label, (int, np.integer)):
            _check_index(int(label))
            return Column(lambda start, stop: np.full(stop - start, label, np.int64))
        array = np.asarray(label)
        if array.dtype.kind not in "iu" or array.ndim != 1 or len(array) != (len(array) if count is None else count):
            raise UsageError(
                f"label: found {array.dtype} {array.shape}, expected a class, or one for each of {count} images"
            )
        for extreme in (array.min(), array.max()):
            _check_index(int(extreme))
        whole = array.astype(np.int64)
        return Column(lambda start, stop: whole[start:stop], len(whole))

    def refuse(self, given: Given) -> None:
        """A label, where the model takes none."""
        label = given.get("labels")
        if label is not None:
            found = label if isinstance(label, (int, np.integer)) else int(np.min(label))
            raise UsageError(f"label: found {found}, expected none, since this generator is not conditional")

    def sent(self, array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
        """As a column where the model has one."""
        if spec.dtype in INTEGERS and array.size and array.max() > np.iinfo(spec.dtype).max:
            raise UsageError(f"label: found {array.max()}, expected a class that {spec.dtype} can hold")
        if spec.shape is not None and len(spec.shape) == 2:
            array = array[:, None]
        return array.astype(spec.dtype, copy=False)


class PixelsRole(Role):
    """Images (N, H, W, C), uint8 or floats in [0, 1]: given ones, and in results always uint8."""

    large = True

    def fits(self, spec: TensorSpec) -> bool:
        """Floats or bytes of three or four dimensions."""
        return spec.dtype in (*FLOATS, "bfloat16", "uint8") and has_rank(spec, 3, 4)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """Given images in the model's type; a single one (H, W, C), beside several examples, is for all of them."""
        array = np.asarray(self.needed(given))
        shared = array.ndim == 3 and count is not None
        array = array[None] if shared else array
        self._check(array, spec)

        def at(start: int, stop: int) -> NDArray[Any]:
            part = np.repeat(array, stop - start, axis=0) if shared else array[start:stop]
            if spec.dtype == "uint8":
                return pixels.to_pixels(part, self.name)
            return part.astype(np.float32) / np.float32(255) if part.dtype == np.uint8 else part

        return Column(at, None if shared else len(array))

    def _check(self, array: NDArray[Any], spec: TensorSpec) -> None:
        if array.ndim != 4 or not array.size or (array.dtype != np.uint8 and array.dtype.kind != "f"):
            raise UsageError(f"{self.name}: found {array.dtype} {array.shape}, expected uint8 or floats (N, H, W, C)")
        if array.dtype.kind == "f" and not (array.min() >= -_ROUNDING and array.max() <= 1 + _ROUNDING):
            raise UsageError(
                f"{self.name}: found floats from {array.min():g} to {array.max():g}, expected uint8, or floats in "
                "[0, 1]"
            )
        check_size(self.name, array, spec)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """As uint8; the range of floats is given, or inferred from the first response, whose size all others have."""
        return _Pixels(self.result, value_range)


class ImagesRole(PixelsRole):
    """The images that a generator makes, or that a discriminator scores."""

    name = "images"
    expected = "images to be floats or uint8 (N, H, W, C)"
    instead = ("png_bytes",)


class ImageRole(PixelsRole):
    """The image that a generator starts from."""

    name = "image"
    expected = "image to be floats or uint8 (N, H, W, C)"
    instead = ("image_bytes",)


class PngRole(Role):
    """Images as PNG files, string (N,)."""

    name = "png_bytes"
    expected = "png_bytes to be string (N)"
    guessed = False
    instead = ("images",)

    @property
    def result(self) -> str:
        """Read, they are images."""
        return "images"

    def fits(self, spec: TensorSpec) -> bool:
        """Strings of one dimension."""
        return spec.dtype == "string" and has_rank(spec, 1)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """As uint8 images (N, H, W, C)."""
        return _Pixels(self.result, value_range, pixels.decode_pngs)


class FilesRole(Role):
    """Picture files, string (N,), which the model decodes."""

    name = "image_bytes"
    expected = "image_bytes to be string (N)"
    guessed = False
    instead: ClassVar[tuple[str, ...]] = ("image", "images")

    def fits(self, spec: TensorSpec) -> bool:
        """Strings of one dimension."""
        return spec.dtype == "string" and has_rank(spec, 1)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """The contents of files."""
        files = self.needed(given)
        if not len(files):
            raise UsageError("files: found none, expected pictures")
        array = np.empty(len(files), object)
        array[:] = files
        return Column(lambda start, stop: array[start:stop], len(array), example_bytes=max(map(len, files)))

    def sent(self, array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
        """As they are."""
        return array


class ScoresRole(Role):
    """float32 (N,): a finite number for each example."""

    name = "scores"
    expected = "scores to be floats (N)"

    def fits(self, spec: TensorSpec) -> bool:
        """Floats of one dimension or two."""
        return spec.dtype in (*FLOATS, "bfloat16") and has_rank(spec, 1, 2)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """See `ScoresRole`."""
        return _scores


class GeneratedRole(Role):
    """bool (N,): a detector's verdict, whether each picture is generated."""

    name = "generated"
    expected = "generated to be bool (N)"
    guessed = False
    optional = True

    def fits(self, spec: TensorSpec) -> bool:
        """True or false, one for each picture."""
        return spec.dtype == "bool" and has_rank(spec, 1)


LATENTS, SEEDS, LABELS = LatentsRole(), SeedsRole(), LabelsRole()
IMAGES, IMAGE, PNG = ImagesRole(), ImageRole(), PngRole()
FILES, SCORES, GENERATED = FilesRole(), ScoresRole(), GeneratedRole()


class _Pixels:
    """Reads the images of one call."""

    def __init__(
        self,
        result: str,
        value_range: pixels.Range | None,
        decode: Callable[[NDArray[Any], str], NDArray[np.uint8]] | None = None,
    ) -> None:
        self._result, self._decode = result, decode
        self._range = value_range
        self._certain = value_range is not None
        self._shape: tuple[int, ...] | None = None

    def __call__(self, array: NDArray[Any], name: str) -> NDArray[np.uint8]:
        images = self._pixels(array, name) if self._decode is None else self._decode(array, name)
        shape = images.shape[1:]
        if self._shape is not None and shape != self._shape:
            raise ClientError(f"{self._result}: found {shape} after {self._shape} in the same call, expected one size")
        self._shape = shape
        return images

    def _pixels(self, images: NDArray[Any], name: str) -> NDArray[np.uint8]:
        images = pixels.channels_last(images, name)
        if images.dtype.kind != "f":
            return pixels.to_pixels(images, name)
        found = pixels.range_of(*pixels.limits(images, name))
        if self._range is None:
            self._range = found
        elif not self._certain and (self._range, found) == (pixels.UNIT, pixels.SIGNED):
            raise ClientError(
                f"{name}: found values below 0 after images in [0, 1], expected one range in a call: output_range "
                "says which"
            )
        return pixels.to_pixels(images, name, self._range)


def _scores(scores: NDArray[Any], name: str) -> NDArray[np.float32]:
    if scores.size != len(scores) or scores.dtype.kind != "f" or not np.isfinite(scores).all():
        found = f"{scores.dtype} {codec.shape_text(scores.shape)}"
        raise ClientError(f"{name}: found {found}, expected a finite number for each image")
    return scores.reshape(-1).astype(np.float32)


def checked_truncation(given: Given) -> float:
    """The argument `truncation`; 1 unless given.

    Raises:
        UsageError: it is out of range.
    """
    truncation: Any = given.get("truncation", 1.0)
    if isinstance(truncation, bool) or not isinstance(truncation, (int, float, np.number)):
        raise UsageError(f"truncation: found {truncation!r:.60}, expected a number from -100 to 100")
    if not -100 <= truncation <= 100:  # so that not-a-number and what float32 cannot hold stay out
        raise UsageError(f"truncation: found {truncation}, expected a number from -100 to 100")
    return float(truncation)


def _seeds(given: Given, name: str) -> Numbers:
    seeds = given.get("seeds")
    if seeds is None:
        expected = "seeds" if name == "seeds" else "latents or seeds"
        raise UsageError(f"{name}: found none, expected {expected}, which this model takes")
    return seeds if isinstance(seeds, Numbers) else seed_numbers(seeds)


def _check_index(label: int) -> None:
    if not 0 <= label < 2**31:
        raise UsageError(f"label: found {label}, expected the index of a class, from 0")
