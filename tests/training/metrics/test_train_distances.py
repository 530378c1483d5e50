"""Metrics of features on sets with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from gentrain.metrics import METRICS, compare, frechet, kernel, prdc


def with_moments(mean: np.ndarray, covariance: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Rows whose mean and covariance are exactly these."""
    drawn = np.random.default_rng(seed).normal(size=(rows, len(mean)))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_known_gaussians() -> None:
    first = with_moments(np.zeros(3), np.diag([1.0, 4.0, 9.0]), 50, seed=1)
    second = with_moments(np.array([1.0, 2.0, 0.0]), np.diag([4.0, 4.0, 1.0]), 80, seed=2)
    assert frechet.distance(first, second) == pytest.approx(5 + (2 - 1) ** 2 + 0 + (3 - 1) ** 2, rel=1e-9)


def test_frechet_distance_where_the_covariances_do_not_commute() -> None:
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    first, second = (with_moments(np.zeros(2), c, 40, seed) for seed, c in enumerate((a, b)))
    trace_of_root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))  # of any 2×2 matrix
    assert frechet.distance(first, second) == pytest.approx(np.trace(a + b) - 2 * trace_of_root, rel=1e-9)


def test_frechet_distance_holds_with_fewer_rows_than_features() -> None:
    few = np.random.default_rng(0).normal(size=(5, 40))
    assert frechet.distance(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet.distance(few, few + 3.0) == pytest.approx(40 * 9, rel=1e-6)
    assert frechet.distance(few, np.zeros((2, 40))) > 0


def test_kernel_distance_is_the_mean_over_pairs_without_a_row_and_itself() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1300, 4)), rng.normal(0.5, 1, size=(1100, 4))

    def kernels(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / 4 + 1) ** 3

    off = ~np.eye(1300, dtype=bool)
    expected = kernels(a, a)[off].mean() + kernels(b, b)[off[:1100, :1100]].mean() - 2 * kernels(a, b).mean()
    assert kernel.distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_of_equal_distributions_is_nothing_on_average() -> None:
    rng = np.random.default_rng(0)
    found = [kernel.distance(rng.normal(size=(30, 3)), rng.normal(size=(20, 3))) for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20
    assert min(found) < 0 < max(found)


def test_precision_recall_density_coverage_of_points_on_a_line() -> None:
    """With k = 1 every real radius is 1; the generated ones' are 9.5, .5, .5 and .5."""
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    generated = np.array([[0.5], [10.0], [10.5], [11.0]])
    assert prdc.measure(real, generated, k=1) == {"precision": 0.25, "recall": 1.0, "density": 0.5, "coverage": 0.5}


def test_precision_is_kept_and_recall_lost_by_a_generator_of_one_kind() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(50, 1, (200, 2))])
    found = prdc.measure(real, rng.normal(0, 1, (400, 2)))
    assert found["precision"] > 0.95
    assert found["recall"] == pytest.approx(0.5, abs=0.03)
    assert found["coverage"] == pytest.approx(0.5, abs=0.03)


def test_equal_sets_are_at_no_distance_and_wholly_covered() -> None:
    rows = np.random.default_rng(0).normal(size=(700, 6)).astype(np.float32)
    found = compare(rows, rows)
    assert found["frechet"] == pytest.approx(0, abs=1e-6)
    assert [found[name] for name in ("precision", "recall", "density", "coverage")] == [1.0, 1.0, 1.0, 1.0]
    assert found.keys() <= METRICS.keys()


def test_duplicates_are_near_each_other() -> None:
    """Every point ten times: the fifth neighbour is at distance 0, or at what rounding makes of it."""
    points = (1000 + np.random.default_rng(0).normal(size=(60, 16))).astype(np.float32)
    found = prdc.measure(points.repeat(10, axis=0), points.repeat(10, axis=0)[::-1])
    assert (found["precision"], found["recall"], found["coverage"]) == (1.0, 1.0, 1.0)
    collapsed = prdc.measure(points.repeat(10, axis=0), points[:1].repeat(600, axis=0))
    assert collapsed["precision"] == 1.0
    assert collapsed["recall"] == collapsed["coverage"] == pytest.approx(1 / 60)
