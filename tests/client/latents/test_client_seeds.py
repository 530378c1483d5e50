"""One seed is one image everywhere: latents as TensorFlow draws them, and seeds as users write them."""

import numpy as np
import pytest
import tensorflow as tf
from genclient import UsageError
from genclient.latents.seeds import MAX_IMAGES, format_seeds, latents, parse_seeds, seed_array, seed_range

SEEDS = [0, 1, 2, 41, 2**31, 2**32 + 5, 2**63 - 1, -1, -12345, -(2**63)]


@pytest.mark.parametrize("z", [1, 3, 4, 64, 100, 513, 200_000])
def test_latents_are_those_of_tensorflows_op(z):
    seeds = np.array(SEEDS, np.int64)
    drawn = latents(seeds, z)
    assert drawn.shape == (len(SEEDS), z)
    assert drawn.dtype == np.float32
    for row, seed in zip(drawn, SEEDS, strict=True):
        expected = tf.raw_ops.StatelessRandomNormalV2(
            shape=[z], key=tf.constant([seed % 2**64], tf.uint64), counter=tf.constant([0, 0], tf.uint64), alg=1
        )
        np.testing.assert_allclose(row, expected.numpy(), rtol=0, atol=1e-5)


def test_latents_of_a_seed_depend_on_no_other_seed():
    together = latents(np.arange(100, dtype=np.int64), 10)
    np.testing.assert_array_equal(together[42:43], latents(np.array([42], np.int64), 10))


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", [7]),
        ("0,3-5", [0, 3, 4, 5]),
        ("5,1,1", [5, 1, 1]),
        ("-2-1, 9", [-2, -1, 0, 1, 9]),
        ("-9--8", [-9, -8]),
        (f"{2**63 - 2}-{2**63 - 1}", [2**63 - 2, 2**63 - 1]),
        (str(-(2**63)), [-(2**63)]),
    ],
)
def test_a_list_of_seeds_reads_as_written(text, seeds):
    assert parse_seeds(text).tolist() == seeds


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", "'a'"),
        ("", "''"),
        ("-", "'-'"),
        ("1,,2", "'' in '1,,2'"),
        ("1-", "'1-'"),
        ("1.5", "'1.5'"),
        ("٣", "'٣'"),
        ("5-3", "'5-3' runs backwards"),
        (str(2**63), "leaves int64"),
        (f"0-{2**63}", "leaves int64"),
        (str(-(2**63) - 1), "leaves int64"),
        ("0-1000000", f"1000001 images, expected at most {MAX_IMAGES}"),
        ("0-9000000000000000000", "images, expected at most"),
    ],
)
def test_a_list_that_makes_no_sense_is_named(text, found):
    with pytest.raises(UsageError, match=r"^seeds: ") as raised:
        parse_seeds(text)
    assert found in str(raised.value)


def test_seeds_count_upwards_within_int64():
    assert seed_range(2**63 - 2, 2).tolist() == [2**63 - 2, 2**63 - 1]
    with pytest.raises(UsageError, match="leave int64"):
        seed_range(2**63 - 1, 2)
    with pytest.raises(UsageError, match=r"leave int64"):
        seed_range(np.int64(2**63 - 1), 2)
    with pytest.raises(UsageError, match=r"^n: found 0"):
        seed_range(0, 0)


@pytest.mark.parametrize("seeds", [[], [1.5], ["a"], [2**63], [[1]], 3])
def test_seeds_given_as_an_array_are_whole_numbers(seeds):
    with pytest.raises(UsageError, match=r"^seeds: found"):
        seed_array(seeds)


def test_seeds_are_written_as_short_as_they_read_back():
    for text in ("0", "0,3-5", "5,1,1-2", "-3--1"):
        assert format_seeds(parse_seeds(text)) == text
