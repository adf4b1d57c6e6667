import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit import snapshot
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

D = 3
# Said in full, so that no claim here hangs on a default.
PRIOR = {
    "prior_precision": 2.0,
    "intercept_precision": 1.0,
    "prior_mean": 0.6,
    "noise_variance": 0.1,
    "noise_weight": 20.0,
}
ROUND = st.tuples(
    st.lists(st.floats(-1.0, 1.0, width=32), min_size=D - 1, max_size=D - 1),  # features but the constant
    st.floats(0.0, 1.0),  # quality
    st.sampled_from([0.5, 1.0, 3.0]),  # weight
)
ROUNDS = st.lists(ROUND, min_size=1, max_size=12)


def said(features: Sequence[float], quality: float, weight: float = 1.0, *, arm: str = "a") -> RewardChange:
    """Return the change that a first reward brings: weight -1 times it takes it back."""
    return RewardChange(arm, np.array(features, dtype=float), weight, weight * quality, weight * quality**2)


def observed(each: tuple[list[float], float, float], *, sign: float = 1.0) -> RewardChange:
    features, quality, weight = each
    return said([*features, 1.0], quality, sign * weight)


def posterior(*changes: RewardChange, d: int = D, arms: Sequence[str] = "a", **options: Any) -> LinearPosterior:
    made = LinearPosterior(d=d, **{**PRIOR, **options})
    for arm in arms:
        made.add_arm(arm)
    made.update(changes)
    return made


def beliefs(of: LinearPosterior) -> Floats:
    """Return means and deviations of every arm at three fixed contexts, and the noise variance."""
    queries = np.vstack([np.eye(of.d)[0], -np.ones(of.d), np.linspace(-1.0, 1.0, of.d)])
    parts = [part for query in queries for part in of.predict(query, of.arms)]
    return np.concatenate([*parts, [of.noise_variance()]])


def simulated(n: int, d: int, *, seed: int, noise_sd: float = 0.3) -> tuple[Floats, Floats]:
    """Return contexts (n, d), the last feature 1, and rewards (n,) around a plane."""
    rng = np.random.default_rng(seed)
    x = np.hstack([rng.normal(size=(n, d - 1)) / math.sqrt(d), np.ones((n, 1))])
    return x, x @ np.linspace(-0.3, 0.5, d) + noise_sd * rng.normal(size=n)


def test_before_any_reward_the_mean_is_the_prior_mean_everywhere() -> None:
    means, sds = posterior(prior_mean=0.7, intercept_precision=4.0, noise_variance=0.25).predict(
        np.array([0.3, -2.0, 1.0]), ["a"]
    )
    assert means == pytest.approx([0.7])
    assert sds == pytest.approx([math.sqrt(0.25 * ((0.09 + 4.0) / 2 + 1 / 4))])


def test_one_observation_moves_the_mean_to_the_prior_weighted_average() -> None:
    seen = posterior(said([1.0], 1.0), d=1, intercept_precision=3.0, prior_mean=0.5)
    means, _ = seen.predict(np.ones(1), ["a"])
    assert means == pytest.approx([(3 * 0.5 + 1) / 4])


def test_one_observation_of_weight_two_counts_as_two() -> None:
    seen = posterior(said([1.0], 1.0, 2.0), d=1, intercept_precision=3.0, prior_mean=0.5)
    means, _ = seen.predict(np.ones(1), ["a"])
    assert means == pytest.approx([(3 * 0.5 + 2) / 5])


def test_deviation_and_noise_after_one_observation_are_those_computed_by_hand() -> None:
    options: dict[str, Any] = {
        "intercept_precision": 3.0,
        "prior_mean": 0.5,
        "noise_variance": 0.1,
        "noise_weight": 20.0,
    }
    seen = posterior(said([1.0], 1.0), d=1, **options)
    noise = (0.1 * 20 + 3 / 4 * 0.5**2) / 21  # a surprise of 0.5, shrunk by 3 / (3 + 1)
    assert seen.noise_variance() == pytest.approx(noise)
    assert seen.predict(np.ones(1), ["a"])[1] == pytest.approx([math.sqrt(noise / 4)])


