import math

import numpy as np
import pytest

from highwayman.sims.measures.over_seeds import mean_interval, paired_difference


def test_the_interval_of_four_values_by_hand() -> None:
    found = mean_interval(np.array([1.0, 2.0, 3.0, 4.0]))  # s = 1.29099, t = 3.18245
    assert (found.mean, found.n) == (2.5, 4)
    assert (found.low, found.high) == (pytest.approx(2.5 - 2.05426, abs=1e-4), pytest.approx(2.5 + 2.05426, abs=1e-4))


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = mean_interval(np.array([0.5]))
    assert found.mean == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_pairs_are_compared_seed_by_seed() -> None:
    theirs = np.array([0.1, 0.5, 0.9])
    found = paired_difference(theirs + np.array([0.01, 0.02, 0.03]), theirs)
    assert found.mean == pytest.approx(0.02)
    assert found.high - found.low == pytest.approx(2 * 4.302653 * 0.01 / math.sqrt(3), abs=1e-6)
    with pytest.raises(ValueError, match="equally many seeds"):
        paired_difference(theirs, theirs[:2])


def test_what_the_seeds_share_does_not_widen_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(3)
    course = rng.normal(0.5, 0.1, size=8)  # how easy the prompts of each seed happened to be, for everybody
    ours, theirs = course + rng.normal(0.01, 0.001, size=8), course + rng.normal(0.0, 0.001, size=8)
    paired = paired_difference(ours, theirs)
    assert paired.low > 0.005
    alone = mean_interval(ours)
    assert alone.high - alone.low > 20 * (paired.high - paired.low)


def test_the_difference_of_a_policy_to_itself_is_nothing_for_certain() -> None:
    found = paired_difference(np.array([0.1, 0.7]), np.array([0.1, 0.7]))
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, math.nan]), np.ones((2, 2))])
def test_values_that_are_none_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite value per seed"):
        mean_interval(bad)


def test_the_t_interval_covers_the_truth_in_95_of_100_runs_with_few_seeds() -> None:
    rng, runs = np.random.default_rng(1), 2_000
    found = [mean_interval(rng.normal(0.3, 0.1, size=4)) for _ in range(runs)]
    covered = sum(one.low <= 0.3 <= one.high for one in found)
    assert 0.935 <= covered / runs <= 0.965
