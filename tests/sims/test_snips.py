import numpy as np
import pytest

from highwayman.sims.snips import snips


def test_on_its_own_log_a_policy_is_worth_its_mean_reward() -> None:
    target = np.full((4, 2), 0.5)
    estimate = snips(np.array([0, 1, 0, 1]), np.full(4, 0.5), np.array([1.0, 0.0, 1.0, 1.0]), target)
    assert (estimate.value, estimate.ess) == (0.75, 4.0)


def test_rounds_are_weighed_by_how_much_likelier_the_target_makes_them() -> None:
    target = np.array([[0.9, 0.1], [0.9, 0.1]])
    estimate = snips(np.array([0, 1]), np.array([0.3, 0.1]), np.array([1.0, 0.0]), target)
    assert estimate.value == pytest.approx(3 / (3 + 1))  # ratios 0.9 / 0.3 and 0.1 / 0.1
    assert estimate.ess == pytest.approx(16 / 10)


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, np.nan])
def test_a_propensity_that_cannot_be_is_named_with_its_row(bad: float) -> None:
    with pytest.raises(ValueError, match="row 1"):
        snips(np.array([0, 0]), np.array([0.5, bad]), np.ones(2), np.full((2, 2), 0.5))


def test_no_support_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="could have produced"):
        snips(np.array([0]), np.array([0.5]), np.ones(1), np.array([[0.0, 1.0]]))


def test_the_interval_covers_the_truth_in_about_95_of_100_runs() -> None:
    rng, covered, runs = np.random.default_rng(0), 0, 400
    value = np.array([0.3, 0.6])
    target = np.tile([0.2, 0.8], (500, 1))
    for _ in range(runs):
        actions = (rng.random(500) < 0.4).astype(np.intp)
        rewards = (rng.random(500) < value[actions]).astype(float)
        estimate = snips(actions, np.where(actions == 1, 0.4, 0.6), rewards, target)
        covered += estimate.low <= 0.54 <= estimate.high
    assert 0.92 <= covered / runs <= 0.98
