"""`AsyncClient`: what Client does, for programs on asyncio.

async with AsyncClient("localhost:8500", "digits") as client:
    images = await client.sample(16, seed=0)
    async for image in client.iter_sample(1000):
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client import translation
from genclient.client.arguments import COUNT, FIRST, check_files, check_grid, named_inputs, of_images, shown_numbers
from genclient.client.awaited import AwaitedCalls
from genclient.client.base import DISCRIMINATOR_SIGNATURE, Request, Seeds
from genclient.client.call import Batch
from genclient.client.detection import Detection, companion, detection_request, is_detector, none_judges
from genclient.client.inversion import Inversion, inversion_binding, inversion_request
from genclient.client.server_config import config_text, explained, server_config
from genclient.client.texts import Texts, of_each, tokenization
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
from genclient.images.image_grid import ImageGrid
from genclient.images.image_grid import captions as captions_of
from genclient.model.roles import Label
from genclient.rpc import channel, wire
from genclient.rpc.channel import Method
from genclient.tasks.fake_detection import FAKE_DETECTION, FILES_DETECTION


class AsyncClient(AwaitedCalls):
    """A model behind a TensorFlow Serving address, for one event loop; an asynchronous context manager.

    Arguments, results and errors of each method are those of Client.

    Example:
    ```python
    async with AsyncClient("localhost:8500", "digits") as client:
        images, other = await asyncio.gather(client.sample(16), client.sample(16, seed=16))
        async for batch in client.stream(range(1000)):
            print(batch.images.shape)
    ```
    """

    async def __aenter__(self) -> AsyncClient:
        """Return itself."""
        return self

    async def reload(self, config: str) -> None:
        """As `Client.reload`."""
        request = wire.ReloadRequest(config=server_config(config))
        self._check_reload(await self._call(channel.RELOAD, request))

    async def config(self) -> str:
        """As `Client.config`."""
        return config_text(await self._config_call(channel.GET_CONFIG, wire.ReloadRequest()))

    async def merge(self, config: str) -> None:
        """As `Client.merge`."""
        for model in server_config(config).model_config_list.config:
            self._check_reload(await self._config_call(channel.SET_MODEL, model))

    async def remove(self, model: str) -> None:
        """As `Client.remove`."""
        self._check_reload(await self._config_call(channel.REMOVE_MODEL, wire.ModelSpec(name=model)))

    async def _config_call(self, method: Method, request: Any) -> Any:
        try:
            return await self._call(method, request)
        except RpcError as error:
            raise explained(error) from None

    async def sample(
        self,
        n: int = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        signature: str = "auto",
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> NDArray[np.uint8]:
        """As `Client.sample`."""
        given = of_each(of_images(n, seed, seeds, latents, truncation, label, inputs), texts)
        return (await self._collect(self.model, None, Request(given, signature, result="images")))["images"]

    async def run(
        self,
        inputs: Mapping[str, ArrayLike] | None = None,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        **named: Any,
    ) -> dict[str, NDArray[Any]]:
        """As `Client.run`."""
        given = named_inputs({**(inputs or {}), **named})
        return await self._collect(self._model_or_default(model), version, Request(given, signature))

    async def grid(
        self,
        n: int = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        signature: str = "auto",
        columns: int | None = None,
        scale: int | None = None,
        captions: bool = False,
    ) -> ImageGrid:
        """As `Client.grid`."""
        check_grid(columns, scale)
        arguments = {
            "seeds": seeds,
            "latents": latents,
            "truncation": truncation,
            "label": label,
            "texts": texts,
            "signature": signature,
        }
        images = await self.sample(n, seed, **arguments)  # type: ignore[arg-type]
        lines = captions_of(shown_numbers(n, seed, seeds, latents), label, texts) if captions else ()
        return ImageGrid(images, columns, scale, lines)

    sheet = grid  # its old name

    async def iter_sample(
        self,
        n: int | None = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        signature: str = "auto",
    ) -> AsyncIterator[NDArray[np.uint8]]:
        """As `Client.iter_sample`."""
        given = of_images(n, seed, seeds, None, truncation, label, texts=texts, bounded=False)
        async for batch in self._batches(self.model, None, Request(given, signature, result="images")):
            for image in batch.images:
                yield image

    async def stream(
        self,
        seeds: Seeds | None = None,
        *,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        signature: str = "auto",
        version: int | None = None,
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> AsyncIterator[Batch]:
        """As `Client.stream`."""
        given = of_images(COUNT, FIRST, seeds, latents, truncation, label, inputs, texts)
        async for batch in self._batches(self.model, version, Request(given, signature, result="images")):
            yield batch

    async def tokens(self, texts: Sequence[str] | str, *, version: int | None = None) -> NDArray[np.int32]:
        """As `Client.tokens`."""
        return (await self._collect(self.model, version, tokenization(texts)))["tokens"]

    async def score(
        self,
        images: ArrayLike,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = DISCRIMINATOR_SIGNATURE,
    ) -> NDArray[np.float32]:
        """As `Client.score`."""
        request = Request({"images": images, "labels": label}, signature, FAKE_DETECTION)
        return (await self._collect(self._discriminator_name(model), None, request))["scores"]

    async def score_files(
        self,
        files: Sequence[bytes | str | PathLike[str]],
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.float32]:
        """As `Client.score_files`."""
        check_files("files", files)
        from genclient.images import pictures, value_ranges

        read = await asyncio.to_thread(pictures.read_all, files, value_ranges.of_pair(value_range))
        given = {"image_bytes": read, "labels": label}
        request = Request(given, signature, FILES_DETECTION)
        return (await self._collect(self._discriminator_name(model), None, request))["scores"]

    async def detect(
        self,
        images: Pictures,
        *,
        label: Label = None,
        model: str | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> Detection:
        """As `Client.detect`."""
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        request = await asyncio.to_thread(detection_request, images, of_pair(value_range), label, signature)
        return Detection.of(await self._collect(await self._judge() if model is None else model, None, request))

    async def _judge(self) -> str:
        """As `Client._judge`."""
        try:
            is_there = not is_detector(await self.info())
        except RpcError as error:
            if error.code.name != "NOT_FOUND":
                raise
            is_there = False
        else:
            if not is_there:
                return self.model
        try:
            await self.info(companion(self.model))
        except RpcError as error:
            raise none_judges(self.model, is_there, error) from None
        return companion(self.model)

    async def translate(
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
        """As `Client.translate`."""
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges, variations = self._model_or_default(model), of_pair(value_range), Variations.of(n, seed, latents)
        info = await self.info(name, version)
        images, whole = await asyncio.to_thread(translation.taken, images, tile, picture_shape(info), ranges, hints)
        binding = binding_for(info, signature, self.names, are_files(images))
        check_result(binding, name, clips=False)
        request = await asyncio.to_thread(translation_request, binding, images, hints, ranges, variations)
        made = (await self._collect(name, version, request))["images"]
        return await asyncio.to_thread(whole, made, variations.n)

    async def animate(
        self,
        images: Pictures,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> NDArray[np.uint8]:
        """As `Client.animate`."""
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges = self._model_or_default(model), of_pair(value_range)
        binding = binding_for(await self.info(name, version), signature, self.names, are_files(images))
        check_result(binding, name, clips=True)
        request = await asyncio.to_thread(translation_request, binding, images, None, ranges)
        return (await self._collect(name, version, request))["images"]

    async def invert(
        self,
        images: Pictures,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> Inversion:
        """As `Client.invert`."""
        from genclient.images.value_ranges import of_pair

        check_files("images", images)
        name, ranges = self._model_or_default(model), of_pair(value_range)
        binding = inversion_binding(await self.info(name, version), signature, self.names, are_files(images))
        request = await asyncio.to_thread(inversion_request, binding, images, ranges)
        return Inversion.of(await self._collect(name, version, request))
