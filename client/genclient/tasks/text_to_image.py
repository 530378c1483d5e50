"""Images of what words say. Servers look the words up themselves; a file on this machine brings its vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

from genclient.errors import ClientError
from genclient.model.binding import Binding
from genclient.model.roles import IMAGES, LATENTS, PNG, SEEDS
from genclient.model.signature import ModelInfo
from genclient.model.text_roles import TEXTS, TOKENS
from genclient.tasks.task import AUTO, Task

TEXT_TO_IMAGE = Task(
    "text-to-image",
    inputs=[LATENTS, SEEDS, TEXTS, TOKENS],
    outputs=[IMAGES, PNG],
    noun="a model of images of words",
    expected=("inputs latents or seeds, and texts or tokens", "an output images or png_bytes"),
    cheapest=("text", "uint8", "serving_default", "seeds", "png"),
)


class _Tokenization(Task):
    def bind(self, info: ModelInfo, signature: str, names: Mapping[str, str]) -> Binding:
        """As `Task.bind`; of a model without such a signature the error says what that is."""
        if signature == AUTO and "tokens" not in info.signatures:
            raise ClientError(
                f"model {info.name!r} does not say which words it knows: expected a signature tokens, texts → tokens"
            )
        return super().bind(info, signature, names)


TOKENIZATION = _Tokenization(
    "tokenization",
    inputs=[TEXTS],
    outputs=[TOKENS],
    noun="a model that says which words it knows",
    expected=("an input texts", "an output tokens"),
    cheapest=("tokens",),
)
"""From texts to tokens by the model's own vocabulary."""
