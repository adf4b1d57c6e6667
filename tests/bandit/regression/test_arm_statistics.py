import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.hier_posterior import HierPosterior
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import RewardChange

X = np.array([0.5, 1.0])


def change(arm: str, value: float, x: np.ndarray = X) -> RewardChange:
    return RewardChange(arm, x, 1.0, value, value**2)


def stream(n: int, seed: int) -> list[RewardChange]:
    rng = np.random.default_rng(seed)
    return [change("abc"[rng.integers(3)], float(rng.random()), np.append(rng.normal(), 1.0)) for _ in range(n)]


def test_one_round_adds_its_moments() -> None:
    sums = ArmStatistics(2)
    sums.add_arm("a")
    sums.add(0, change("a", 0.5), factor=2.0)
    assert sums.a[0].tolist() == [[0.5, 1.0], [1.0, 2.0]]
    assert sums.b[0].tolist() == [0.5, 1.0]
    assert sums.sums[0].tolist() == [2.0, 0.5]


@pytest.mark.parametrize("kind", [LinearPosterior, HierPosterior])
@given(seed=st.integers(0, 100), cut=st.integers(0, 60))
def test_two_shards_merged_equal_the_whole_stream(kind: type, seed: int, cut: int) -> None:
    whole, first, second = (kind(d=2) for _ in range(3))
    for one, arms in ((whole, "abc"), (first, "abc"), (second, "cab")):
        for arm in arms:
            one.add_arm(arm)
    changes = stream(60, seed)
    whole.update(changes)
    first.update(changes[:cut])
    second.update(changes[cut:])
    first.merge(second)
    whole.recompute()
    for found, wanted in zip(first.mean_and_std(X, "abc"), whole.mean_and_std(X, "abc"), strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)
    assert first.noise_variance() == pytest.approx(whole.noise_variance(), abs=1e-9)


def test_what_is_lent_has_the_weight_that_was_stated() -> None:
    sums = ArmStatistics(2)
    for arm in "ab":
        sums.add_arm(arm)
    for value in (0.0, 1.0, 1.0, 1.0):
        sums.add(0, change("a", value))
    sums.warm_start("a", "b", weight=2.0)
    assert sums.sums[1].tolist() == pytest.approx([2.0, 1.5])
    assert sums.b[1] / sums.sums[1, 0] == pytest.approx(sums.b[0] / sums.sums[0, 0])
    with pytest.raises(ValueError, match="weight must be > 0, got 0"):
        sums.warm_start("a", "b", weight=0)


@pytest.mark.parametrize("arms", ["abc", "ab", "bc", "cba", "ac", "b"])
def test_what_is_selected_are_the_arms_asked_for_in_their_order(arms: str) -> None:
    sums = ArmStatistics(2)
    for place, arm in enumerate("abc"):
        sums.add_arm(arm)
        sums.add(place, change(arm, 1.0), factor=place + 1.0)
    assert sums.sums[sums.select(tuple(arms)), 0].tolist() == ["abc".index(arm) + 1.0 for arm in arms]


def test_an_unknown_arm_and_features_of_another_length_are_named() -> None:
    sums = ArmStatistics(2)
    sums.add_arm("a")
    with pytest.raises(ValueError, match="unknown arm 'z'; known are a"):
        sums.row("z")
    with pytest.raises(ValueError, match=r"features must have shape \(2,\), got \(3,\)"):
        sums.add(0, change("a", 1.0, np.ones(3)))


def test_a_matrix_that_is_not_symmetric_is_refused() -> None:
    sums = ArmStatistics(2)
    sums.add_arm("a")
    arrays = sums.arrays() | {"a": np.array([[[1.0, 0.5], [0.0, 1.0]]])}
    header = {"kind": "k", "d": 2, "fingerprint": "", "arms": ["a"]}
    with pytest.raises(SnapshotError, match="not symmetric"):
        ArmStatistics.from_snapshot(header, arrays, kind="k", d=2, fingerprint="")


def test_of_rounds_that_fade_the_squared_weights_are_summed_too_scaled_twice_and_lent_as_they_are() -> None:
    sums = ArmStatistics(2, fades=True)
    for arm in "ab":
        sums.add_arm(arm)
    sums.add(0, change("a", 0.5), factor=0.5)  # x x^T is ((1/4, 1/2), (1/2, 1))
    sums.scale(0.5)
    assert sums.squared_weight_sums is not None
    assert sums.a[0].tolist() == [[0.0625, 0.125], [0.125, 0.25]]
    assert sums.squared_weight_sums[0].tolist() == [[0.015625, 0.03125], [0.03125, 0.0625]]
    sums.warm_start("a", "b", weight=0.125)
    assert sums.squared_weight_sums[1].tolist() == (sums.squared_weight_sums[0] / 2).tolist()
    sums.add_evidence("b", np.eye(2), np.zeros(2), np.zeros(2))
    assert (sums.squared_weight_sums[1] - sums.squared_weight_sums[0] / 2).tolist() == np.eye(2).tolist()


@given(st.integers(0, 100), st.booleans())
def test_sums_survive_their_arrays(seed: int, fades: bool) -> None:
    sums = ArmStatistics(2, fades=fades)
    for arm in "abc":
        sums.add_arm(arm)
    for number, each in enumerate(stream(20, seed)):
        sums.add(sums.checked_row(each), each, factor=1.1**number)
    header = {"kind": "k", "d": 2, "fingerprint": "", "arms": list(sums.arms)}
    again = ArmStatistics.from_snapshot(header, sums.arrays(), kind="k", d=2, fingerprint="", fades=fades)
    assert again.arms == sums.arms
    assert {name: array.tolist() for name, array in again.arrays().items()} == {
        name: array.tolist() for name, array in sums.arrays().items()
    }


def test_shards_of_other_features_are_not_merged() -> None:
    with pytest.raises(ValueError, match="sums of 3 features do not go with sums of 2"):
        ArmStatistics(2).merge(ArmStatistics(3))