def test_arms_without_rewards_say_nothing_about_the_noise() -> None:
    assert posterior(arms="abc").noise_variance() == pytest.approx(0.1)
    change = said([0.0, 0.5, 1.0], 1.0)
    assert posterior(change, arms="abc").noise_variance() == pytest.approx(posterior(change).noise_variance())


def test_one_at_a_time_equals_the_batch_ridge_solution() -> None:
    x, rewards = simulated(200, 6, seed=1)
    weights = np.random.default_rng(2).uniform(0.2, 2.0, 200)
    seen = posterior(*map(said, x.tolist(), rewards, weights), d=6, intercept_precision=0.5)
    prior = np.diag([2.0] * 5 + [0.5])
    a = prior + x.T @ (weights[:, None] * x)
    theta = np.linalg.solve(a, prior @ np.array([0, 0, 0, 0, 0, 0.6]) + x.T @ (weights * rewards))
    query = np.array([0.3, -0.2, 0.9, 0.0, 0.5, 1.0])
    means, sds = seen.predict(query, ["a"])
    assert means == pytest.approx([query @ theta], abs=1e-10)
    assert sds**2 == pytest.approx([seen.noise_variance() * (query @ np.linalg.solve(a, query))], abs=1e-10)


@given(ROUNDS, st.lists(ROUND, min_size=1, max_size=12), st.floats(0.0, 1.0))
def test_flipping_a_reward_leaves_what_only_ever_saw_the_final_value(
    before: list[Any], after: list[Any], final: float
) -> None:
    features, first, weight = before[-1]
    flip = RewardChange("a", np.array([*features, 1.0]), 0.0, weight * (final - first), weight * (final**2 - first**2))
    flipped = posterior(*map(observed, before), *map(observed, after), flip)
    only_final = posterior(*map(observed, [*before[:-1], (features, final, weight), *after]))
    assert beliefs(flipped) == pytest.approx(beliefs(only_final), abs=1e-9)


@given(ROUNDS, st.data())
def test_taking_a_round_back_leaves_what_never_saw_it(rounds: list[Any], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rounds) - 1))
    undone = posterior(*map(observed, rounds), observed(rounds[place], sign=-1.0))
    never = posterior(*map(observed, rounds[:place] + rounds[place + 1 :]))
    assert beliefs(undone) == pytest.approx(beliefs(never), abs=1e-9)


def test_taking_back_a_round_that_outweighs_the_prior_a_millionfold_still_leaves_the_prior() -> None:
    change = said([10.0, 0.0, 1.0], 0.9, 1e6)
    undone = posterior(change, observed(([10.0, 0.0], 0.9, 1e6), sign=-1.0))
    assert beliefs(undone) == pytest.approx(beliefs(posterior()), abs=1e-6)


