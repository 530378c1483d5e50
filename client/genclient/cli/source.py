"""Where a command's images come from: a server or a file on this machine, with the same few questions to each."""

from __future__ import annotations

import contextlib
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.server import Server, refuse_server
from genclient.errors import ClientError, UsageError
from genclient.model.classes import Classes, parse_classes
from genclient.model.vocabulary import UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.client.client import Batch, Client
    from genclient.client.inversion import Inversion
    from genclient.client.translation import Variations
    from genclient.device.generator import DeviceGenerator
    from genclient.images.prepare import Preprocessing
    from genclient.model.binding import Binding
    from genclient.model.signature import TensorSpec


class Source(ABC):
    """A generator.

    Attributes:
        model: what it is called.
        version: that is to make the images; None: not known before they come.
        classes: what is known of its classes.
        model_sha256: of its file, where it is one.
        preprocessing: how pictures are brought to size here; None: by their middle.
        frames_per_second: of clips, where it says so.
    """

    model: str
    version: int | None = None
    classes: Classes
    model_sha256: str | None = None
    preprocessing: Preprocessing | None = None
    frames_per_second: float | None = None

    @property
    @abstractmethod
    def z(self) -> int:
        """Latents per image.

        Raises:
            ClientError: it takes none, or cannot be reached.
        """

    @abstractmethod
    def inputs(self) -> Mapping[str, TensorSpec]:
        """What it takes, by name.

        Raises:
            ClientError: it is no generator, or cannot be reached.
        """

    @abstractmethod
    def clip_shape(self) -> tuple[int | None, ...] | None:
        """(T, H, W, C) of the clips that it makes; None where it makes images.

        Raises:
            ClientError: it cannot be reached.
        """

    @abstractmethod
    def stream(self, **arguments: Any) -> Iterator[Batch]:
        """Images, as in `Client.stream`, from `version` where it is known."""

    def notes(self) -> list[str]:
        """How it was read, where that is not certain; complete after `stream`."""
        return []

    @abstractmethod
    def binding(self, of_files: bool = True) -> Binding:
        """What it makes pictures or clips of pictures by, of files or of pixels.

        Raises:
            ClientError: it makes none, or cannot be reached.
        """

    @abstractmethod
    def size(self) -> tuple[int | None, ...] | None:
        """(H, W, C) of the pictures that it takes, where it says so."""

    @abstractmethod
    def translate(
        self, images: Sequence[bytes] | NDArray[np.uint8], hints: bytes | None, variations: Variations
    ) -> NDArray[np.uint8]:
        """What it makes of pictures: uint8 (N, H, W, C), `variations.n` of each in a row; or clips, one of each.

        Args:
            images: contents of files that `pictures.load` gave, or pixels (N, H, W, C) of the model's size.
            hints: content of a picture file, for models that take them.
            variations: which pictures of each, of models that take latents.

        Raises:
            ClientError: the model refuses them, or cannot be reached.
        """

    @abstractmethod
    def invert(self, contents: Sequence[bytes]) -> Inversion:
        """The latents of pictures, contents of files that `pictures.load` gave.

        Raises:
            ClientError: the model has no encoder, refuses them, or cannot be reached.
        """

    @abstractmethod
    def unknown_words(self, texts: Sequence[str]) -> tuple[list[str], bool]:
        """Words of texts that it does not know, each once, and whether it knows any; none where it cannot tell.

        Raises:
            ClientError: it cannot be reached.
        """

    def near_words(self, word: str) -> list[str]:
        """Words that it knows and that are written much like one that it does not; none where it cannot tell."""
        return []

    @abstractmethod
    def resolve_version(self) -> None:
        """Find out its version.

        Raises:
            ClientError: it cannot be reached.
        """

    @abstractmethod
    def fit(self, shard: int) -> None:
        """Ask for images in batches that files of `shard` images can be made of."""


