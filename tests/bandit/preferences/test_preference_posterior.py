import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit import snapshot
from highwayman.bandit.preferences.preference_posterior import PreferencePosterior, PreferencePrior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, PreferenceChange, RewardChange

ARMS = ("a", "b", "c")
ONE = np.ones(1)
Change = RewardChange | PreferenceChange


def posterior(
    d: int = 1, *, comparisons: int = 2000, arms: tuple[str, ...] = ARMS, **prior: float
) -> PreferencePosterior:
    made = PreferencePosterior(d=d, comparisons=comparisons, prior=PreferencePrior(**prior))
    for arm in arms:
        made.add_arm(arm)
    return made


def thumb(arm: str, x: Floats, value: float, weight: float = 1.0) -> RewardChange:
    return RewardChange(arm, x, weight, weight * value, weight * value**2)


def taken_back(change: Change) -> Change:
    if isinstance(change, RewardChange):
        return RewardChange(change.arm, change.features, -change.weight, -change.weighted, -change.squared)
    return PreferenceChange(change.better, change.worse, change.features, -change.weight, change.share)


def changes(n: int, *, seed: int, d: int = 3, kinds: tuple[str, ...] = ("reward", "preference")) -> list[Change]:
    """Return n thumbs and preferences, every fifth preference a tie."""
    rng, found = np.random.default_rng(seed), []
    for i in range(n):
        x = np.append(rng.normal(size=d - 1).astype(np.float32), 1.0).astype(np.float64)
        one, other = (str(arm) for arm in rng.choice(ARMS, 2, replace=False))
        if rng.choice(kinds) == "reward":
            found.append(thumb(one, x, float(rng.random() < 0.6), float(rng.uniform(0.5, 2.0))))
        else:
            found.append(PreferenceChange(one, other, x, float(rng.uniform(0.5, 2.0)), 0.5 if i % 5 == 0 else 1.0))
    return found


def assert_alike(one: PreferencePosterior, other: PreferencePosterior, *, within: float = 1e-9) -> None:
    """Say that two posteriors believe the same, and hold the same."""
    states = [snapshot.unpack(each.state()) for each in (one, other)]
    assert states[0][0] == states[1][0]
    assert one.comparisons_held() == other.comparisons_held()
    assert states[0][1]["held"] == pytest.approx(states[1][1]["held"], abs=within)
    for name in ("a", "b", "sums"):
        assert states[0][1][name] == pytest.approx(states[1][1][name], abs=within)
    for found, wanted in zip(one.coefficients(), other.coefficients(), strict=True):
        assert found == pytest.approx(wanted, abs=within)
    assert one.noise_variance() == pytest.approx(other.noise_variance(), abs=within)


def test_the_posterior_after_one_comparison_is_the_one_computed_by_hand() -> None:
    """Two arms ~ N(0.6, 0.1), a preferred once. At s^2 = 20 log 3 the mode is where a wins with probability 3/4.

    Their difference g ~ N(0, 0.2) has its mode where g = 0.2 s (1 - p); with p = 3/4, s g = log 3 = 0.05 s^2.
    The comparison's precision is s^2 p (1 - p) = 20 log 3 * 3/16; their sum keeps its variance, 0.2.
    """
    scale = math.sqrt(20 * math.log(3))
    made = posterior(arms=("a", "b"), intercept_precision=1.0, noise_variance=0.1, scale=scale)
    made.update([PreferenceChange("a", "b", ONE)])
    gap, variance = math.log(3) / scale, 1 / (5 + 3.75 * math.log(3))
    wanted = [(0.2 + variance) / 4, (0.2 - variance) / 4]
    for _ in range(2):  # of one comparison the update by rank one is the joint mode itself; then it is searched
        mean, covariance = made.coefficients()
        assert mean.ravel() == pytest.approx([0.6 + gap / 2, 0.6 - gap / 2], abs=1e-9)
        assert covariance.ravel() == pytest.approx([wanted[0], wanted[1], wanted[1], wanted[0]], abs=1e-9)
        assert made.mean_and_std(ONE, ["a", "b"])[1] == pytest.approx(np.full(2, math.sqrt(variance / 2)), abs=1e-9)
        made.recompute()


def test_rewards_alone_give_the_ridge_solution_and_its_noise() -> None:
    made = posterior(arms=("a",), intercept_precision=1.0, prior_mean=0.6, noise_variance=0.1, noise_weight=20)
    made.update([thumb("a", ONE, 1.0)] * 3)
    made.recompute()
    residual = 3 * (1 - 0.9) ** 2 + (0.6 - 0.9) ** 2  # at the mean, (0.6 + 3) / 4 = 0.9: from rewards and the prior
    noise = (20 * 0.1 + residual) / 23
    assert made.coefficients()[0].ravel() == pytest.approx([0.9])
    assert made.noise_variance() == pytest.approx(noise)
    assert made.coefficients()[1].ravel() == pytest.approx([noise / 4])


