"""Text-to-image: pictures of what words say. A generator whose texts are cut into words in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genexport.describe import tables
from genexport.kinds.generator import Generator

if TYPE_CHECKING:
    from genexport.generator.load import Generator as Model
    from genexport.savedmodel.signatures import Signature


class TextToImage(Generator):
    """`latents` and `tokens` → `images`; of `texts` and `seeds` too."""

    name = "text-to-image"
    tasks = ("text-to-image",)
    leaves_out_integers = True

    def endpoints(self, model: Model) -> dict[str, Signature]:
        """With `tokens`: texts → tokens, which tells a client what words the model knows."""
        import tensorflow as tf

        from genexport.savedmodel.signatures import Signature

        found = super().endpoints(model)
        (tokenizer,) = found["text"].resources
        texts = tf.TensorSpec([None], tf.string, name="texts")
        return {**found, "tokens": Signature(lambda texts: {"tokens": tokenizer(texts)}, [texts], [tokenizer])}

    def card(self, manifest: Mapping[str, Any]) -> str:
        from genexport.describe import model_card

        name, words = manifest["name"], manifest["word_count"]
        return model_card.text(
            manifest,
            model_card.Words(
                task="text-to-image",
                summary=f"A GAN generator that draws what words say, in {tables.shape_text(manifest)} "
                f"(width×height×channels). It knows {words:,} words.",
                contact_sheet="the same texts and latents through every file",
                compared="generated the images of 256 fixed texts and seeds",
                calling=f"""\
```sh
genserve --model_name {name} --model_base_path models/{name} --rest_api_port 8501     # or TensorFlow Serving
curl localhost:8501/v1/models/{name}:predict \\
  -d '{{"signature_name": "text", "instances": [{{"texts": "{_example(manifest)}", "seeds": 7}}]}}'
```

The signature `text` takes `texts` and `seeds` and gives pixels; the words are looked up in the graph. `tokens` says
what becomes of texts: 1 stands for a word that it does not know. Every other signature, and the TFLite files, take
`tokens`: docs/contracts.md says how a text is cut, and the words are in `assets/vocabulary.txt`.

{model_card.from_python(manifest)}""",
                limits=(
                    f"It knows {words:,} words, in whatever order they come; of others it hears nothing.",
                    "It draws nothing but what its training pictures showed, with their gaps and biases.",
                    f"It gives nothing larger than {tables.shape_text(manifest)}.",
                ),
            ),
        )

    def takes(self, manifest: Mapping[str, Any]) -> str:
        return f"from words, {manifest['word_count']:,} of them"


def _example(manifest: Mapping[str, Any]) -> str:
    """The two most frequent words of the captions that are longer than two plain letters."""
    tokens = next(each for each in manifest["interface"]["inputs"] if each["role"] == "tokens")
    return " ".join(
        [word for word in tokens["vocabulary"][2:] if word.isascii() and word.isalpha() and len(word) > 2][:2]
    )