@given(ROUNDS, st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter(rounds: list[Any], random: Any) -> None:
    shuffled = list(rounds)
    random.shuffle(shuffled)
    assert beliefs(posterior(*map(observed, shuffled))) == pytest.approx(
        beliefs(posterior(*map(observed, rounds))), abs=1e-9
    )


def test_an_arm_learns_nothing_from_another() -> None:
    both = posterior(said([1.0, 0.0, 1.0], 0.0, 50.0, arm="b"), arms="ab")
    assert both.predict(np.array([1.0, 0.0, 1.0]), ["a"])[0] == pytest.approx([0.6])
    assert both.predict(np.array([1.0, 0.0, 1.0]), ["b"])[0][0] < 0.05


def test_any_subset_of_arms_in_any_order_gives_each_its_own_belief() -> None:
    changes = [
        said([0.0, 0.5, 1.0], quality, arm=arm) for arm, quality in zip("abcd", (0.1, 0.4, 0.8, 1.0), strict=True)
    ]
    seen = posterior(*changes, arms="abcd")
    query = np.array([0.2, 0.1, 1.0])
    means, sds = seen.predict(query, ["a", "b", "c", "d"])
    for order in (["d", "b"], ["a", "b"], ["c"], ["b", "a", "d", "c"], []):
        places = ["abcd".index(arm) for arm in order]
        some_means, some_sds = seen.predict(query, order)
        assert some_means.tolist() == pytest.approx(means[places].tolist(), abs=1e-15)
        assert some_sds.tolist() == pytest.approx(sds[places].tolist(), abs=1e-15)


def test_adding_an_arm_again_keeps_what_was_learned() -> None:
    seen = posterior(said([0.0, 0.0, 1.0], 1.0))
    before = beliefs(seen)
    seen.add_arm("a")
    assert seen.arms == ("a",)
    assert beliefs(seen).tolist() == before.tolist()


def test_twenty_thousand_updates_stay_positive_definite_and_on_the_direct_solution() -> None:
    x, rewards = simulated(20_000, 8, seed=3)
    seen = posterior(*map(said, x, rewards), d=8)
    prior = np.diag([2.0] * 7 + [1.0])
    a = prior + x.T @ x
    direct = np.linalg.solve(a, prior @ np.array([0.0] * 7 + [0.6]) + x.T @ rewards)
    queries = simulated(50, 8, seed=4)[0]
    means = np.array([seen.predict(query, ["a"])[0][0] for query in queries])
    sds = np.array([seen.predict(query, ["a"])[1][0] for query in queries])
    variances = np.einsum("nd,nd->n", queries, np.linalg.solve(a, queries.T).T) * seen.noise_variance()
    assert means == pytest.approx(queries @ direct, abs=1e-9)
    assert sds == pytest.approx(np.sqrt(variances), rel=1e-8)
    _, arrays = snapshot.unpack(seen.state())
    assert np.linalg.eigvalsh(arrays["a"][0]).min() > 0


def test_a_thousand_rounds_given_and_taken_back_leave_the_prior() -> None:
    x, rewards = simulated(1000, 5, seed=5)
    seen = posterior(d=5)
    for row, reward in zip(x, rewards, strict=True):
        seen.update([said(row, reward), said(row, 0.3, 1.0), RewardChange("a", row, -1.0, -reward, -(reward**2))])
    for row in x:
        seen.update([RewardChange("a", row, -1.0, -0.3, -0.09)])
    assert beliefs(seen) == pytest.approx(beliefs(posterior(d=5)), abs=1e-9)


@pytest.mark.parametrize("noise_sd", [0.1, 0.5])
def test_the_noise_variance_approaches_the_truth(noise_sd: float) -> None:
    x, rewards = simulated(4000, 6, seed=6, noise_sd=noise_sd)
    seen = posterior(*map(said, x, rewards), d=6, noise_weight=1.0)
    # the estimate's own deviation is sqrt(2 / 4000), 2.2%
    assert seen.noise_variance() == pytest.approx(noise_sd**2, rel=0.07)


def test_the_noise_variance_is_pooled_over_arms() -> None:
    x, rewards = simulated(4000, 4, seed=7, noise_sd=0.2)
    seen = posterior(
        *(said(row, reward, arm="ab"[place % 2]) for place, (row, reward) in enumerate(zip(x, rewards, strict=True))),
        arms="ab",
        d=4,
        noise_weight=1.0,
    )
    assert seen.noise_variance() == pytest.approx(0.04, rel=0.07)


@given(ROUNDS)
def test_the_state_round_trips(rounds: list[Any]) -> None:
    seen = posterior(*map(observed, rounds), said([0.1, 0.2, 1.0], 0.5, arm="b"), arms="ab", fingerprint="f")
    again = posterior(arms="", fingerprint="f")
    again.restore(seen.state())
    assert again.arms == ("a", "b")
    assert again.state() == seen.state()
    assert beliefs(again) == pytest.approx(beliefs(seen), abs=1e-10)


def test_a_restored_posterior_goes_on_learning_like_the_one_it_came_from() -> None:
    seen = posterior(said([0.5, 0.0, 1.0], 0.9))
    again = posterior(arms="")
    again.restore(seen.state())
    for one in (seen, again):
        one.add_arm("b")
        one.update([said([0.0, 1.0, 1.0], 0.2), said([1.0, 1.0, 1.0], 0.7, arm="b")])
    assert again.state() == seen.state()
    assert beliefs(again) == pytest.approx(beliefs(seen), abs=1e-12)


def with_arrays(state: bytes, **changed: Floats) -> bytes:
    header, arrays = snapshot.unpack(state)
    return snapshot.pack(header, {**arrays, **changed})


def indefinite(state: bytes) -> bytes:
    return with_arrays(state, a=np.diag([1.0, -1.0, 1.0])[None])


def with_header(state: bytes, **changed: Any) -> bytes:
    header, arrays = snapshot.unpack(state)
    kept = {name: value for name, value in {**header, **changed}.items() if value is not None}
    return snapshot.pack(kept, arrays)


UNUSABLE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another d": (lambda _: posterior(d=4, fingerprint="f").state(), "d=4; wanted linear sums, d=3"),
    "another encoder": (lambda _: posterior(fingerprint="g").state(), "encoder 'g', this one is 'f'"),
    "another kind": (lambda state: with_header(state, kind="uniform"), "'uniform'"),
    "no kind": (lambda state: with_header(state, kind=None), "None"),
    "no arms": (lambda state: with_header(state, arms=None), "arms"),
    "more arms than rows": (lambda state: with_header(state, arms=["a", "b"]), "2 arms of 3 features"),
    "an arm twice": (
        lambda _: with_header(posterior(arms="ab", fingerprint="f").state(), arms=["a", "a"]),
        "arms",
    ),
    "a missing array": (lambda state: snapshot.pack(snapshot.unpack(state)[0], {}), "shapes"),
    "not a number": (lambda state: with_arrays(state, b=np.full((1, 3), np.nan)), "not finite"),
    "not positive definite": (indefinite, "not positive semidefinite"),
    "damaged": (lambda state: state[:-1] + bytes([state[-1] ^ 1]), "damaged"),
    "cut off": (lambda state: state[: len(state) // 2], "damaged"),
    "empty": (lambda _: b"", "not a Highwayman snapshot"),
}


@pytest.mark.parametrize(("spoil", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_snapshot_is_refused_and_changes_nothing(spoil: Callable[[bytes], bytes], message: str) -> None:
    seen = posterior(said([0.5, 0.0, 1.0], 0.9), fingerprint="f")
    other = posterior(said([0.0, 0.5, 1.0], 0.1), fingerprint="f")
    state, before = seen.state(), beliefs(seen)
    with pytest.raises(SnapshotError, match=message):
        seen.restore(spoil(other.state()))
    assert seen.state() == state
    assert beliefs(seen).tolist() == before.tolist()


def test_an_unknown_arm_is_named_with_those_known_and_nothing_is_learned() -> None:
    seen = posterior(arms="ab")
    state = seen.state()
    with pytest.raises(ValueError, match="unknown arm 'c'; known are a, b"):
        seen.update([said([0.0, 0.0, 1.0], 1.0, arm="c")])
    with pytest.raises(ValueError, match="unknown arm 'c'; known are a, b"):
        seen.predict(np.ones(D), ["a", "c"])
    assert seen.state() == state


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), ()])
def test_features_of_another_shape_are_named_and_nothing_is_learned(shape: tuple[int, ...]) -> None:
    seen = posterior()
    state = seen.state()
    with pytest.raises(ValueError, match=re.escape(f"features must have shape (3,), got {shape}")):
        seen.update([RewardChange("a", np.ones(shape), 1.0, 1.0, 1.0)])
    assert seen.state() == state


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("d", 0),
        ("prior_precision", 0.0),
        ("prior_precision", float("nan")),
        ("intercept_precision", -1.0),
        ("noise_variance", 0.0),
        ("noise_weight", float("inf")),
        ("prior_mean", float("nan")),
        ("prior_mean", float("inf")),
    ],
)
def test_an_impossible_prior_is_refused_by_name(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        LinearPosterior(**{"d": D, option: value})  # type: ignore[arg-type]
