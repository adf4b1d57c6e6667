import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.best_arm import _integrated_unevenly, best_arm_probs, best_arm_probs_many
from highwayman.env.types import Floats

MEANS = st.floats(-1.0, 2.0)
SDS = st.floats(1e-3, 1.0)
BELIEFS = st.lists(st.tuples(MEANS, SDS), min_size=1, max_size=12)


def arrays(beliefs: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Return the means and the deviations, (K,) each."""
    means, sds = np.array(beliefs, dtype=float).T
    return means, sds


def reference(means: Floats, sds: Floats) -> Floats:
    """Return the integral of f_k times the others' F_j, on an even grid of a fortieth of the smallest deviation."""
    step = sds.min() / 40
    grid = np.arange((means - 8 * sds).min(), (means + 8 * sds).max(), step)
    z = (grid - means[:, None]) / sds[:, None]  # (K, n)
    density = np.exp(-0.5 * z**2) / (sds[:, None] * math.sqrt(2 * math.pi))
    distribution = density.cumsum(axis=1) * step - 0.5 * step * density  # midpoint rule
    logs = np.log(np.maximum(distribution, 1e-300))
    others = np.exp(np.minimum(logs.sum(axis=0) - logs, 0.0))
    probs: Floats = (density * others).sum(axis=1) * step
    return probs


def exact(means: Floats, sds: Floats) -> Floats:
    """Return the same integral on a grid of a tenth of the smallest deviation, of functions that are not tabulated."""
    step = sds.min() / 10
    grid = np.arange((means - 6 * sds).max(), (means + 6 * sds).max(), step)
    z = (grid - means[:, None]) / sds[:, None]
    log_f = np.array([[math.log(0.5 * math.erfc(-value / math.sqrt(2.0))) for value in row] for row in z.tolist()])
    terms = (np.exp(-0.5 * z**2 - log_f + log_f.sum(axis=0)) / sds[:, None]).sum(axis=1)
    probs: Floats = terms / terms.sum()
    return probs


@given(BELIEFS)
def test_probabilities_are_not_negative_and_sum_to_one(beliefs: list[tuple[float, float]]) -> None:
    probs = best_arm_probs(*arrays(beliefs))
    assert probs.shape == (len(beliefs),)
    assert probs.min() >= 0.0
    assert probs.sum() == pytest.approx(1.0, abs=1e-12)


@given(st.lists(st.tuples(MEANS, st.sampled_from([0.0, 1e-300, 1e-12, 0.2, 1e6])), min_size=1, max_size=8))
def test_vanishing_and_huge_deviations_still_give_a_distribution(beliefs: list[tuple[float, float]]) -> None:
    probs = best_arm_probs(*arrays(beliefs))
    assert probs.min() >= 0.0
    assert probs.sum() == pytest.approx(1.0, abs=1e-12)


@given(BELIEFS, st.randoms(use_true_random=False))
def test_permuting_the_arms_permutes_the_probabilities(beliefs: list[tuple[float, float]], random: object) -> None:
    order = list(range(len(beliefs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    means, sds = arrays(beliefs)
    assert best_arm_probs(means[order], sds[order]) == pytest.approx(best_arm_probs(means, sds)[order], abs=1e-9)


@given(BELIEFS, st.floats(-100, 100), st.floats(0.1, 10))
def test_shifting_and_scaling_all_values_changes_nothing(
    beliefs: list[tuple[float, float]], shift: float, scale: float
) -> None:
    means, sds = arrays(beliefs)
    moved = best_arm_probs(means * scale + shift, sds * scale)
    assert moved == pytest.approx(best_arm_probs(means, sds), abs=1e-8)


@given(BELIEFS, st.floats(0.0, 1.0))
def test_a_better_mean_never_lowers_the_probability(beliefs: list[tuple[float, float]], better_by: float) -> None:
    means, sds = arrays(beliefs)
    raised = means.copy()
    raised[0] += better_by
    assert best_arm_probs(raised, sds)[0] >= best_arm_probs(means, sds)[0] - 1e-3  # the grid's own error


@given(MEANS, MEANS, SDS, SDS)
def test_two_arms_have_the_closed_form(mean_1: float, mean_2: float, sd_1: float, sd_2: float) -> None:
    z = (mean_1 - mean_2) / math.hypot(sd_1, sd_2)
    first = 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))
    probs = best_arm_probs(np.array([mean_1, mean_2]), np.array([sd_1, sd_2]))
    assert probs == pytest.approx([first, 1.0 - first], abs=1e-4)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 8, 12, 16, 24, 32])
