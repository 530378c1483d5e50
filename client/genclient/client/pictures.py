"""What `Client` does with pictures: scores and verdicts on them, pictures of them, clips of them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client import translation
from genclient.client.arguments import check_files
from genclient.client.base import DISCRIMINATOR_SIGNATURE, Request
from genclient.client.blocking import BlockingCalls
from genclient.client.detection import Detection, companion, detection_request, is_detector, none_judges
from genclient.client.inversion import Inversion, inversion_binding, inversion_request
from genclient.client.translation import (
    Pictures,
    Variations,
    are_files,
    binding_for,
    check_result,
    picture_shape,
    translation_request,
)
from genclient.errors import RpcError
from genclient.model.roles import Label
from genclient.tasks.fake_detection import FAKE_DETECTION, FILES_DETECTION


class PictureCalls(BlockingCalls):
    """The methods of `Client` that take pictures."""

    def score(
        self,
        images: ArrayLike,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = DISCRIMINATOR_SIGNATURE,
    ) -> NDArray[np.float32]:
        """How real images look to the discriminator: float32 (N,), higher is more real.

        Example:
        ```python
        scores = client.score(client.sample(16))  # of the model digits-critic
        ```

        Args:
            images: uint8, or floats in [0, 1], (N, H, W, C), of the discriminator's size; floats beyond are refused.
            label: class of every image, or one for each, where the discriminator is conditional.
            model: the discriminator's name; None: the generator's with `-critic` after it.
            signature: which of its functions to call.

        Raises:
            UsageError: the arguments do not fit each other or the discriminator.
            ClientError: the server refuses, cannot be reached, or returns something that is not scores.
        """
        request = Request({"images": images, "labels": label}, signature, FAKE_DETECTION)
        return self._collect(self._discriminator_name(model), None, request)["scores"]

    def score_files(
        self,
        files: Sequence[bytes | str | PathLike[str]],
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.float32]:
        """How picture files look to the discriminator, which makes of them the pixels that training saw: float32 (N,).

        Example:
        ```python
        scores = client.score_files(["photos/cat.jpg", "photos/dog.png"])
        ```

        Args:
            files: paths, or contents, of pictures of any size and of any kind that Pillow reads.
            label: class of every picture, or one for each, where the discriminator is conditional.
            model: the discriminator's name; None: the generator's with `-critic` after it.
            signature: which of its functions to call; `auto`: the one that takes files.
            value_range: what is black and what is white in pictures of 32 bits or floats, as training took it.

        Raises:
            UsageError: the arguments do not fit each other or the discriminator.
            ClientError: a picture cannot be read, or as for `score`.
        """
        check_files("files", files)
        from genclient.images import pictures, value_ranges  # with Pillow, which nothing else here needs

        given = {"image_bytes": pictures.read_all(files, value_ranges.of_pair(value_range)), "labels": label}
        return self._collect(self._discriminator_name(model), None, Request(given, signature, FILES_DETECTION))[
            "scores"
        ]

    def detect(
        self,
        images: Pictures,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> Detection:
        """Whether pictures are real or generated, by a detector, or how real they look to a discriminator.

        Example:
        ```python
        with Client("localhost:8500", "det") as client:
            found = client.detect(["photo.jpg", "other.webp"])
        found.probabilities  # of being generated: float32 (2,)
        found.generated  # the verdict: bool (2,)
        ```

        Args:
            images: picture files by path or content, of any size; or uint8, or floats in [0, 1], (N, H, W, C) or
                (H, W, C), of the model's size.
            label: class of every picture, or one for each, where a discriminator is conditional.
            model: the one that judges; None: the client's own if it is a detector, else its discriminator.
            signature: which of its functions to call; `auto`: `detect`, `discriminate`, or the one that takes files.
            value_range: what is black and what is white in pictures of 32 bits or floats.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: a picture cannot be read; there is no such model; the server refuses, cannot be reached, or
                returns something that is not scores.
        """
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        request = detection_request(images, of_pair(value_range), label, signature)
        return Detection.of(self._collect(self._judge() if model is None else model, None, request))

    def _judge(self) -> str:
        """The model itself, if it is a detector, else its discriminator."""
        try:
            is_there = not is_detector(self.info())
        except RpcError as error:
            if error.code.name != "NOT_FOUND":
                raise
            is_there = False
        else:
            if not is_there:
                return self.model
        try:
            self.info(companion(self.model))
        except RpcError as error:
            raise none_judges(self.model, is_there, error) from None
        return companion(self.model)

    def translate(
        self,
        images: Pictures,
        *,
        hints: Any = None,
        n: int = 1,
        seed: int = 0,
        latents: ArrayLike | None = None,
        tile: bool = False,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.uint8]:
        """Pictures that an image-to-image model makes of pictures: uint8 (N, H, W, C), one of each, or n in a row.

        Example:
        ```python
        images = client.translate(["sketch.png", "other.jpg"])
        four_of_each = client.translate(["sketch.png"], n=4, seed=7)
        large = client.translate(["large.jpg"], tile=True)
        ```

        Args:
            images: uint8, or floats in [0, 1], (N, H, W, C) or (H, W, C), of the model's size; or picture files by
                path or content, of any size: the model brings them to size as training did, if it takes files, else
                their middle is resized here.
            hints: of a model that takes them, colours at some places: (N, H, W, 4), or (H, W, 4) for all; beside files
                that the model takes, contents of PNG files whose opaque pixels are the hints.
            n: of a model that takes latents, how many pictures of each: those of the seeds from `seed` on.
            seed: the first of these.
            latents: in their place, (Z,) or (n, Z).
            tile: whether to translate pictures of any size in overlapping tiles of the model's size, which are joined
                without seams; then they are of one size, and so is what is made of them.
            model: another one than the client's.
            version: of the model; None: the one that responds first.
            signature: which of its functions to call; `auto`: of files the one that takes files.
            value_range: what is black and what is white in pictures of 32 bits or floats.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: a picture cannot be read; the model makes no pictures of pictures; the server refuses, cannot
                be reached, or returns something that is not images.
        """
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges, variations = self._model_or_default(model), of_pair(value_range), Variations.of(n, seed, latents)
        info = self.info(name, version)
        images, whole = translation.taken(images, tile, picture_shape(info), ranges, hints)
        binding = binding_for(info, signature, self.names, are_files(images))
        check_result(binding, name, clips=False)
        made = self._collect(name, version, translation_request(binding, images, hints, ranges, variations))["images"]
        return whole(made, variations.n)

    def animate(
        self,
        images: Pictures,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.uint8]:
        """Clips that a model makes of pictures: uint8 (N, T, H, W, C), one of each.

        Example:
        ```python
        clips = client.animate(["photo.png", "other.jpg"])
        ```

        Args:
            images: as for `translate`.
            model: another one than the client's.
            version: of the model; None: the one that responds first.
            signature: which of its functions to call; `auto`: of files the one that takes files.
            value_range: what is black and what is white in pictures of 32 bits or floats.

        Raises:
            UsageError: the arguments do not fit the model.
            ClientError: a picture cannot be read; the model makes no clips of pictures; the server refuses, cannot be
                reached, or returns something that is not clips.
        """
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges = self._model_or_default(model), of_pair(value_range)
        binding = binding_for(self.info(name, version), signature, self.names, are_files(images))
        check_result(binding, name, clips=True)
        request = translation_request(binding, images, None, ranges)
        return self._collect(name, version, request)["images"]

    def invert(
        self,
        images: Pictures,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> Inversion:
        """The latents, and the classes, that a generator draws pictures of, as its encoder finds them.

        Example:
        ```python
        found = client.invert(["me.jpg", "you.png"])
        images = client.sample(latents=found.latents, label=found.labels)
        ```

        Args:
            images: as for `translate`.
            model: another one than the client's.
            version: of the model; None: the one that responds first.
            signature: which of its functions to call; `auto`: of files the one that takes files.
            value_range: what is black and what is white in pictures of 32 bits or floats.

        Raises:
            UsageError: the arguments do not fit the model.
            ClientError: a picture cannot be read; the model has no encoder; the server refuses, cannot be reached, or
                returns something that is not latents.
        """
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges = self._model_or_default(model), of_pair(value_range)
        binding = inversion_binding(self.info(name, version), signature, self.names, are_files(images))
        return Inversion.of(self._collect(name, version, inversion_request(binding, images, ranges)))
