"""A text is cut into the same words by Python, by a server's graph, by training, and by the C header."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
import speaker
from awkward import TEXTS
from embedded import EMBEDDED, NEEDS_COMPILER
from genclient.errors import ClientError, UsageError
from genclient.model import tflite_metadata
from genclient.model.signature import TensorSpec
from genclient.model.text_roles import TEXTS as TEXTS_ROLE
from genclient.model.vocabulary import Vocabulary
from genexport.savedmodel.saved_model import ServingSession

KNOWN = Vocabulary.of(speaker.interface()["inputs"][1])
EXPECTED = KNOWN.tokens([text.decode(errors="replace") for text in TEXTS], speaker.L)


def test_texts_are_cut_as_training_cut_the_captions():
    training = speaker.vocabulary()
    for row, text in zip(EXPECTED, TEXTS, strict=True):
        indices = training.indices(text.decode(errors="replace"))[: speaker.L]
        assert row.tolist() == indices + [0] * (speaker.L - len(indices)), text[:60]
    assert len({tuple(row) for row in EXPECTED}) > 15


def test_the_graph_of_a_server_cuts_them_alike(words):
    with ServingSession(words / "models/words/1") as session:
        assert np.array_equal(session.run("tokens", {"texts": np.array(TEXTS, object)}), EXPECTED)
        assert session.run("tokens", {"texts": np.array([], object)}).shape == (0, speaker.L)


@NEEDS_COMPILER
@pytest.mark.parametrize("compiler", ["cc -std=c99", "c++ -std=c++11"])
def test_the_c_header_cuts_them_alike(tmp_path, words, compiler):
    source = tmp_path / ("main.c" if compiler.startswith("cc") else "main.cc")
    source.write_text(
        f'#include "{EMBEDDED}/genline_words.h"\n#include <stdio.h>\n'
        "int main(int argc, char **argv) { static char json[1 << 20]; fread(json, 1, sizeof json - 1, stdin);"
        "GenlineWords words; if (!genline_words(json, &words)) return 3;"
        f"for (int i = 1; i < argc; ++i) {{ int32_t t[{speaker.L}]; genline_tokens(&words, argv[i], t, {speaker.L});"
        f'for (int j = 0; j < {speaker.L}; ++j) printf("%d ", (int)t[j]); }}'
        "free((void *)words.becomes); return 0; }\n"
    )
    program = tmp_path / "main"
    warnings = ["-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    subprocess.run([*compiler.split(), *warnings, source, "-o", program], check=True, timeout=60)
    texts = [text.replace(b"\0", b" ") for text in TEXTS]  # which ends a text in C
    expected = KNOWN.tokens([text.decode(errors="replace") for text in texts], speaker.L)
    for ascii_only in (True, False):
        described = json.dumps({"interface": speaker.interface()}, ensure_ascii=ascii_only).encode()
        done = subprocess.run([program, *texts], input=described, capture_output=True, check=True, timeout=60)
        assert np.array_equal(np.array(done.stdout.split(), int).reshape(-1, speaker.L), expected)
    for damaged in (described[:600], b'{"vocabulary": ["a', b'{"folding": {"\\u', b""):
        done = subprocess.run([program, "red"], input=damaged, capture_output=True, timeout=60)
        assert done.returncode in (0, 3), done.stderr.decode()


def test_what_an_argument_holds_in_place_of_damaged_bytes_parts_words():
    assert KNOWN.split(b"re\xffd".decode(errors="surrogateescape")) == ["re", "d"]
    assert (
        TEXTS_ROLE.column(TensorSpec("string", (None,)), {"texts": "re\udcffd"}, 1).at(0, 1)[0] == "re\ufffdd".encode()
    )


def test_unknown_words_are_named_once_and_near_ones_found():
    assert KNOWN.unknown(["red hart", "HART, gren"]) == ["hart", "gren"]
    assert KNOWN.near("hart") == ["heart"]
    assert KNOWN.near("xyzzy") == []


@pytest.mark.parametrize("change", [
    {"vocabulary": ["[PAD]", 7]}, {"vocabulary": 3}, {"folding": ["ab", 3]}, {"alone": [[1]]}, {"range": [0, 3]},
    {"folding": {"a": 1}}, {"range": []},
])  # fmt: skip
def test_a_vocabulary_that_is_none_is_refused_in_one_line(change):
    with pytest.raises(ValueError, match="expected vocabulary, folding and alone of this model"):
        Vocabulary.of({**speaker.interface()["inputs"][1], **change})


def test_no_texts_are_told_from_texts():
    for texts in (7, [b"red"], ["red", None], b"red"):
        with pytest.raises(UsageError, match=r"texts: found .*, expected a text, or a list of them"):
            TEXTS_ROLE.column(TensorSpec("string", (None,)), {"texts": texts}, None)


def test_a_file_whose_vocabulary_is_another_models_is_refused(words):
    content = (words / "models/words/1/tflite/words-float32.tflite").read_bytes()
    assert tflite_metadata.read(content, "words").vocabulary == KNOWN
    other = content.replace(b'"range": [0, ', b'"range": [1, ', 1)
    assert tflite_metadata.read(other, "words").vocabulary == KNOWN, "only the last one counts"
    count = str(len(KNOWN.words) - 1).encode()
    other = content.replace(b'"range": [0, ' + count, b'"range": [0, ' + b"9" * len(count), 1)
    assert other != content
    with pytest.raises(ClientError, match="words: metadata 'genline': expected vocabulary"):
        tflite_metadata.read(other, "words")
