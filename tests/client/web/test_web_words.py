"""The page draws what is typed: the words of a text are those of the Python runner, and so are the pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import speaker
from awkward import WELL_FORMED
from genclient.model.vocabulary import Vocabulary
from web_page import NEEDS_BROWSER, assert_same, python_images

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(web, site, browser, words):
    """The page of the model `words`."""
    done = web(words / "models/words", site.folder / "words", "--file", "float32")
    assert done.returncode == 0, done.stderr
    browser.open(f"{site.url}/words/#seed=3&text=red+hart")
    return browser


def test_the_page_draws_what_is_typed_and_completes_it(page, words):
    file = words / "models/words/1/tflite/words-float32.tflite"
    assert_same(page.grid(), python_images(file, range(3, 19), texts="red hart"))
    assert page.text("#text-problem") == "The model does not know hart (heart?)."
    page.ask(call="fill", args=["#text", "BLUE caf"])
    page.wait_for_images()
    assert_same(page.grid(), python_images(file, range(3, 19), texts="BLUE caf"))
    offered = page.evaluate("[...document.querySelectorAll('#text-words option')].map((option) => option.value)")
    assert offered == ["BLUE cafe"]
    page.ask(call="fill", args=["#text", "green star"])
    page.wait_for_images()
    assert page.text("#text-problem") == ""
    name, picture = page.download("#save-image")
    assert (name, picture.info["text"]) == ("words-seed0003.png", "green star")
    assert_same(np.asarray(picture), python_images(file, [3], texts="green star")[0])
    page.wait_for_address("text=green+star")


def test_the_page_names_the_near_words_that_the_command_does(page):
    words = ["heart", "hearth", "earth", "chart", "star", "stars", "start", "éclair", "moon", "noon", "sun"]
    asked = ["hart", "strat", "mon", "erth", "xyzzy", "eclair", "aaa", "s"]
    near = f"(new Words({json.dumps({'vocabulary': ['[PAD]', '[UNK]', *words]})})).near(word)"
    module = "import('./genline.js').then(({ Words }) => "
    found = page.evaluate(f"{module}{json.dumps(asked)}.map((word) => {near}))")
    assert found == [Vocabulary(("[PAD]", "[UNK]", *words)).near(word) for word in asked]


def test_awkward_texts_are_cut_as_by_python(page):
    known = Vocabulary.of(speaker.interface()["inputs"][1])
    tokens = page.evaluate(
        f"""import("./genline.js").then(async ({{ Words }}) => {{
          const {{ words }} = await (await fetch("model.json")).json();
          const known = new Words(words);
          return {json.dumps(WELL_FORMED)}.map((text) => [...known.tokens(text, words.length)]);
        }})"""
    )
    assert tokens == known.tokens(WELL_FORMED, speaker.L).tolist()
    split = "import('./genline.js').then(({ Words }) => new Words({ vocabulary: [] }).split('a\\ud800b'))"
    assert page.evaluate(split) == ["a\ufffdb"], "half a character is a damaged one"
