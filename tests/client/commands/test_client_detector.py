"""Verdicts on pictures by a detector in a file: which are generated, how probably, and how often that is wrong."""

import json

import detector
import pytest
from genclient import ClientError, DeviceGenerator
from genexport.kinds import load
from genexport.kinds.detector import version
from genexport.kinds.kind import Source
from PIL import Image


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("det")
    _, model = load(Source(detector.run(folder / "run")))
    (folder / "det.tflite").write_bytes(version._tflite(model, "det", "float32"))
    return folder / "det.tflite"


def test_pictures_get_a_probability_and_a_verdict_and_real_ones_come_first(genclient, file, tmp_path):
    Image.new("RGB", (90, 40), (0, 0, 255)).save(tmp_path / "blue.png")
    Image.new("RGB", (20, 20), (255, 0, 0)).save(tmp_path / "red.bmp")
    (tmp_path / "text.png").write_text("no picture")
    done = genclient("detect", "blue.png", "red.bmp", "--tflite", file)
    assert done.stdout.decode().splitlines() == ["  1.8%  real       red.bmp", " 98.2%  generated  blue.png"]
    assert b"5.0% of real ones (from 3.0% to 8.0%)" in done.stderr
    done = genclient("score", "blue.png", "red.bmp", "text.png", "--tflite", file, "--format", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["threshold"], found["false_alarms"], len(found["failed"])) == (0.3, 0.05, 1)
    assert [row["generated"] for row in found["images"]] == [False, True]
    assert found["images"][1]["probability"] == pytest.approx(0.982, abs=1e-3)


def test_the_library_says_the_same_of_arrays_and_files_that_are_no_detectors_are_named(file, tflite):
    images = detector.examples(8)
    found = DeviceGenerator(str(file)).detect(images)
    assert found.scores == pytest.approx(detector.scores(images), abs=1e-4)
    assert found.generated.tolist() == (detector.scores(images) < detector.THRESHOLD).tolist()
    with pytest.raises(ClientError, match=r"\.tflite is no detector: found .*, expected images → scores"):
        DeviceGenerator(str(tflite)).detect(images)
