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


def test_a_state_with_a_sign_among_its_numbers_that_does_not_belong_there_is_refused() -> None:
    state = learned(3).to_json()
    with pytest.raises(ValueError, match=r".+"):
        AmountPosterior.from_json({**state, "sums": state["sums"][:4] + "%" + state["sums"][4:]}, amounts=2)


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


def test_it_expects_what_one_regression_over_all_arms_does_solved_at_once() -> None:
    rng, posterior, d = np.random.default_rng(3), AmountPosterior(2), 4
    arms, x = rng.integers(3, size=60), np.column_stack([rng.normal(size=(60, d - 1)), np.ones(60)])
    y = rng.normal(size=(60, 2)) + arms[:, None] + x[:, :1]
    for n in range(60):
        posterior.learn("abc"[arms[n]], x[n], np.exp(y[n]).tolist())
    # What arms have in common, then each arm's own part, which weighs in only for its own calls.
    design = np.concatenate([x, *[x * (arms == k)[:, None] for k in range(3)]], axis=1)
    prior = np.array([0.3] * (d - 1) + [1.0] + ([3.0] * (d - 1) + [1.0]) * 3)
    solved = np.linalg.solve(design.T @ design + np.diag(prior), design.T @ y).reshape(4, d, 2)
    query = np.array([0.3, -0.2, 0.1, 1.0])
    expected, residuals, calls = [], [], []
    for k in range(3):
        theta, own = solved[0] + solved[1 + k], arms == k
        residuals.append(((y[own] - x[own] @ theta) ** 2).sum(axis=0))
        calls.append(own.sum())
        expected.append(query @ theta + 0.5 * residuals[k] / (calls[k] + 5.0))
    expected.append(query @ solved[0] + 0.5 * np.sum(residuals, axis=0) / (60 + 5.0))
    assert posterior.expected_ratios(query, ["a", "b", "c", "new"]) == pytest.approx(np.exp(expected), rel=1e-9)
    assert posterior.expected_ratios(query, ["new", "b"]) == pytest.approx(np.exp([expected[3], expected[1]]), rel=1e-9)
    # Far away an arm is believed to lie e cubed off its mean, of which what arms have in common counts for a call.
    far = np.log(posterior.expected_ratios(1e9 * query, ["a"]) / posterior.expected_ratios(-1e9 * query, ["a"]))
    assert np.abs(far) == pytest.approx(6.0)
    middle = np.log(posterior.expected_ratios(1e9 * query, ["a"]) * posterior.expected_ratios(-1e9 * query, ["a"])) / 2
    mean = (y[arms == 0].sum(axis=0) + solved[0, -1]) / (calls[0] + 1.0)
    assert middle[0] == pytest.approx(mean + 0.5 * residuals[0] / (calls[0] + 5.0))


def test_a_tenth_more_calls_are_heard_and_an_arm_that_comes_new_at_once() -> None:
    posterior, fresh = learned(40), learned(46)
    posterior.expected_ratios(np.ones(2), ARMS)
    rng = np.random.default_rng(0)
    for n in range(46):
        arm, features, ratios = call(rng)
        if n >= 40:
            posterior.learn(arm, features, ratios)
    assert posterior.expected_ratios(np.ones(2), ARMS) == pytest.approx(fresh.expected_ratios(np.ones(2), ARMS))
    before = posterior.expected_ratios(np.ones(2), ["new"])
    posterior.learn("new", np.ones(2), [9.0, 9.0])
    assert (posterior.expected_ratios(np.ones(2), ["new"]) > before).all()


def test_the_second_call_is_heard_and_the_third() -> None:
    posterior, expected = AmountPosterior(1), []
    for ratio in (1.0, 9.0, 9.0):
        posterior.learn("a", np.ones(1), [ratio])
        expected.append(float(posterior.expected_ratios(np.ones(1), ["a"])[0, 0]))
    assert expected[0] < expected[1] < expected[2]


def test_two_states_are_apart_by_what_either_knows_of_an_arm_alone() -> None:
    ours, theirs = AmountPosterior(1), AmountPosterior(1)
    ours.learn("a", np.array([2.0, 1.0]), [1.0])
    assert (ours.distance(theirs), theirs.distance(ours)) == (4.0, 4.0)
    theirs.learn("a", np.array([2.0, 1.0]), [1.0])
    assert ours.distance(theirs) == 0.0
    theirs.learn("b", np.array([3.0, 1.0]), [1.0])
    assert (ours.distance(theirs), theirs.distance(ours)) == (9.0, 9.0)


def test_nothing_counts_as_a_thousandth_of_the_guess_and_what_is_unknown_as_the_guess() -> None:
    told, meant = AmountPosterior(2), AmountPosterior(2)
    told.learn("a", np.ones(2), [0.0, float("nan")])
    meant.learn("a", np.ones(2), [1e-3, 1.0])
    assert told.distance(meant) == 0.0