def test_a_tie_draws_two_arms_together() -> None:
    made = posterior()
    made.update([thumb("a", ONE, 1.0)] * 5 + [thumb("b", ONE, 0.0)] * 5)
    apart = float(np.subtract(*made.mean_and_std(ONE, ["a", "b"])[0]))
    made.update([PreferenceChange("a", "b", ONE, share=0.5)] * 5)
    assert 0 < float(np.subtract(*made.mean_and_std(ONE, ["a", "b"])[0])) < 0.7 * apart


def test_a_share_of_nothing_is_a_preference_for_the_other() -> None:
    one, other = posterior(), posterior()
    one.update([PreferenceChange("a", "b", ONE, share=0.0)])
    other.update([PreferenceChange("b", "a", ONE)])
    assert one.state() == other.state()
    one.update([PreferenceChange("b", "a", ONE, weight=-1.0)])  # so either name takes it back
    assert one.comparisons_held() == 0


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), data=st.data())
def test_what_is_taken_back_leaves_the_state_that_never_saw_it(seed: int, n: int, data: st.DataObject) -> None:
    told = changes(n, seed=seed)
    gone = set(data.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=20)))
    back, never = posterior(3), posterior(3)
    back.update(told)
    back.update(taken_back(told[i]) for i in sorted(gone, key=lambda i: (i * 7) % n))
    never.update(change for i, change in enumerate(told) if i not in gone)
    assert_alike(back, never)


def test_a_comparison_is_taken_back_in_parts_and_the_newest_like_it_first() -> None:
    made = posterior()
    made.update([PreferenceChange("a", "b", ONE, weight=w) for w in (1.0, 2.0)])
    made.update([PreferenceChange("a", "b", ONE, weight=-2.5)])
    wanted = posterior()
    wanted.update([PreferenceChange("a", "b", ONE, weight=0.5)])
    assert_alike(made, wanted)


def test_taking_back_what_nobody_said_changes_nothing() -> None:
    made, wanted = posterior(), posterior()
    for one in (made, wanted):
        one.update([PreferenceChange("a", "b", ONE)])
    made.update([PreferenceChange("a", "c", ONE, weight=-1.0), PreferenceChange("a", "b", 2 * ONE, weight=-1.0)])
    made.update([PreferenceChange("a", "b", ONE, weight=-1.0, share=0.5), PreferenceChange("a", "b", ONE, weight=0.0)])
    assert made.state() == wanted.state()


def test_folding_the_oldest_leaves_the_mode_and_its_curvature_where_they_were() -> None:
    told = changes(40, seed=1, kinds=("preference",))
    few, many = posterior(3, comparisons=39), posterior(3)
    for one in (few, many):
        one.update(told)
        one.recompute()
    assert (few.comparisons_held(), many.comparisons_held()) == (31, 40)
    for found, wanted in zip(few.coefficients(), many.coefficients(), strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)


def test_folded_evidence_counts_nearly_as_what_is_held() -> None:
    told = changes(600, seed=2)
    few, many = posterior(3, comparisons=50), posterior(3)
    for one in (few, many):
        one.update(told)
        one.recompute()
    assert few.comparisons_held() <= 50
    deviations = np.sqrt(np.einsum("kiki->ki", many.coefficients()[1]))
    assert (np.abs(few.coefficients()[0] - many.coefficients()[0]) < 0.5 * deviations).all()
    few_sds = np.sqrt(np.einsum("kiki->ki", few.coefficients()[1]))
    assert few_sds == pytest.approx(deviations, rel=0.1)


def test_folded_comparisons_can_all_be_taken_back() -> None:
    told = changes(120, seed=3)
    made, never = posterior(3, comparisons=20), posterior(3)
    made.update(told)
    made.update(taken_back(change) for change in told if isinstance(change, PreferenceChange))
    never.update(change for change in told if isinstance(change, RewardChange))
    assert_alike(made, never)


def test_what_is_folded_hangs_on_what_was_said_and_not_on_who_asked_meanwhile() -> None:
    told = changes(150, seed=4)
    asked, left_alone = posterior(3, comparisons=30), posterior(3, comparisons=30)
    for i, change in enumerate(told):
        asked.update([change])
        if i % 11 == 0:
            asked.state()
    left_alone.update(told)
    assert asked.state() == left_alone.state()


def test_beliefs_kept_up_by_rank_one_stay_near_the_joint_mode() -> None:
    told = changes(400, seed=5)
    made = posterior(3)
    made.update(told)
    followed = made.coefficients()
    made.recompute()
    deviations = np.sqrt(np.einsum("kiki->ki", made.coefficients()[1]))
    assert (np.abs(followed[0] - made.coefficients()[0]) < 0.2 * deviations).all()
    assert np.sqrt(np.einsum("kiki->ki", followed[1])) == pytest.approx(deviations, rel=0.05)


