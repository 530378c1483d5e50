"""The rest of the client: scores, reloads, threads, the log, errors, the examples of docs/library.md."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import genclient
import numpy as np
import pytest
from genclient import Client, ClientError, RpcError, UsageError
from library_servers import critic, expected, near, run_async
from PIL import Image

DOCS = Path(__file__).parents[3] / "docs" / "library.md"


def test_images_are_scored_by_the_critic(serve, tools):
    served = serve(**critic(tools))
    images = np.random.default_rng(0).integers(0, 256, (100, *tools.IMAGE_SHAPE), dtype=np.uint8)
    with Client(served.target) as client:
        scores = client.score(images)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, images.mean(axis=(1, 2, 3)) / 255, atol=1e-6)
        np.testing.assert_allclose(client.score(images / 255), scores, atol=1e-6)
        for wrong in (images[0], images[:, :4], images.astype(np.int32), []):
            with pytest.raises(UsageError, match=r"^images: found"):
                client.score(wrong)
        with pytest.raises(UsageError, match=r"^label: found 1, expected none"):
            client.score(images, label=1)
        with pytest.raises(RpcError, match="NOT_FOUND"):
            client.score(images, model="cats-critic")
    with Client(serve(**critic(tools, conditional=True)).target) as client:
        np.testing.assert_allclose(client.score(images[:2], label=[1, 2]), scores[:2] + np.array([1, 2]), atol=1e-5)


def test_what_scores_no_images_is_named(serve, tools):
    settings = {**critic(tools), "signatures": {"discriminate": tools.signature_table()["serving_default"]}}
    with Client(serve(**settings).target) as client, pytest.raises(ClientError, match="is not a discriminator"):
        client.score(np.zeros((1, *tools.IMAGE_SHAPE)))


def test_a_configuration_is_sent_as_tensorflow_serving_reads_it(serve):
    served = serve()
    text = """model_config_list { config { name: "digits" base_path: "/models/digits" model_platform: "tensorflow"
        model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "stable" value: 1 } } }"""
    with Client(served.target) as client:
        client.reload(text)
        config = served.model.configs[0].model_config_list.config[0]
        assert (config.name, config.base_path, config.model_platform) == ("digits", "/models/digits", "tensorflow")
        assert list(config.model_version_policy.specific.versions) == [1, 2]
        assert dict(config.version_labels) == {"stable": 1}
        with pytest.raises(ClientError, match="refused the configuration: no models"):
            client.reload("model_config_list {}")
        with pytest.raises(UsageError, match=r'^model config: 1:21 : .*"modles"'):
            client.reload("model_config_list { modles {} }")


def test_threads_may_share_a_client(serve, tools):
    with Client(serve().target, batch_size=7) as client, ThreadPoolExecutor(6) as pool:
        images = list(pool.map(lambda seed: client.sample(20, seed=seed), range(0, 120, 20)))
    assert near(np.concatenate(images), expected(tools, range(120)))


def test_a_closed_client_says_so(serve):
    client = Client(serve().target)
    client.close()
    with pytest.raises(UsageError, match=r"^this client is closed"):
        client.sample(1)


def test_every_request_is_logged_for_those_who_debug(serve, caplog):
    with caplog.at_level(logging.DEBUG, "genclient"), Client(serve().target) as client:
        client.sample(1)
        with pytest.raises(UsageError):
            client.sample(1, label=3)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["GetModelMetadata", "Predict"]
    assert re.fullmatch(r"Predict: sent \d+ B, received \d+ B, \d+\.\d ms", caplog.records[1].getMessage())


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"batch_size": 0},
        {"deadline_seconds": -1},
        {"retry_seconds": float("nan")},
        {"output_range": (1, 1)},
        {"names": {"latent": "z"}},
        {"compression": "brotli"},
        {"max_message_bytes": 10},
        {"max_message_bytes": "10"},
        {"ca_file": 5},
        {"headers": {5: "x"}},
        {"model": "a\nb"},
    ],
)
def test_settings_that_cannot_be_meant_are_named(options):
    with pytest.raises(UsageError, match=rf"^({next(iter(options))}|deadline|timeout): found"):
        Client(**options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 5, "seeds": [1, 2]}, "n: found 5 beside seeds"),
        ({"n": 16, "seeds": [1, 2]}, "n: found 16 beside seeds"),
        ({"seed": 3, "seeds": [1, 2]}, "seed and seeds: found both"),
        ({"seeds": [7], "latents": [[0.0] * 5]}, "seeds and latents: found both"),
        ({"seed": 7, "latents": [[0.0] * 5]}, "seed and latents: found both"),
        ({"n": 2.5}, "n: found 2.5, expected a whole number"),
        ({"n": "5"}, "n: found '5', expected a whole number"),
        ({"n": True}, "n: found True, expected a whole number"),
        ({"seed": 0.5}, "seed: found 0.5, expected a whole number"),
        ({"truncation": "0.7"}, "truncation: found '0.7', expected a number"),
        ({"latents": [[1.0, 2.0], [3.0]]}, "latents: found rows of several lengths"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(serve, arguments, message):
    target = serve().target
    with Client(target) as client, pytest.raises(UsageError, match=f"^{message}"):
        client.sample(**arguments)
    with pytest.raises(UsageError, match=f"^{message}"):
        run_async(target, lambda client: client.sample(**arguments))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.score_files("a.png"), "files: found 'a.png', expected a list"),
        (lambda client: client.translate("a.png"), "images: found 'a.png', expected a list"),
        (lambda client: client.translate(b"\x89PNG"), "images: found a picture's content, expected a list"),
        (lambda client: client.translate(["a.png"], n=2.5), "n: found 2.5, expected a whole number"),
        (lambda client: client.translate(["a.png"], n=2, seed=True), "seed: found True, expected a whole number"),
        (lambda client: client.grid(4, columns=0), "columns: found 0, expected 1 to"),
        (lambda client: client.grid(4, scale=2.5), "scale: found 2.5, expected 1 to 64"),
        (lambda client: client.info(5), "model: found 5, expected a name"),
        (lambda client: client.status(5), "model: found 5, expected a name"),
        (lambda client: client.reload(None), "model config: found NoneType, expected text"),
    ],
)
def test_what_no_call_can_mean_is_refused_before_anything_is_sent(call, message):
    with Client("127.0.0.1:1") as client, pytest.raises(UsageError, match=f"^{message}"):
        call(client)
    with pytest.raises(UsageError, match=f"^{message}"):
        run_async("127.0.0.1:1", call)


def test_what_is_no_name_of_a_model_and_no_time_is_refused():
    with pytest.raises(UsageError, match=r"^model: found 8500, expected a name; a port belongs to the target"):
        Client("localhost", 8500)
    for options in ({"timeout_seconds": "8"}, {"output_range": (1,)}, {"headers": "x: y"}, {"token": b"x"}):
        with pytest.raises(UsageError, match=r": found "):
            Client(**options)


@pytest.mark.parametrize("low_high", [(0, 255), (-1, 1), (0, np.nan)])
def test_floats_that_are_no_pixels_are_not_scored(serve, tools, low_high):
    images = np.linspace(*low_high, 2 * int(np.prod(tools.IMAGE_SHAPE)), dtype=np.float32)
    message = r"^images: found floats from .*, expected uint8, or floats in \[0, 1\]"
    with Client(serve(**critic(tools)).target) as client, pytest.raises(UsageError, match=message):
        client.score(images.reshape(2, *tools.IMAGE_SHAPE))


def test_the_examples_of_the_documentation_give_what_they_say(serve, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = serve(signatures=tools.signature_table()).target
    critics = serve(**critic(tools)).target
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    made = []
    for example in examples:
        program = example.replace("critic-box:8500", critics)
        made.append({"__name__": "example"})
        exec(program.replace("gpu-box:8500", target).replace("localhost:8500", target), made[-1])
    results = {name: [names[name] for names in made if name in names] for names in made for name in names}
    assert near(results["images"][0], expected(tools, range(16)))
    assert near(results["some"][0], tools.pixels(tools.render(tools.draw([3, 1, 4]) * 0.7)))
    brightness = expected(tools, range(1000, 1500)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(results["brightness"][0], brightness, atol=1)
    np.testing.assert_array_equal(results["scores"][0], np.zeros(8))


def test_neither_pillow_nor_tensorflow_is_loaded_for_pixels(serve):
    program = f"""
