import numpy as np
import pytest

from highwayman.bandit.preferences.bradley_terry import (
    Duels,
    laplace_approximation,
    laplace_factors,
    posterior_gap_mode,
    sigmoid,
)
from highwayman.env.types import Floats

K, D, SCALE = 4, 3, 5.0


def duels(n: int, *, seed: int) -> Duels:
    """Return n comparisons of random pairs, some of them ties, of weights that differ."""
    rng = np.random.default_rng(seed)
    pairs = np.array([rng.choice(K, 2, replace=False) for _ in range(n)]).reshape(-1, 2).astype(np.intp)
    shares = rng.choice([0.0, 0.5, 1.0], size=n)
    return Duels(pairs[:, 0], pairs[:, 1], rng.uniform(0.2, 2.0, size=n), shares, rng.normal(size=(n, D)))


def gaussian(seed: int) -> tuple[Floats, Floats]:
    """Return a precision (K, d, K, d) that ties all arms together, and a pull (K, d)."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(K * D, K * D))
    return (root @ root.T + np.eye(K * D)).reshape(K, D, K, D), rng.normal(size=(K, D))


def plain_newton(precision: Floats, pull: Floats, told: Duels) -> tuple[Floats, Floats]:
    """Return mode and curvature by Newton's method on rows of all K d numbers, one comparison each."""
    rows = np.zeros((len(told.weights), K, D))
    for row, one, other, x in zip(rows, told.first, told.second, told.features, strict=True):
        row[one], row[other] = SCALE * x, -SCALE * x
    flat, matrix, theta = rows.reshape(-1, K * D), precision.reshape(K * D, K * D), np.zeros(K * D)
    for _ in range(200):
        prob = 1.0 / (1.0 + np.exp(-flat @ theta))
        gradient = matrix @ theta - pull.ravel() - flat.T @ (told.weights * (told.shares - prob))
        curvature = matrix + flat.T @ np.diag(told.weights * prob * (1.0 - prob)) @ flat
        theta = theta - 0.5 * np.linalg.solve(curvature, gradient)  # half steps do not overshoot here
    return theta.reshape(K, D), curvature


@pytest.mark.parametrize("n", [0, 1, 5, 200])
def test_the_mode_and_the_curvature_are_those_of_a_plain_newton_on_the_full_problem(n: int) -> None:
    (precision, pull), told = gaussian(n), duels(n, seed=n)
    wanted = plain_newton(precision, pull, told)
    mode, curvature = laplace_approximation(precision, pull, told, SCALE)
    assert mode == pytest.approx(wanted[0], abs=1e-9)
    assert curvature == pytest.approx(wanted[1], abs=1e-7)


def test_the_order_of_comparisons_changes_nothing() -> None:
    (precision, pull), told = gaussian(1), duels(50, seed=1)
    turned = Duels(*(getattr(told, name)[::-1] for name in Duels.__slots__))
    assert laplace_approximation(precision, pull, turned, SCALE)[0] == pytest.approx(
        laplace_approximation(precision, pull, told, SCALE)[0], abs=1e-10
    )


def test_a_search_that_starts_far_off_with_little_prior_still_ends_at_the_mode() -> None:
    precision = np.zeros((K, D, K, D))
    precision[np.arange(K), :, np.arange(K), :] = 1e-4 * np.eye(D)
    pull = np.zeros((K, D))
    pull[0], pull[1] = 1e-3, -1e-3  # the Gaussian alone puts them 20 apart: where the logistic curve is flat
    told = duels(40, seed=4)
    mode, _ = laplace_approximation(precision, pull, told, SCALE)
    prob = sigmoid(SCALE * told.gaps(mode))
    slope = pull - 1e-4 * mode
    for one, other, w, y, p, x in zip(
        told.first, told.second, told.weights, told.shares, prob, told.features, strict=True
    ):
        slope[one] += w * SCALE * (y - p) * x
        slope[other] -= w * SCALE * (y - p) * x
    assert slope == pytest.approx(np.zeros((K, D)), abs=1e-7)


def test_a_factor_has_the_slope_and_the_curvature_of_its_comparison() -> None:
    weights, shares, gaps = np.array([2.0]), np.array([0.7]), np.array([0.15])
    precisions, pulls = laplace_factors(weights, shares, gaps, SCALE)

    def height(gap: float) -> float:
        return float(2.0 * (0.7 * -np.log1p(np.exp(-SCALE * gap)) + 0.3 * -np.log1p(np.exp(SCALE * gap))))

    step = 1e-4
    slope = (height(0.15 + step) - height(0.15 - step)) / (2 * step)
    bend = (height(0.15 + step) - 2 * height(0.15) + height(0.15 - step)) / step**2
    assert pulls - precisions * gaps == pytest.approx([slope], rel=1e-6)
    assert precisions == pytest.approx([-bend], rel=1e-5)


def test_a_settled_gap_is_where_a_search_on_a_grid_finds_the_mode() -> None:
    for mean, share in ((0.0, 1.0), (0.4, 0.0), (-0.2, 0.5)):
        grid = np.linspace(-3.0, 3.0, 600_001)
        unlikely = share * np.log1p(np.exp(-SCALE * grid)) + (1 - share) * np.log1p(np.exp(SCALE * grid))
        wanted = grid[np.argmin((grid - mean) ** 2 / (2 * 0.3) + 1.5 * unlikely)]
        found = posterior_gap_mode(mean, 0.3, pull=1.5 * SCALE, share=share, scale=SCALE)
        assert found == pytest.approx(wanted, abs=2e-5)


def test_large_log_odds_do_not_overflow() -> None:
    with np.errstate(over="raise"):
        assert sigmoid(np.array([-1e6, 0.0, 1e6])).tolist() == [0.0, 0.5, 1.0]