def test_the_level_that_comparisons_cannot_tell_makes_nobody_unsure() -> None:
    made = posterior()
    pairs = [("a", "b"), ("b", "c"), ("a", "c"), ("b", "a"), ("c", "b"), ("c", "a")]
    made.update([PreferenceChange(one, other, ONE) for one, other in pairs * 60])
    each = np.sqrt(np.einsum("kiki->ki", made.coefficients()[1])).ravel()
    assert each.min() > 0.15  # 0.1, the prior's variance, by three arms
    assert made.mean_and_std(ONE, ARMS)[1].max() < 0.03


def test_arms_never_compared_keep_their_own_regression() -> None:
    told = changes(60, seed=6, kinds=("reward",))
    compared, alone = posterior(3), posterior(3)
    alone.update(told)
    compared.update([*told, PreferenceChange("a", "b", np.ones(3))])
    for one in (compared, alone):
        one.recompute()
    assert compared.coefficients()[0][2].tolist() == alone.coefficients()[0][2].tolist()
    assert not compared.coefficients()[1][2, :, :2].any()
    assert compared.coefficients()[1][0, :, 1].any()


def test_one_sided_comparisons_and_a_context_of_zeros_stay_finite() -> None:
    made = posterior(3)
    made.update([PreferenceChange("a", "b", 30 * np.ones(3)), PreferenceChange("a", "c", np.zeros(3))] * 200)
    made.recompute()
    mean, covariance = made.coefficients()
    assert np.isfinite(mean).all()
    np.linalg.cholesky(covariance.reshape(9, 9))


def test_a_wrong_comparison_is_named_and_changes_nothing() -> None:
    made = posterior()
    before = made.state()
    for change, message in (
        (PreferenceChange("a", "a", ONE), "'a' cannot be better than itself"),
        (PreferenceChange("a", "b", np.ones(2)), r"features must have shape \(1,\), got \(2,\)"),
        (PreferenceChange("a", "b", ONE, share=1.5), r"share must be in \[0, 1\], got 1.5"),
        (PreferenceChange("a", "b", ONE, weight=math.nan), "weight must be a finite number, got nan"),
        (PreferenceChange("a", "z", ONE), "unknown arm 'z'; known are a, b, c"),
    ):
        with pytest.raises(ValueError, match=message):
            made.update([change])
    assert made.state() == before


@pytest.mark.parametrize("name", ["scale", "prior_precision", "intercept_precision", "noise_variance", "noise_weight"])
def test_a_prior_that_cannot_be_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number > 0, got 0"):
        PreferencePrior(**{name: 0})


def held_as(change: str, value: Any, at: Any) -> tuple[PreferencePosterior, bytes]:
    """Return a posterior with folded comparisons, and its snapshot with one number of an array changed."""
    made = posterior(3, comparisons=20)
    made.update(changes(80, seed=7))
    header, arrays = snapshot.unpack(made.state())
    arrays[change] = arrays[change].copy()
    arrays[change][at] = value
    return made, snapshot.pack(header, arrays)


@pytest.mark.parametrize(
    ("array", "at", "value", "message"),
    [
        ("held", (0, 0), 3, "not of two of its 3 arms"),
        ("held", (0, 0), 0.5, "not of two of its 3 arms"),
        ("pairs", (0, 1), -1, "not of two of its 3 arms"),
        ("held", (0, 2), -1.0, "weight that is not > 0"),
        ("held", (0, 3), 1.5, "share that is none"),
        ("traces", (0, 0), -1.0, "weight that is not > 0"),
        ("pair_a", (0, 0, 0), -1e6, "not positive semidefinite"),
        ("pair_a", (0, 0, 1), 1e3, "not symmetric"),
    ],
)
def test_a_snapshot_of_impossible_comparisons_is_refused_and_changes_nothing(
    array: str, at: Any, value: float, message: str
) -> None:
    made, damaged = held_as(array, value, at)
    before = made.state()
    with pytest.raises(SnapshotError, match=message):
        made.restore(damaged)
    assert made.state() == before


def test_a_snapshot_without_comparisons_or_folded_at_another_scale_is_refused() -> None:
    made = posterior(3, comparisons=20)
    made.update(changes(80, seed=8))
    header, arrays = snapshot.unpack(made.state())
    del arrays["held"]
    with pytest.raises(SnapshotError, match="comparisons have shapes"):
        made.restore(snapshot.pack(header, arrays))
    other = posterior(3, comparisons=20, scale=3.0)
    with pytest.raises(SnapshotError, match=r"folded at scale 6.0, this one is 3.0"):
        other.restore(made.state())


def test_a_smaller_room_takes_a_larger_snapshot_and_folds_at_the_next_comparison() -> None:
    large, small = posterior(3), posterior(3, comparisons=10)
    told = changes(50, seed=9, kinds=("preference",))
    large.update(told[:-1])
    small.restore(large.state())
    for found, wanted in zip(small.coefficients(), large.coefficients(), strict=True):
        assert found.tolist() == wanted.tolist()
    small.update(told[-1:])
    large.update(told[-1:])
    assert small.comparisons_held() == 10
    for one in (small, large):
        one.recompute()
    assert small.coefficients()[0] == pytest.approx(large.coefficients()[0], abs=1e-9)
