"""Images from a served generator, by seed: the library behind `genclient`. Prints nothing and writes no file.

with Client("localhost:8500", "digits") as client:
    images = client.sample(16, seed=0)      # uint8 (16, H, W, C)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client.arguments import COUNT, FIRST, check_grid, named_inputs, of_images, shown_numbers
from genclient.client.base import MAX_BATCH_SIZE, Request, Seeds
from genclient.client.call import Batch, Exchange
from genclient.client.pictures import PictureCalls
from genclient.client.texts import Texts, of_each, tokenization
from genclient.images.image_grid import ImageGrid
from genclient.images.image_grid import captions as captions_of
from genclient.model.roles import Label
from genclient.rpc.status import VersionStatus

__all__ = ["MAX_BATCH_SIZE", "Batch", "Client", "Exchange", "VersionStatus"]


class Client(PictureCalls):
    """A model behind a TensorFlow Serving address. Threads may share one; a context manager.

    Example:
    ```python
    with Client("localhost:8500", "digits", timeout_seconds=10) as client:
        images = client.sample(16, seed=0)  # uint8 (16, 28, 28, 1)
    ```
    """

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def sample(
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
        """Images of `n` seeds from `seed` on, of `seeds` or of `latents`, in one array.

        Of several texts there are as many images of each, of the same seeds; those of the first come first. It begins
        anew should the version of the first images be unloaded meanwhile.

        Example:
        ```python
        images = client.sample(16, seed=0)
        images = client.sample(4, texts=["red heart", "moon"])
        images = client.sample(seeds=[3, 1, 4], truncation=0.7, label=2)
        images = client.sample(latents=np.random.default_rng(0).standard_normal((8, 64)))
        ```

        Returns:
            uint8 (N, H, W, C), of a model of clips (N, T, H, W, C). Arguments and errors are those of `stream`.
        """
        given = of_each(of_images(n, seed, seeds, latents, truncation, label, inputs), texts)
        return self._collect(self.model, None, Request(given, signature, result="images"))["images"]

    def run(
        self,
        inputs: Mapping[str, ArrayLike] | None = None,
        *,
        model: str | None = None,
        version: int | None = None,
        signature: str = "auto",
        **named: Any,
    ) -> dict[str, NDArray[Any]]:
        """Whatever a model gives for named inputs, by name.

        What the model does is known from the names of its tensors: see `genclient.tasks`.

        Example:
        ```python
        outputs = client.run(latents=z, image=pictures)
        outputs["images"]  # uint8 (N, H, W, C)
        ```

        Args:
            inputs: by name, where that is handier than as arguments.
            model: another one than the client's.
            version: of the model; None: the one that responds first.
            signature: which of its functions to call; `auto`: the cheapest that takes these inputs.
            named: by the names of roles: `latents` float (N, Z) or `seeds`, with `truncation`; `labels`; `image` and
                `images`, uint8 or floats in [0, 1]; `image_bytes`, contents of picture files. What is one for all, such
                as a single class or image, is sent with each.

        Returns:
            Arrays (N, …): `images` uint8 (N, H, W, C), `scores` float32 (N,), and others as the model gives them.

        Raises:
            UsageError: the inputs do not fit each other or the model.
            ClientError: the model fits no task that is known; the server refuses, cannot be reached, or answers
                something else.
        """
        given = named_inputs({**(inputs or {}), **named})
        return self._collect(self._model_or_default(model), version, Request(given, signature))

    def grid(
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
        """Images of `n` seeds from `seed` on, or of `seeds` or `latents`, as one image grid that notebooks show.

        Example:
        ```python
        grid = client.grid(16, seed=0, columns=8, captions=True)
        grid.save("grid.png")
        ```

        Args:
            n: how many.
            seed: the first one's; the next has the next.
            seeds: instead of these.
            latents: float (N, Z), instead of seeds.
            truncation: see `stream`, as `label` and `signature`.
            label: the same for all, or one for each of them.
            texts: n images of each, as `sample` makes them.
            signature: which of the model's functions to call.
            columns: of the grid; nearly as many as rows, unless given.
            scale: how many times images are enlarged; None: to about 512 pixels; 1: bare pixels.
            captions: whether seed and class stand below each image.
        """
        check_grid(columns, scale)
        arguments = {
            "seeds": seeds,
            "latents": latents,
            "truncation": truncation,
            "label": label,
            "texts": texts,
            "signature": signature,
        }
        images = self.sample(n, seed, **arguments)  # type: ignore[arg-type]
        lines = captions_of(shown_numbers(n, seed, seeds, latents), label, texts) if captions else ()
        return ImageGrid(images, columns, scale, lines)

    sheet = grid  # its old name

    def iter_sample(
        self,
        n: int | None = COUNT,
        seed: int = FIRST,
        *,
        seeds: Seeds | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        signature: str = "auto",
    ) -> Iterator[NDArray[np.uint8]]:
        """Images one by one, uint8 (H, W, C), in the order of their seeds; of any number, in little memory.

        Example:
        ```python
        for image in client.iter_sample(100_000, seed=0):
            dataset.append(image)
        ```

        Args:
            n: how many; None: no end.
            seed: the first one's; the next has the next.
            seeds: instead of these.
            truncation: see `stream`, as `label` and `signature`.
            label: the same for all, or one for each of them.
            texts: the same for all, or one for each of them.
            signature: which of the model's functions to call.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the server refuses, cannot be reached, or returns something that is not images.
        """
        given = of_images(n, seed, seeds, None, truncation, label, texts=texts, bounded=False)
        batches = self._batches(self.model, None, Request(given, signature, result="images"))
        return (image for batch in batches for image in batch.images)

    def stream(
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
    ) -> Iterator[Batch]:
        """Images of `seeds`, in their order, a request at a time, all from one version of the model.

        Requests run a few at a time, ahead of what is taken: memory stays bounded.

        Example:
        ```python
        for batch in client.stream(range(1000), label=3):
            print(batch.seeds, batch.images.shape, batch.version)
        ```

        Args:
            seeds: whole numbers within int64, one an image; equal seeds give equal images, in whatever batch.
            latents: float (N, Z), instead of seeds.
            truncation: factor on the latents; below 1 nearer to the average image.
            label: class of every image, or one for each, where the generator is conditional.
            texts: what is to be seen, for all or for each, where the model takes words; None: whatever it likes.
            signature: which of the model's functions to call; `auto`: the cheapest that gives images.
            version: of the model that has to make them; None: the one that responds first.
            inputs: what the model takes besides, as `run` does: `{"image": pictures}`.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the server refuses, cannot be reached, or returns something that is not images.
        """
        given = of_images(COUNT, FIRST, seeds, latents, truncation, label, inputs, texts)
        return self._batches(self.model, version, Request(given, signature, result="images"))

    def tokens(self, texts: Sequence[str] | str, *, version: int | None = None) -> NDArray[np.int32]:
        """Texts as the model hears them, int32 (N, L): each word by its index, 1 where it does not know it, then zeros.

        `client.sample(inputs={"tokens": client.tokens("red heart")[0]}, truncation=0.7)`, as texts go with seeds alone.

        Raises:
            UsageError: they are no texts.
            ClientError: the model has no signature that says so; the server refuses, or cannot be reached.
        """
        return self._collect(self.model, version, tokenization(texts))["tokens"]
