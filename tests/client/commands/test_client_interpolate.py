"""`genclient interpolate`: what each frame is made of, and what others' readers see in the animations."""

import json
import os
import subprocess

import numpy as np
import pytest
from genclient import ClientError, UsageError
from genclient.latents.interpolation import Walks, slerp
from genclient.latents.seeds import latents
from genclient.outputs.animation import open_animation
from PIL import Image, ImageSequence

Z = 5


def interpolated(genclient, served, *arguments):
    """Run `interpolate`, see that it succeeds in silence, and give the lines on stdout."""
    done = genclient("interpolate", "--target", served.target, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def walks(*seeds, labels=None, frames=4, loop=True):
    """Walks through these keyframes."""
    return Walks(np.asarray(seeds, np.int64), None if labels is None else np.asarray(labels), frames, loop)


def frames_of(path):
    """The frames (F, H, W, C) of an animation, and their times in milliseconds."""
    with Image.open(path) as film:
        shown, times = [], []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(np.asarray(film.convert("RGB")).astype(int))  # WebP knows the time only then
            times.append(film.info["duration"])
    return np.stack(shown), times


def expected(tools, walk, labels=None):
    """What the generator makes of a walk."""
    return tools.pixels(tools.render(walk.latents(Z), labels)).astype(int)


def test_a_walk_meets_every_keyframe_and_returns():
    walk = walks([3, 7, 9], frames=4)
    way, keys = walk.latents(Z), latents(np.array([3, 7, 9]), Z)
    assert (len(walk), way.shape) == (12, (12, Z))
    np.testing.assert_allclose(way[::4], keys, atol=1e-6)
    np.testing.assert_allclose(way[11], slerp(keys[2], keys[0], np.array([0.75]))[0], atol=1e-6)
    straight = walks([3, 7, 9], frames=4, loop=False)
    assert len(straight) == 9
    np.testing.assert_array_equal(straight.latents(Z)[-1], keys[2])


def test_a_walk_keeps_the_length_that_latents_have():
    keys = latents(np.arange(50), 512)
    middle = slerp(keys[0], keys[1], np.array([0.5]))[0]
    assert np.linalg.norm(middle) == pytest.approx(np.linalg.norm(keys, axis=1).mean(), rel=0.1)
    assert np.linalg.norm((keys[0] + keys[1]) / 2) < 0.8 * np.linalg.norm(middle)


def test_between_equal_and_opposite_latents_every_frame_is_finite():
    start = latents(np.array([1]), Z)[0]
    for end in (start, -start, np.zeros(Z, np.float32)):
        way = slerp(start, end, np.linspace(0, 1, 5))
        assert np.isfinite(way).all()
        np.testing.assert_allclose(way[[0, 4]], [start, end], atol=1e-6)


def test_walks_lie_side_by_side_and_do_not_touch_each_other():
    both = walks([1, 2], [5, 6]).latents(Z)
    np.testing.assert_array_equal(both[0::2], walks([1, 2]).latents(Z))
    np.testing.assert_array_equal(both[1::2], walks([5, 6]).latents(Z))


def test_a_frame_has_the_class_of_the_nearer_keyframe():
    assert walks([1, 2], labels=[4, 9], frames=4).frame_labels().tolist() == [4, 4, 9, 9, 9, 9, 4, 4]
    assert walks([1, 2], labels=[4, 9], frames=4, loop=False).frame_labels().tolist() == [4, 4, 9, 9, 9]
    assert walks([1, 2], [3, 4], labels=[4, 9], frames=1).frame_labels().tolist() == [4, 4, 9, 9]


def test_one_keyframe_or_too_many_frames_are_no_walk():
    with pytest.raises(UsageError, match=r"--seeds: found 1 keyframe"):
        walks([1])
    for frames in (0, -1, 600_000):
        with pytest.raises(UsageError, match=r"--frames: found"):
            walks([1, 2], frames=frames)


def test_apng_holds_every_pixel_and_what_made_it(genclient, serve, tools, tmp_path):
    options = ("--seeds", "0,4", "--frames", 3, "--fps", 30, "--truncation", 0.5, "--scale", 1)
    assert interpolated(genclient, serve(), *options, "--out", "a/w.png") == ["a/w.png"]
    shown, times = frames_of(tmp_path / "a/w.png")
    reference = tools.pixels(tools.render(walks([0, 4], frames=3).latents(Z) * 0.5)).astype(int)
    assert np.abs(shown - reference).max() <= 1
    assert (times, sum(times)) == ([33, 34, 33, 33, 34, 33], 200)
    with Image.open(tmp_path / "a/w.png") as film:
        assert film.info["loop"] == 0
        assert {key: film.text[key] for key in ("seeds", "model", "version", "truncation")} == {
            "seeds": "0,4",
            "model": "digits",
            "version": "3",
            "truncation": "0.5",
        }
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["w.png"]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_gif_and_webp_show_the_walk_at_its_speed(genclient, serve, tools, tmp_path, suffix):
    options = ("--n", 3, "--frames", 3, "--fps", 12, "--scale", 8, "--no-loop")
    interpolated(genclient, serve(), *options, "--out", f"w.{suffix}")
    shown, times = frames_of(tmp_path / f"w.{suffix}")
    reference = expected(tools, walks([0, 1, 2], frames=3, loop=False)).repeat(8, axis=1).repeat(8, axis=2)
    assert shown.shape == reference.shape
    assert np.abs(shown - reference).mean() < 8  # WebP halves the resolution of colours
    assert sum(times) == pytest.approx(7000 / 12, abs=10)
    with Image.open(tmp_path / f"w.{suffix}") as film:
        said = film.info["comment"].decode() if suffix == "gif" else film.getexif()[0x010E]
        assert "seeds 0-2" in said
    content = (tmp_path / f"w.{suffix}").read_bytes()
    interpolated(genclient, serve(), *options, "--out", f"w.{suffix}")
    assert (tmp_path / f"w.{suffix}").read_bytes() == content


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_an_animation_plays_for_ever_or_once_as_requested(tmp_path, suffix):
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    for loop, plays in ((True, 0), (False, 1)):
        (path,) = open_animation(f"{tmp_path}/w.{suffix}", 10, loop, print).save(iter(frames), {})
        with Image.open(path) as film:
            assert film.n_frames == 3
            assert film.info.get("loop", 1) == plays  # GIF says nothing where it plays once


@pytest.mark.parametrize("suffix", ["gif", "mp4", "webp", "apng"])
def test_transparent_frames_lie_on_white_where_a_format_has_no_transparency(tmp_path, ffmpeg, suffix):
    frames = np.zeros((2, 8, 8, 4), np.uint8)
    frames[1, :, 4:] = (200, 0, 0, 255)
    (path,) = open_animation(f"{tmp_path}/w.{suffix}", 10, True, print).save(iter(frames), {})
    if suffix == "mp4":
        raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        played = subprocess.run([ffmpeg, "-v", "error", "-i", path, *raw], capture_output=True, check=True)
        shown = np.frombuffer(played.stdout, np.uint8).reshape(2, 8, 8, 3).astype(int)
    elif suffix == "gif":
        shown = frames_of(path)[0]
    else:
        with Image.open(path) as film:
            assert [np.asarray(frame.convert("RGBA"))[0, 0, 3] for frame in ImageSequence.Iterator(film)] == [0, 0]
        return
    assert shown[:, :, :3].min() > 240
    assert np.abs(shown[1, :, 5:] - (200, 0, 0)).max() < 25


@pytest.mark.parametrize(("out", "names"), [("f/", "frame{:05d}.png"), ("f/w%03d.png", "w{:03d}.png")])
def test_a_shorter_animation_in_the_same_folder_leaves_no_frame_of_the_longer_one(tmp_path, out, names):
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    (tmp_path / "f").mkdir()
    foreign = [names.format(7), "frame.png", "w1.png"]
    for name in foreign:
        Image.new("L", (8, 8)).save(tmp_path / "f" / name)
    for count in (5, 2):
        reported = []
        open_animation(f"{tmp_path}/{out}", 10, True, reported.append).save(iter(frames[:count]), {"model": "digits"})
        assert [path.name for path in reported] == [names.format(number) for number in range(count)]
    assert sorted(os.listdir(tmp_path / "f")) == sorted([*foreign, names.format(0), names.format(1)])


def test_two_animations_do_not_mix_their_frames_in_one_folder(tmp_path):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    first, second = (open_animation(f"{tmp_path}/f/", 10, True, lambda path: None) for _ in range(2))

    def with_another_between():
        yield frames[0]
        with pytest.raises(ClientError, match="another genclient is writing frames there"):
            second.save(iter(frames), {})
        yield frames[1]

    first.save(with_another_between(), {"model": "first"})
    assert sorted(os.listdir(tmp_path / "f")) == ["frame00000.png", "frame00001.png"]
    assert Image.open(tmp_path / "f/frame00000.png").text["model"] == "first"


def test_grey_walks_keep_their_greys_in_a_gif(genclient, serve, tools, tmp_path):
    def grey(images):
        return tools.as_values(images[..., :1])

    interpolated(genclient, serve(encode=grey), "--n", 2, "--frames", 4, "--scale", 1)
    reference = expected(tools, walks([0, 1]))[..., :1]
    assert np.abs(frames_of(tmp_path / "out.gif")[0] - reference).max() <= 1


def test_walks_make_a_grid_and_classes_change_with_the_keyframes(genclient, serve, tools, tmp_path):
    served = serve(signatures=tools.signature_table(conditional=True))
    options = (
        "--labels",
        "rain,0",
        "--classes",
        "sun,rain",
        "--walks",
        "2x2",
        "--seed",
        10,
        "--frames",
        2,
        "--scale",
        1,
    )
    interpolated(genclient, served, *options, "--out", "w.png")
    walk = walks([10, 11], [12, 13], [14, 15], [16, 17], labels=[1, 0], frames=2)
    images = expected(tools, walk, walk.frame_labels()).reshape(4, 2, 2, *tools.IMAGE_SHAPE)
    height, width, channels = tools.IMAGE_SHAPE
    reference = images.transpose(0, 1, 3, 2, 4, 5).reshape(4, 2 * height, 2 * width, channels)
    assert np.abs(frames_of(tmp_path / "w.png")[0] - reference).max() <= 1


def test_one_seed_may_change_its_class_alone(genclient, serve, tools, tmp_path):
    served = serve(signatures=tools.signature_table(conditional=True))
    options = ("--labels", "0-2", "--seeds", 5, "--frames", 1, "--out", "f/")
    assert interpolated(genclient, served, *options) == [f"f/frame0000{n}.png" for n in range(3)]
    shown = [np.asarray(Image.open(tmp_path / f"f/frame0000{n}.png")).astype(int) for n in range(3)]
    assert np.abs(shown - tools.pixels(tools.render(tools.draw([5] * 3), [0, 1, 2]))).max() <= 1


def test_frames_are_files_by_a_template(genclient, serve, tools, tmp_path):
    files = interpolated(genclient, serve(), "--n", 2, "--frames", 1, "--out", "f/%03d.png")
    assert files == ["f/000.png", "f/001.png"]
    with Image.open(tmp_path / "f/001.png") as frame:
        assert frame.text["frame"] == "1"
        assert np.abs(np.asarray(frame).astype(int) - expected(tools, walks([0, 1], frames=1))[1]).max() <= 1


def test_a_file_on_this_machine_makes_the_same_walk(genclient, tflite, tools, tmp_path):
    done = genclient("interpolate", "--tflite", tflite, "--n", 2, "--frames", 5, "--out", "w.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"w.png\n", b"")
    shown = frames_of(tmp_path / "w.png")[0]
    assert shown.shape[1:3] == (6 * 64, 4 * 64), "enlarged for people"
    assert np.abs(shown[:, ::64, ::64] - expected(tools, walks([0, 1], frames=5))).max() <= 1


def test_json_and_a_dry_run_say_how_long_it_is(genclient, serve, tmp_path):
    options = ("--n", 2, "--frames", 5, "--fps", 10, "--walks", 3, "--format", "json")
    done = genclient("interpolate", "--target", serve().target, *options, "--out", "f/")
    found = json.loads(done.stdout)
    assert (found["frames"], found["seconds"], found["images"], len(found["files"])) == (10, 1.0, 30, 10)
    served = serve()
    done = genclient("interpolate", "--target", served.target, "--dry-run", "--out", "other.gif")
    assert done.stdout == b"fetch      100 images of digits\nwrite      other.gif, 100 frames\n"
    assert not served.prediction.requests
    assert not (tmp_path / "other.gif").exists()


def test_mp4_plays_has_even_sides_and_is_the_same_again(genclient, serve, tools, tmp_path, ffmpeg):
    odd = {"encode": lambda images: tools.as_values(images[:, :5, :3])}
    options = ("--n", 2, "--frames", 5, "--fps", 10, "--scale", 9)
    for name in ("a.mp4", "b.mp4"):
        done = genclient("interpolate", "--target", serve(**odd).target, *options, "--out", name)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{name}\n".encode(), b"")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    command = [ffmpeg, "-v", "error", "-i", "a.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    played = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert (len(played.stdout), played.stderr) == (10 * 46 * 28 * 3, b"")


def test_mp4_without_ffmpeg_says_so_before_anything_is_asked(fails, serve, tmp_path):
    served = serve()
    bare = {"PATH": str(tmp_path), "IMAGEIO_FFMPEG_EXE": f"{tmp_path}/none"}
    code, line = fails("interpolate", "--target", served.target, "--out", "w.mp4", env=bare)
    assert (code, line) == (
        1,
        "--out w.mp4: found no ffmpeg, which makes MP4: pip install imageio-ffmpeg; .gif, .webp and .png need none",
    )
    assert not served.prediction.requests


def test_an_ffmpeg_that_fails_is_quoted_and_leaves_nothing(fails, serve, tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/ffmpeg"
    program.write_text("#!/bin/sh\necho one >&2\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    program.chmod(0o755)
    code, line = fails("interpolate", "--target", serve().target, "--out", "w.mp4", env={"PATH": f"{tmp_path}/bin"})
    assert (code, line) == (1, "cannot write w.mp4: ffmpeg: Unknown encoder libx264")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--n", 1), "--n: found 1, expected 2 keyframes"),
        (("--seeds", "1,2", "--seed", 1), "--seeds: found it beside --seed or --n"),
        (("--seeds", "1-3", "--walks", 2), "--seeds: found 3 for 2 walks, expected as many for each"),
        (("--frames", 0), "--frames: found 0"),
        (("--fps", 0), "--fps: found 0"),
        (("--fps", 60), "--fps: found 60, expected at most 50 in a GIF"),
        (("--walks", "2x"), "--walks: found '2x'"),
        (("--labels", "a", "--classes", "b,c"), "--labels: found 'a', expected the index of a class or one of b, c"),
        (("--labels", "1,2", "--label", 3), "--label and --labels: found both"),
        (("--out", "w.avi"), "--out: found w.avi, expected a name that ends in .gif"),
        (("--out", "-"), "--out: found '-'"),
        (("--scale", 0), "0 is not in the range"),
        (("--signature", "seeds"), "--signature: found one that takes seeds"),
    ],
)
def test_wrong_usage_is_told_before_any_image_is_requested(refused, serve, arguments, found):
    served = serve()
    assert found in refused("interpolate", "--target", served.target, *arguments)
    assert not served.prediction.requests


@pytest.fixture
def manifest(tmp_path):
    """A manifest with two directions of the generator of these tests and one of a class, and their vectors."""
    vectors = np.eye(Z, dtype=np.float32)[[3, 1, 2]]
    content = {"directions": [{"strength": 1.0, "latents": vector.tolist()} for vector in vectors]}
    content["directions"][2]["class"] = "a smile"
    (tmp_path / "models/digits/1").mkdir(parents=True)
    (tmp_path / "models/digits/1/manifest.json").write_text(json.dumps(content))
    return vectors


def test_seeds_move_along_a_direction_there_and_back_or_in_an_image_grid(genclient, serve, tools, tmp_path, manifest):
    served = serve()
    options = ("--direction", 2, "--from", -2, "--to", 2, "--seeds", 7, "--truncation", 0.5)
    options += ("--directions", "models/digits/1", "--scale", 1)
    assert interpolated(genclient, served, *options, "--frames", 4, "--out", "w.png") == ["w.png"]
    steps = np.array([-2, -1, 0, 1, 2, 1, 0, -1])[:, None]
    reference = tools.pixels(tools.render(latents(np.array([7]), Z) * 0.5 + steps * manifest[1])).astype(int)
    assert np.abs(frames_of(tmp_path / "w.png")[0] - reference).max() <= 1
    options = (*options[:7], "7,8", *options[8:-2])
    assert interpolated(genclient, served, *options, "--image-grid", "--scale", 20, "--out", "s.png") == ["s.png"]
    with Image.open(tmp_path / "s.png") as opened:
        shown = np.asarray(opened).astype(int)
        assert {opened.text[name] for name in ("direction", "seeds", "version")} == {"2", "7,8", "3"}
    assert shown.shape == (2 * (120 + 14 + 2) - 2, 7 * 82 - 2, 3)
    last = latents(np.array([8]), Z) * 0.5 + 2 * manifest[1]
    corner = shown[136 : 136 + 120 : 20, 6 * 82 :: 20]
    assert np.abs(corner - tools.pixels(tools.render(last))[0]).max() <= 1


def test_seeds_move_towards_a_class(genclient, serve, tools, tmp_path, manifest):
    served = serve()
    options = ("--direction", "class:a smile", "--directions", "models/digits/1", "--from", 0, "--to", 4, "--frames", 2)
    assert interpolated(genclient, served, *options, "--no-loop", "--scale", 1, "--out", "w.png") == ["w.png"]
    reference = tools.pixels(tools.render(latents(np.array([0]), Z) + np.array([0, 2, 4])[:, None] * manifest[2]))
    assert np.abs(frames_of(tmp_path / "w.png")[0] - reference.astype(int)).max() <= 1


def test_a_direction_is_looked_for_where_the_file_of_a_version_lies(genclient, tflite, tools, tmp_path, manifest):
    place = tmp_path / "models/digits/1/tflite/digits.tflite"
    place.parent.mkdir()
    place.write_bytes(tflite.read_bytes())
    options = ("--direction", 1, "--frames", 2, "--no-loop", "--scale", 1, "--out", "w.png")
    done = genclient("interpolate", "--tflite", place, *options)
    assert (done.returncode, done.stdout) == (0, b"w.png\n"), done.stderr
    moved = latents(np.array([0]), Z) + np.array([-3, 0, 3])[:, None] * manifest[0]
    assert np.abs(frames_of(tmp_path / "w.png")[0] - tools.pixels(tools.render(moved)).astype(int)).max() <= 1


def test_directions_that_cannot_be_meant_are_one_line(fails, serve, tmp_path, manifest):
    target = serve().target
    (tmp_path / "short.json").write_text('{"directions": [{"latents": [1, 0]}]}')
    (tmp_path / "none.json").write_text("{}")
    strongest = [{"latents": [1, 0, 0, 0, 0]}]
    (tmp_path / "plain.json").write_text(json.dumps({"directions": strongest}))
    (tmp_path / "classes.json").write_text(json.dumps({"directions": strongest, "class_count": 2}))
    (tmp_path / "why.json").write_text(json.dumps({"directions": strongest, "left_out": {"directions/classes": "so"}}))
    of = "--directions"
    for arguments, code, found in (
        (("--direction", 1), 2, "--directions: found none, expected the manifest.json of the version"),
        (("--from", -1), 2, "--from: found it without --direction"),
        (("--image-grid",), 2, "--image-grid: found it without --direction"),
        (("--sheet",), 2, "--sheet: found it without --direction"),  # its old name
        (("--direction", 3, "--directions", "models/digits/1"), 2, "--direction: found 3, expected 1 to 2"),
        (("--direction", "class:smile", of, "models/digits/1"), 2, "found class:smile, expected class:a smile"),
        (("--direction", "a smile", of, "models/digits/1"), 2, "the strongest first, or class:NAME"),
        (("--direction", "class:cat", of, "plain.json"), 2, "the strongest first; this version has none of classes"),
        (("--direction", "class:cat", of, "why.json"), 2, "this version has none of classes: so"),
        (("--direction", "class:cat", of, "classes.json"), 2, "the model takes classes: --label, and --labels"),
        (("--direction", 1, "--directions", "short.json"), 2, "found 2 numbers in short.json, expected 5"),
        (("--direction", 1, "--directions", "none.json"), 2, "--directions: found no directions in none.json"),
        (("--direction", 1, "--directions", "no.json"), 1, "--directions: cannot read no.json"),
        (("--direction", 1, "--walks", "2x1"), 2, "--walks: found it beside --direction"),
    ):
        found_code, line = fails("interpolate", "--target", target, *arguments)
        assert (found_code, found in line) == (code, True), line


def test_keyframes_can_be_latents_that_sample_saved(genclient, serve, tools, tmp_path):
    served = serve()
    options = ("--save-latents", "--seeds", "3,8", "--truncation", 0.5, "--out", "z.npz")
    assert genclient("sample", "--target", served.target, *options).returncode == 0
    interpolated(genclient, served, "--latents", "z.npz", "--frames", 3, "--scale", 1, "--out", "w.png")
    reference = tools.pixels(tools.render(walks([3, 8], frames=3).latents(Z) * 0.5)).astype(int)
    assert np.abs(frames_of(tmp_path / "w.png")[0] - reference).max() <= 1