class Served(Source):
    """A generator on a server."""

    def __init__(self, client: Client, signature: str, version: int | None, classes: Classes) -> None:
        """Take the client."""
        self._client, self._signature = client, signature
        self.model, self.version, self.classes = client.model, version, classes

    @property
    def z(self) -> int:
        """See `Source`."""
        spec = self._binding("latents").spec
        if spec.z is None:
            raise UsageError("--signature: found one that takes seeds, expected one that takes latents")
        return spec.z

    def inputs(self) -> Mapping[str, TensorSpec]:
        """See `Source`."""
        return self._binding().spec.inputs

    def clip_shape(self) -> tuple[int | None, ...] | None:
        """See `Source`."""
        from genclient.model.describe import clip_shape

        return clip_shape(self._client.info(version=self.version).signatures.values())

    def binding(self, of_files: bool = True) -> Binding:
        """See `Source`."""
        from genclient.client.translation import binding_for

        return binding_for(self._client.info(version=self.version), self._signature, self._client.names, of_files)

    def size(self) -> tuple[int | None, ...] | None:
        """See `Source`."""
        from genclient.client.translation import picture_shape

        return picture_shape(self._client.info(version=self.version))

    def translate(
        self, images: Sequence[bytes] | NDArray[np.uint8], hints: bytes | None, variations: Variations
    ) -> NDArray[np.uint8]:
        """See `Source`."""
        from genclient.client.translation import are_files, translation_request

        request = translation_request(self.binding(are_files(images)), images, hints, variations=variations, read=True)
        return self._client._collect(self.model, self.version, request)["images"]

    def invert(self, contents: Sequence[bytes]) -> Inversion:
        """See `Source`."""
        from genclient.client.inversion import Inversion, inversion_binding, inversion_request

        info = self._client.info(version=self.version)
        binding = inversion_binding(info, self._signature, self._client.names, files=True)
        request = inversion_request(binding, contents, read=True)
        return Inversion.of(self._client._collect(self.model, self.version, request))

    def resolve_version(self) -> None:
        """See `Source`."""
        if self.version is None:
            self.version = self._client.info().version

    def stream(self, **arguments: Any) -> Iterator[Batch]:
        """See `Source`."""
        texts = arguments.get("texts")
        if texts is not None and "texts" not in self._binding(*_beside_texts(arguments)).spec.inputs:
            arguments |= {"texts": None, "inputs": {**(arguments.get("inputs") or {}), "tokens": self._tokens(texts)}}
        return self._client.stream(signature=self._signature, version=self.version, **arguments)

    def unknown_words(self, texts: Sequence[str]) -> tuple[list[str], bool]:
        """As far as words are what stands between blanks: the server has the vocabulary."""
        if "tokens" not in self._client.info(version=self.version).signatures:
            return [], True
        words = list(dict.fromkeys(word for text in texts for word in text.split()))
        tokens = self._client.tokens([*words, *texts], version=self.version)
        unknown = [word for word, found in zip(words, tokens, strict=False) if UNKNOWN in found]
        return unknown, bool((tokens > UNKNOWN).any())

    def _tokens(self, texts: str | Sequence[str]) -> NDArray[np.int32]:
        """Of a text for all images (L,), or of one for each (N, L)."""
        if isinstance(texts, str):
            return self._client.tokens(texts, version=self.version)[0]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        return self._client.tokens(list(places), version=self.version)[[places[text] for text in texts]]

    def fit(self, shard: int) -> None:
        """Batches end where shards do, so that a shard is made by the same requests whenever it is made."""
        from genclient.client.base import BATCH_BYTES, MAX_BATCH_BYTES, MAX_BATCH_SIZE

        if self._client.batch_size is not None or self._binding().fixed_batch:
            return
        shapes = (
            spec.clip_shape or spec.image_shape for spec in self._client.info(version=self.version).signatures.values()
        )
        shape = next((shape for shape in shapes if shape and None not in shape), None)
        bytes_each = 4 * math.prod(side or 1 for side in shape) if shape else BATCH_BYTES // MAX_BATCH_SIZE
        least = max(1, min(16, MAX_BATCH_BYTES // bytes_each))
        most = max(least, min(MAX_BATCH_SIZE, BATCH_BYTES // max(1, bytes_each)))
        even = next(rows for rows in range(min(most, shard), 0, -1) if shard % rows == 0)
        self._client.batch_size = even if 2 * even > most or even == shard else most

    def _binding(self, *given: str) -> Binding:
        from genclient.tasks.registry import choose

        info = self._client.info(version=self.version)
        return choose(info, self._signature, self._client.names, given=given, result="images")[1]


def _beside_texts(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What a signature has to take besides texts, which is latents where seeds will not do."""
    given = arguments.get("latents") is not None or arguments.get("truncation", 1.0) != 1.0
    return ("latents",) if given else ()


class Local(Source):
    """A generator in a TFLite file."""

    def __init__(self, path: str, device: DeviceGenerator, classes: Classes | None) -> None:
        """Take the loaded file, and classes where the user says them."""
        self._device = device
        self.model, self.preprocessing = device.info().name, device.preprocessing
        self.frames_per_second = device.frames_per_second
        self.classes = classes or Classes(device.class_names, device.class_count)
        with open(path, "rb") as file:
            self.model_sha256 = hashlib.sha256(file.read()).hexdigest()

    @property
    def z(self) -> int:
        """See `Source`."""
        spec = self._device.generator()
        if spec is None or spec.z is None:
            raise ClientError(f"{self.model} is not a generator: it takes no latents")
        return spec.z

    def inputs(self) -> Mapping[str, TensorSpec]:
        """See `Source`."""
        spec = self._device.generator()
        return {} if spec is None else spec.inputs

    def clip_shape(self) -> tuple[int | None, ...] | None:
        """See `Source`."""
        from genclient.model.describe import clip_shape

        return clip_shape(self._device.info().signatures.values())

    def binding(self, of_files: bool = True) -> Binding:
        """See `Source`."""
        return self._device.translation()

    def size(self) -> tuple[int | None, ...] | None:
        """See `Source`."""
        shape = self.binding().spec.inputs["image"].shape
        return None if shape is None else shape[1:]

    def translate(
        self, images: Sequence[bytes] | NDArray[np.uint8], hints: bytes | None, variations: Variations
    ) -> NDArray[np.uint8]:
        """See `Source`."""
        from genclient.client.translation import translation_request

        how = self.preprocessing
        request = translation_request(
            self.binding(), images, hints, variations=variations, read=True, preprocessing=how
        )
        return self._device.run(request.given)["images"]

    def invert(self, contents: Sequence[bytes]) -> Inversion:
        """See `Source`."""
        from genclient.client.inversion import Inversion, inversion_request

        how = self.preprocessing
        request = inversion_request(self._device.inversion(), contents, read=True, preprocessing=how)
        return Inversion.of(self._device.run(request.given))

    def unknown_words(self, texts: Sequence[str]) -> tuple[list[str], bool]:
        """By the vocabulary in its metadata."""
        words = self._device.vocabulary
        if words is None:
            return [], True
        unknown = words.unknown(texts)
        return unknown, any(set(words.split(text)) - set(unknown) for text in texts)

    def near_words(self, word: str) -> list[str]:
        """See `Source`."""
        return self._device.vocabulary.near(word) if self._device.vocabulary else []

    def resolve_version(self) -> None:
        """A file has no version."""

    def fit(self, shard: int) -> None:
        """An image does not depend on its batch here."""

    def stream(self, **arguments: Any) -> Iterator[Batch]:
        """See `Source`."""
        return self._device.stream(**arguments)

    def notes(self) -> list[str]:
        """See `Source`."""
        return self._device.notes


@contextlib.contextmanager
def open_source(context: click.Context, server: Server, options: dict[str, Any]) -> Iterator[Source]:
    """The generator that the options of `source_options` name.

    Raises:
        UsageError: options do not fit each other.
        ClientError: a file cannot be used.
    """
    classes = None if options.get("classes") is None else parse_classes(options["classes"])
    if options["tflite"] is not None:
        refuse_server(context, "signature", "model_version")
        from genclient.device.sandbox import load_device

        yield Local(options["tflite"], load_device(options["tflite"], options["threads"]), classes)
        return
    if options["threads"] is not None:
        raise UsageError(f"--threads: found {options['threads']} without --tflite, expected only with a file")
    if options["model_version"] is not None and server.settings.get("version_label") is not None:
        raise UsageError("--version-label: found it beside --model-version, expected one of them")
    with server.client() as client:
        yield Served(client, options["signature"], options["model_version"], classes or Classes())
