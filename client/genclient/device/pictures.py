"""What `DeviceGenerator` does with pictures: pictures of them, clips of them, verdicts on them, their latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client import translation
from genclient.client.arguments import check_files
from genclient.client.detection import Detection, detection_request
from genclient.client.inversion import Inversion, inversion_request
from genclient.client.translation import Pictures, Variations
from genclient.device import interpreter, layout
from genclient.device.layout import Layout
from genclient.errors import ClientError
from genclient.images.prepare import Preprocessing, prepared
from genclient.images.value_ranges import of_pair
from genclient.model.binding import Binding
from genclient.model.signature import ModelInfo
from genclient.model.tflite_metadata import Metadata
from genclient.tasks.fake_detection import FAKE_DETECTION
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE, MULTIMODAL
from genclient.tasks.inversion import INVERSION
from genclient.tasks.video_generation import ANIMATION


class PictureRuns(ABC):
    """The methods of `DeviceGenerator` that take pictures."""

    preprocessing: Preprocessing | None
    _name: str
    _content: bytes
    _info: ModelInfo
    _layout: Layout | None
    _metadata: Metadata | None

    @abstractmethod
    def run(self, inputs: Mapping[str, ArrayLike] | None = None, **named: Any) -> dict[str, NDArray[Any]]:
        """See `DeviceGenerator.run`."""

    def translate(
        self,
        images: Pictures,
        *,
        hints: Any = None,
        n: int = 1,
        seed: int = 0,
        latents: ArrayLike | None = None,
        tile: bool = False,
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.uint8]:
        """Pictures that the file makes of pictures, uint8 (N, H, W, C); arguments as in `Client.translate`.

        Files are brought to the size of the model here, as its metadata says.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the file makes no pictures of pictures, or fails to run.
        """
        check_files("images", images)
        binding, ranges, variations = self.translation(), of_pair(value_range), Variations.of(n, seed, latents)
        translation.check_result(binding, self._name, clips=False)
        shape = (binding.spec.inputs["image"].shape or (None,) * 4)[1:]
        images, whole = translation.taken(images, tile, shape, ranges, hints)
        how = self.preprocessing
        made = self.run(
            translation.translation_request(binding, images, hints, ranges, variations, preprocessing=how).given
        )["images"]
        return whole(made, variations.n)

    def animate(self, images: Pictures, *, value_range: tuple[float, float] | None = None) -> NDArray[np.uint8]:
        """Clips that the file makes of pictures, uint8 (N, T, H, W, C); arguments as in `Client.animate`.

        Raises:
            UsageError: the arguments do not fit the model.
            ClientError: the file makes no clips of pictures, or fails to run.
        """
        check_files("images", images)
        binding = self.translation()
        translation.check_result(binding, self._name, clips=True)
        request = translation.translation_request(
            binding, images, None, of_pair(value_range), preprocessing=self.preprocessing
        )
        return self.run(request.given)["images"]

    def detect(self, images: Pictures, *, value_range: tuple[float, float] | None = None) -> Detection:
        """Whether pictures are real or generated; arguments as in `Client.detect`. The file says the threshold.

        Files are brought to the size of the model here, as its metadata says.

        Raises:
            UsageError: the pictures do not fit the model.
            ClientError: the file is no detector's, or fails to run.
        """
        check_files("images", images)
        plan, ranges = self._layout, of_pair(value_range)
        if plan is None or plan.task is not FAKE_DETECTION:
            found = "; ".join(str(spec) for spec in self._info.signatures.values())
            raise ClientError(f"{self._name} is no detector: found {found}, expected images → scores")
        given = detection_request(images, ranges, None, "auto").given
        if "image_bytes" in given:
            shape = (plan.spec().inputs["images"].shape or (None,) * 4)[1:]
            given = {"images": np.stack([prepared(file, shape, self.preprocessing) for file in given["image_bytes"]])}
        scores, about = self.run({"images": given["images"]})["scores"], self._metadata
        if about is None or about.threshold is None:
            return Detection(scores)
        verdicts = scores < np.float32(about.threshold)
        return Detection(scores, verdicts, about.threshold, about.false_alarms, about.false_alarms_interval)

    def translation(self) -> Binding:
        """The function that makes pictures or clips of pictures.

        Raises:
            ClientError: there is none.
        """
        if self._layout is None:  # with latents it may be another task's, but for who wants a translation
            functions = interpreter.functions(interpreter.open_interpreter(self._content))
            self._layout = layout.find_for(MULTIMODAL, functions)
        plan = self._layout
        if plan is None or plan.task not in (IMAGE_TO_IMAGE, MULTIMODAL, ANIMATION):
            signatures = "; ".join(str(spec) for spec in self._info.signatures.values())
            raise ClientError(f"{self._name} takes no pictures: found {signatures}, expected image → images or clips")
        return plan.binding()

    def invert(self, images: Pictures, *, value_range: tuple[float, float] | None = None) -> Inversion:
        """The latents that draw pictures, by a file NAME-invert-….tflite; arguments as in `Client.invert`.

        Files are brought to the size of the model here, as its metadata says.

        Raises:
            UsageError: the pictures do not fit the model.
            ClientError: the file finds no latents, or fails to run.
        """
        check_files("images", images)
        request = inversion_request(self.inversion(), images, of_pair(value_range), preprocessing=self.preprocessing)
        return Inversion.of(self.run(request.given))

    def inversion(self) -> Binding:
        """The function that finds latents of pictures.

        Raises:
            ClientError: there is none.
        """
        if self._layout is None or self._layout.task is not INVERSION:
            found = "; ".join(str(spec) for spec in self._info.signatures.values())
            raise ClientError(
                f"{self._name} finds no latents of pictures: found {found}, expected image → latents, as in "
                "NAME-invert-….tflite of a version whose run has an encoder"
            )
        return self._layout.binding()
