"""Pictures of what words say, from a server and from a file: the same, with their words beside them."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile

import numpy as np
import pytest
import speaker
import tensorflow as tf
from genclient import AsyncClient, Client, DeviceGenerator, UsageError
from library_servers import near
from PIL import Image
from real_server import genserve

NAMED = ["red heart", "BLUE café", ""]


@pytest.fixture(scope="module")
def server(words):
    """The address of a server of the model `words`."""
    options = ("--model_name", "words", "--model_base_path", words / "models" / "words")
    with genserve(*options, models=("words",)) as address:
        yield address


@pytest.fixture(scope="module")
def file(words):
    """The same model as a TFLite file."""
    return words / "models/words/1/tflite/words-float32.tflite"


@pytest.fixture
def client(server):
    with Client(server, "words") as client:
        yield client


def on_device(file, texts, n, **settings):
    """The pixels of n seeds of each text, by the file."""
    seeds = np.tile(np.arange(n), len(texts))
    batches = DeviceGenerator(str(file)).stream(seeds, texts=list(np.repeat(texts, n)), **settings)
    return np.concatenate([batch.images for batch in batches])


def test_the_library_gives_n_images_of_each_text(client, file):
    images = client.sample(4, texts=NAMED)
    assert near(images, on_device(file, NAMED, 4))
    means = images.reshape(3, 4, -1, 3).mean(axis=2)
    assert (means[0].argmax(axis=1) == 0).all(), "red"
    assert (means[1].argmax(axis=1) == 2).all(), "blue"
    assert np.ptp(means[2], axis=1).max() < 1, "no word, no colour"
    assert len(np.unique(means[0].sum(axis=1))) == 4, "each seed is another picture"
    assert np.array_equal(client.sample(4, texts="red heart"), images[:4])
    assert np.array_equal(client.sample(seeds=[2], texts=["red heart"]), images[2:3])
    assert np.array_equal(client.sample(4), images[8:]), "without texts, as of empty ones"
    assert np.array_equal(next(client.stream([3, 3], texts=NAMED[:2])).images, images[[3, 7]])
    assert np.array_equal(list(client.iter_sample(2, texts="red heart")), images[:2])
    assert client.sheet(2, texts=NAMED[:2], captions=True).captions[3] == "1 BLUE café"

    async def main():
        async with AsyncClient(client.target, "words") as other:
            sheet = await other.sheet(4, texts=NAMED)
            streamed = [batch.images async for batch in other.stream([3], texts="BLUE café")]
            return sheet.images, await other.tokens(NAMED), streamed

    awaited, tokens, streamed = asyncio.run(main())
    assert np.array_equal(awaited, images)
    assert np.array_equal(tokens, client.tokens(NAMED))
    assert np.array_equal(streamed[0], images[[7]])


def test_tokens_go_with_what_texts_do_not_go_with(client, file):
    (tokens,) = client.tokens("red heart")
    assert near(
        client.sample(2, inputs={"tokens": tokens}, truncation=0.5), on_device(file, ["red heart"], 2, truncation=0.5)
    )
    z = np.ones((1, speaker.Z), np.float32)
    assert near(client.sample(latents=z, inputs={"tokens": tokens}), client.run(latents=z, tokens=tokens)["images"])
    for wrong, message in (
        (
            {"texts": ["red", "blue"], "truncation": 0.5},
            "truncation: found 0.5, expected 1 with a signature that takes",
        ),
        (
            {"texts": "red", "signature": "uint8"},
            "texts: found some, expected tokens with a signature that takes those",
        ),
        ({"inputs": {"tokens": tokens[:2]}}, r"tokens: found \(2,\), expected \(6,\)"),
        ({"inputs": {"tokens": tokens * 1.5}}, "tokens: found float64 .*, expected indices of words"),
        ({"texts": []}, r"texts: found \[\], expected a text, or a list of them"),
        ({"texts": ["red"] * 70_000}, "texts: found 70000 for 16 images each, expected at most 1000000 in all"),
    ):
        with pytest.raises(UsageError, match=message):
            client.sample(**wrong)
    with pytest.raises(UsageError, match="texts: found 2, expected 3, one for each example"):
        next(client.stream([1, 2, 3], texts=["red", "blue"]))


def test_rows_of_the_grid_are_texts_and_the_words_stand_in_the_picture(genclient, server, file, tmp_path):
    texts = ("--text", "red heart", "--text", "BLUE café", "--n", "3", "--scale", "1")
    for name, source in (("served", ("--target", server, "--model", "words")), ("file", ("--tflite", file))):
        done = genclient("sample", *source, *texts, "--out", f"{name}.png")
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.info["text"] == "red heart; BLUE café"
            pixels = np.asarray(picture)
        rows = pixels.reshape(-1, pixels.shape[1], 3)[[speaker.SIDE // 2, -speaker.SIDE // 2], speaker.SIDE // 2]
        assert rows.argmax(axis=1).tolist() == [0, 2]
    with Image.open(tmp_path / "served.png") as one, Image.open(tmp_path / "file.png") as other:
        assert near(np.asarray(one), np.asarray(other))


def test_a_file_of_captions_fills_shards_folders_and_archives_that_resume(genclient, server, tmp_path):
    captions = "\ufeffred heart\n\n  BLUE café 赤い心 \r\n".encode()
    command = ("sample", "--target", server, "--model", "words", "--text-file", "-", "--n", "2", "--out")
    for out in ("%02d.tar", "records/%02d.tfrecord", "folder/", "all.npz"):
        done = genclient(*command, out, input=captions)
        assert done.returncode == 0, done.stderr.decode()
    with tarfile.open(tmp_path / "00.tar") as shard:
        names = [member.name.partition(".") for member in shard]
        assert [name for name, _, end in names if end == "txt"] == [
            "seed0000_0",
            "seed0001_0",
            "seed0000_1",
            "seed0001_1",
        ]
        assert shard.extractfile("seed0001_1.txt").read().decode() == "BLUE café 赤い心"
        assert json.load(shard.extractfile("seed0001_0.json"))["text"] == "red heart"
        with Image.open(io.BytesIO(shard.extractfile("seed0000_1.png").read())) as picture:
            assert picture.info["text"] == "BLUE café 赤い心"
    records = list(tf.data.TFRecordDataset(str(tmp_path / "records/00.tfrecord")).as_numpy_iterator())
    features = tf.train.Example.FromString(records[2]).features.feature
    assert features["text"].bytes_list.value[0].decode() == "BLUE café 赤い心"
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["texts"].tolist() == ["red heart"] * 2 + ["BLUE café 赤い心"] * 2
    manifest = json.loads((tmp_path / "folder/manifest.json").read_text())
    assert manifest["request"]["texts"] == ["red heart", "BLUE café 赤い心"]
    assert manifest["files"][3] == {"file": "1-BLUE_café_赤い心/seed0001.png", "seed": 1, "text": "BLUE café 赤い心"}
    (tmp_path / "folder/0-red_heart/seed0001.png").unlink()
    done = genclient(*command, "folder/", input=captions)
    assert b"3 of 4 images are in folder/ already" in done.stderr
    assert (tmp_path / "folder/0-red_heart/seed0001.png").exists()
    done = genclient(*command, "%02d.tar", input=captions)
    assert b"all 4 images are in %02d.tar already" in done.stderr
    done = genclient(*command, "folder/", input=b"green star")
    assert done.returncode == 2
    assert b'found a set with texts ["red heart", ' in done.stderr
    done = genclient(*command, "folder/", "--overwrite", input=b"green star")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "folder").rglob("*.png")) == ["seed0000.png", "seed0001.png"]


def test_unknown_words_are_named_with_near_ones(genclient, server, file):
    said = ("sample", "--text", "red HART gren", "--text", "xyzzy!", "--n", "1")
    done = genclient(*said, "--tflite", file)
    assert done.returncode == 0
    assert done.stderr.decode() == (
        "genclient: words-float32.tflite does not know hart (heart?), gren (green?), xyzzy\n"
    )
    done = genclient(*said, "--target", server, "--model", "words")
    assert done.stderr == b"genclient: words does not know HART, gren, xyzzy!\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "hart, xyzzy"], "--text: found no word that words-float32.tflite knows: hart (heart?), xyzzy"),
        (["--text", "red", "--text-file", "x"], "--text and --text-file: found both, expected one of them"),
        (["--text-file", "-"], "--text-file: found no text in -, expected one a line"),
        (["--text", "red", "--text", "blue", "--grid", "2x2"], "--grid: found it beside several texts"),
        (
            ["--text", "red", "--text", "blue", "--out", "%d.png"],
            "--out: found %d.png, which names one file a seed, beside",
        ),
    ],
)
def test_texts_that_cannot_be_meant_are_refused(fails, file, options, message):
    code, line = fails("sample", "--tflite", file, *options, input=b" \n\n")
    assert code == 2
    assert line.startswith(message)


def test_a_model_without_words_refuses_them_and_a_file_without_a_vocabulary(fails, genclient, tflite, file, tmp_path):
    assert fails("sample", "--tflite", tflite, "--text", "red") == (
        2,
        f"--text: found 'red', expected none: {tflite.name} takes no words",
    )
    mute = tmp_path / "mute.tflite"
    mute.write_bytes(file.read_bytes().replace(b'"vocabulary"', b'"vocabulari"'))
    assert fails("sample", "--tflite", mute, "--text", "red") == (
        1,
        "mute.tflite: its metadata has no vocabulary, which texts need; tokens can be given",
    )
    done = genclient("sample", "--tflite", mute, "--n", "1")
    assert done.returncode == 0
    assert done.stderr == b"genclient: mute.tflite draws what --text says; without it, whatever it likes\n"


def test_a_walk_keeps_to_its_text_and_changes_it_at_keyframes(genclient, fails, server, file, tmp_path):
    for name, source in (("served", ("--target", server, "--model", "words")), ("file", ("--tflite", file))):
        command = ("interpolate", *source, "--frames", "4", "--no-loop", "--out", f"{name}/")
        done = genclient(*command, "--texts", "red heart;blue", "--truncation", "0.8")
        assert done.returncode == 0, done.stderr
        frames = [np.asarray(Image.open(path))[0, 0].argmax() for path in sorted((tmp_path / name).glob("*.png"))]
        assert frames == [0, 0, 2, 2, 2], "words have nothing between them: the nearer keyframe's"
    assert "expected one of them" in fails("interpolate", "--tflite", file, "--texts", "red;blue", "--text", "red")[1]


def test_info_and_bench_know_such_a_model(genclient, server, file):
    here = ("--target", server, "--model", "words", "--format", "json")
    found = json.loads(genclient("info", "--tflite", file, "--format", "json").stdout)
    assert found["words"] == list(speaker.vocabulary().words[2:])
    found = json.loads(genclient("info", *here).stdout)
    assert found["texts"] is True
    assert found["probe"]["received_bytes"] > speaker.SIDE**2
    done = genclient("info", "--tflite", file)
    assert f"words      {len(speaker.vocabulary().words) - 2}: ".encode() in done.stdout
    load = ("--concurrency", "1", "--duration", "0.2", "--warm-up", "0", "--text", "red heart")
    done = genclient("bench", *here, *load)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["signature"] == "text"
