import json

import numpy as np
import pytest

from highwayman.bandit.regression.amount_posterior import AmountPosterior
from highwayman.env.types import Floats

ARMS = ("short", "long")


def call(rng: np.random.Generator) -> tuple[str, Floats, list[float]]:
    """Return one call: the long arm takes 4 times the short one's, a side of 1 twice as much as one of 0, noise 0.3."""
    arm, side = ARMS[int(rng.integers(2))], float(rng.integers(2))
    ratio = 0.5 * (4.0 if arm == "long" else 1.0) * 2.0**side * np.exp(0.3 * rng.normal())
    return arm, np.array([side, 1.0]), [ratio, ratio / 10]


def learned(n: int, seed: int = 0) -> AmountPosterior:
    posterior, rng = AmountPosterior(2), np.random.default_rng(seed)
    for _ in range(n):
        posterior.learn(*call(rng))
    return posterior


def test_before_any_call_the_guess_is_expected() -> None:
    assert AmountPosterior(2).expected_ratios(np.ones(3), ARMS).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_means_are_met_by_prompt_and_arm_and_not_only_medians() -> None:
    posterior, mean = learned(4_000), np.exp(0.3**2 / 2)
    for side in (0.0, 1.0):
        expected = posterior.expected_ratios(np.array([side, 1.0]), ARMS)
        truth = np.array([0.5, 2.0]) * 2.0**side * mean
        assert expected == pytest.approx(np.stack([truth, truth / 10], axis=1), rel=0.05)


def test_what_takes_always_the_same_is_expected_exactly() -> None:
    posterior = AmountPosterior(1)
    for side in (0.0, 1.0) * 5:
        posterior.learn("a", np.array([side, 1.0]), [1.0])
    assert posterior.expected_ratios(np.array([1.0, 1.0]), ["a"]) == pytest.approx(1.0)


def test_an_arm_without_calls_is_expected_to_take_what_the_others_have_in_common() -> None:
    newcomer = learned(2_000).expected_ratios(np.array([[1.0, 1.0]])[0], ["short", "new", "long"])[:, 0]
    assert newcomer[0] < newcomer[1] < newcomer[2]


def test_a_call_that_is_taken_away_again_leaves_nothing() -> None:
    posterior, rng = learned(50), np.random.default_rng(9)
    calls = [call(rng) for _ in range(20)]
    for sign in (1, -1):
        for arm, features, ratios in calls:
            posterior.learn(arm, features, ratios, sign=sign)
    assert posterior.distance(learned(50)) < 1e-9
    assert posterior.expected_ratios(np.ones(2), ARMS) == pytest.approx(learned(50).expected_ratios(np.ones(2), ARMS))


def test_a_state_goes_on_as_the_one_it_was_taken_of() -> None:
    posterior = learned(100)
    state = json.loads(json.dumps(posterior.to_json()))
    restored = AmountPosterior.from_json(state, amounts=2)
    assert restored.distance(posterior) == 0.0
    assert restored.calls(ARMS) == posterior.calls(ARMS)
    assert sum(restored.calls([*ARMS, "new"])) == 100
    assert restored.expected_ratios(np.ones(2), ARMS) == pytest.approx(learned(100).expected_ratios(np.ones(2), ARMS))


def test_a_state_of_64_features_takes_less_than_24_kilobytes_an_arm() -> None:
    posterior, rng = AmountPosterior(2), np.random.default_rng(0)
    for arm in ARMS:
        posterior.learn(arm, rng.normal(size=64), [1.0, 1.0])
    assert len(json.dumps(posterior.to_json())) < len(ARMS) * 24_576


@pytest.mark.parametrize("damage", [{"sums": "AAAA"}, {"arms": ["a", "a"]}, {"d": 4}, {"sums": "%"}])
def test_a_damaged_state_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        AmountPosterior.from_json({**learned(3).to_json(), **damage}, amounts=2)


def test_an_amount_of_nothing_and_one_that_is_unknown_are_no_error() -> None:
    posterior = AmountPosterior(2)
    posterior.learn("a", np.ones(2), [0.0, float("nan")])
    assert np.isfinite(posterior.expected_ratios(np.ones(2), ["a"])).all()


def test_features_of_another_length_change_nothing() -> None:
    posterior = learned(10)
    posterior.learn("short", np.ones(5), [9.0, 9.0])
    assert posterior.distance(learned(10)) == 0.0
    assert posterior.expected_ratios(np.ones(5), ARMS).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_no_prompt_is_believed_to_take_more_than_e_cubed_times_the_arms_mean() -> None:
    posterior = learned(500)
    at_zero = posterior.expected_ratios(np.array([0.5, 1.0]), ARMS)
    far = posterior.expected_ratios(np.array([1e6, 1.0]), ARMS)
    assert (far < at_zero * np.exp(3.2)).all()