import sys
from genclient import Client
with Client({serve().target!r}) as client:
    client.sample(2)
print(sorted({{"PIL", "tensorflow", "tensorflow_serving"}} & {{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
    assert done.stdout == b"[]\n"


def test_an_unknown_name_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'Clint'"):
        genclient.Clint  # noqa: B018


def test_an_image_grid_shows_itself_in_notebooks_and_can_be_saved(serve, tools, tmp_path):
    with Client(serve(signatures=tools.signature_table(conditional=True)).target) as client:
        grid = client.grid(seeds=[3, 4], label=[0, 1], truncation=0.5)
        captioned = client.grid(2, seed=3, label=1, columns=1, scale=10, captions=True)
    images = tools.pixels(tools.render(tools.draw([3, 4]) * 0.5, [0, 1]))
    assert np.abs(grid.images.astype(int) - images).max() <= 1
    with Image.open(io.BytesIO(grid._repr_png_())) as picture:
        shown = np.asarray(picture).astype(int)
    assert shown.shape == (6 * 64, 8 * 64 + 2, 3)
    assert np.abs(shown[::64, : 4 * 64 : 64] - images[0]).max() <= 1
    captioned.save(tmp_path / "a/grid.png")
    with Image.open(tmp_path / "a/grid.png") as picture:
        assert picture.size == (40, 2 * (60 + 14) + 2)
    assert captioned.captions == ["3 class 1", "4 class 1"]
    assert (genclient.Sheet, Client.sheet) == (genclient.ImageGrid, Client.grid), "the old names"


def test_the_library_takes_the_cheapest_signature_unless_specified(serve):
    served = serve()
    with Client(served.target) as client:
        client.sample(1)
        client.sample(1, signature="serving_default")
        next(client.iter_sample(1))
    assert [r.model_spec.signature_name for r in served.prediction.requests] == ["uint8", "serving_default", "uint8"]


def test_everything_that_results_are_made_of_is_exported():
    assert {genclient.Batch.__name__, genclient.VersionStatus.__name__} == {"Batch", "VersionStatus"}
    assert set(genclient.__all__) <= set(dir(genclient))
    assert all(hasattr(genclient, name) for name in genclient.__all__)