def test_many_arms_agree_with_a_fine_grid(k: int) -> None:
    rng = np.random.default_rng(k)
    for _ in range(4):
        means, sds = rng.uniform(0.0, 1.0, k), 0.02 * 30 ** rng.uniform(0.0, 1.0, k)
        expected = reference(means, sds)
        assert expected.sum() == pytest.approx(1.0, abs=1e-4)  # the reference itself is sound
        assert best_arm_probs(means, sds) == pytest.approx(expected, abs=1e-3)


def test_equal_beliefs_share_evenly() -> None:
    assert best_arm_probs(np.full(5, 0.4), np.full(5, 0.1)) == pytest.approx([0.2] * 5)


def test_among_three_alike_a_certain_one_wins_only_if_both_others_fall_below_it() -> None:
    probs = best_arm_probs(np.array([0.5, 0.5, 0.5]), np.array([0.0, 0.1, 0.1]))
    assert probs == pytest.approx([0.25, 0.375, 0.375], abs=1e-4)  # 1/2 * 1/2, the rest shared


def test_certainty_takes_the_best_and_splits_ties_evenly() -> None:
    assert best_arm_probs(np.array([0.5, 0.7, 0.7]), np.zeros(3)) == pytest.approx([0.0, 0.5, 0.5])
    assert best_arm_probs(np.array([0.5, 0.7, 0.6]), np.zeros(3)).tolist() == [0.0, 1.0, 0.0]


def test_one_deviation_of_certainty_against_a_spread_out_arm() -> None:
    # P(N(0.6, 0.1) > 0.5) = Phi(1) = 0.84134
    assert best_arm_probs(np.array([0.5, 0.6]), np.array([0.0, 0.1])) == pytest.approx([0.15866, 0.84134], abs=1e-4)


@pytest.mark.parametrize("sd", [0.0, 0.3])
def test_one_arm_is_certain(sd: float) -> None:
    assert best_arm_probs(np.array([-7.0]), np.array([sd])).tolist() == [1.0]


def test_a_hopeless_arm_gets_exactly_nothing() -> None:
    probs = best_arm_probs(np.array([0.9, 0.9, 0.1]), np.array([0.05, 0.05, 0.05]))  # 16 deviations below
    assert probs[2] == 0.0
    assert probs[:2] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("k", [2, 3, 5, 8, 16, 64])
def test_where_deviations_are_alike_probabilities_are_right_to_a_few_millionths(k: int) -> None:
    rng = np.random.default_rng(k)
    for spread in (0.0, 0.1, 0.5):
        means, sds = rng.uniform(0.0, spread, k), 0.05 * 2 ** rng.uniform(0.0, 1.0, k)
        assert best_arm_probs(means, sds) == pytest.approx(exact(means, sds), abs=1e-5)


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.05, 0.1)), min_size=2, max_size=12))
def test_the_even_grid_and_the_uneven_one_agree_where_both_will_do(beliefs: list[tuple[float, float]]) -> None:
    means, sds = arrays(beliefs)
    contend = means + 6 * sds > (means - 6 * sds).max()
    unevenly = _integrated_unevenly(means[contend], sds[contend], np.asarray((means - 6 * sds).max()))
    assert best_arm_probs(means, sds)[contend] == pytest.approx(unevenly, abs=1e-3)


def test_many_rows_get_what_each_gets_by_itself_whichever_grid_is_theirs() -> None:
    rng = np.random.default_rng(0)
    means = rng.uniform(0.0, 1.0, (60, 6)) * rng.choice([0.1, 1.0, 9.0], (60, 1))
    sds = 0.05 * rng.choice([1.0, 3.0, 1000.0], (60, 1)) ** rng.uniform(0.0, 1.0, (60, 6))
    at_once = best_arm_probs_many(means, sds)
    assert {int((row > 0).sum()) for row in at_once} >= {1, 2, 6}
    for row, (mean, sd) in enumerate(zip(means, sds, strict=True)):
        assert at_once[row] == pytest.approx(best_arm_probs(mean, sd), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_many_beliefs_at_once_have_the_probabilities_of_each_whoever_of_them_is_hopeless(k: int) -> None:
    rng = np.random.default_rng(k)
    means, sds = rng.random((40, k)) + 9.0 * (rng.random((40, k)) < 0.4), 0.1 + rng.random((40, k)) / 5
    probs = best_arm_probs_many(means, sds)
    for row in range(40):
        assert probs[row] == pytest.approx(best_arm_probs(means[row], sds[row]), abs=1e-12)
    assert (probs == 0.0).any() == (k > 1)
