import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.models.replay_buffer import FEATURES, PLACE, WEIGHT, BufferUpdate, ReplayBuffer
from highwayman.env.types import Floats, RewardChange

X, Y = np.array([0.5, 1.0]), np.array([-0.5, 1.0])


def said(quality: float, *, x: Floats = X, weight: float = 1.0, at: float = 0.0) -> RewardChange:
    return RewardChange("a", x, weight, weight * quality, weight * quality**2, at)


def taken_back(quality: float, *, x: Floats = X, weight: float = 1.0, at: float = 0.0) -> RewardChange:
    return said(quality, x=x, weight=-weight, at=at)


def buffer(*changes: RewardChange) -> ReplayBuffer:
    held = ReplayBuffer(d=2)
    for change in changes:
        held.apply(0, change)
    return held


def test_rounds_come_in_the_order_in_which_they_were_heard_of() -> None:
    held = buffer(said(1.0), said(0.25, x=Y), said(0.5))
    assert held.table().tolist() == [
        [0, 0, 1, 1, 1, 0.5, 1],
        [0, 0, 1, 0.25, 0.0625, -0.5, 1],
        [0, 0, 1, 0.5, 0.25, 0.5, 1],
    ]


def test_a_change_finds_its_round_by_arm_context_and_time() -> None:
    held = buffer(said(1.0, at=1), said(1.0, at=2), said(1.0, x=Y, at=1))
    assert held.apply(0, RewardChange("a", X, 0.0, -1.0, -1.0, 1.0)) is BufferUpdate.CHANGED
    assert held.table()[:, 3].tolist() == [0.0, 1.0, 1.0]
    assert held.apply(1, RewardChange("b", X, 0.0, -1.0, -1.0, 2.0)) is BufferUpdate.FORGOTTEN
    assert held.apply(0, RewardChange("a", X, 0.0, -1.0, -1.0, 3.0)) is BufferUpdate.FORGOTTEN


def test_more_said_of_the_same_answer_is_a_change_of_its_round() -> None:
    held = buffer(said(1.0, at=7))
    assert held.apply(0, said(0.0, weight=0.5, at=7)) is BufferUpdate.CHANGED
    assert held.table()[:, WEIGHT:FEATURES].tolist() == [[1.5, 1.0, 1.0]]


def test_without_a_time_feedback_with_weight_is_a_round_of_its_own() -> None:
    held = buffer(said(1.0))
    assert held.apply(0, said(1.0)) is BufferUpdate.NEW
    assert len(held) == 2


def test_a_flip_goes_to_a_round_that_can_be_flipped() -> None:
    held = buffer(said(0.0), said(1.0))
    held.apply(0, RewardChange("a", X, 0.0, 1.0, 1.0))  # the newer one would be at 2
    assert held.table()[:, 3].tolist() == [1.0, 1.0]


def test_a_round_taken_back_is_gone() -> None:
    held = buffer(said(1.0), said(0.25, x=Y))
    assert held.apply(0, taken_back(1.0)) is BufferUpdate.CHANGED
    assert held.table().tolist() == buffer(said(0.25, x=Y)).table().tolist()


def test_what_only_two_rounds_together_have_is_taken_from_both() -> None:
    held = buffer(said(1.0), said(0.0, weight=0.5))
    assert held.apply(0, RewardChange("a", X, -1.5, -1.0, -1.0)) is BufferUpdate.CHANGED
    assert len(held) == 0


def test_more_than_is_held_cannot_be_taken_back() -> None:
    held = buffer(said(1.0))
    assert held.apply(0, taken_back(1.0, weight=2.0)) is BufferUpdate.FORGOTTEN
    assert len(held) == 1


def test_the_oldest_are_taken_first_and_a_change_of_them_is_not_heard() -> None:
    held = buffer(*[said(1.0, x=np.array([n, 1.0]), at=n) for n in range(1, 6)])
    assert [row[FEATURES] for row in held.pop_oldest(2)] == [1.0, 2.0]
    assert held.apply(0, taken_back(1.0, x=np.array([2.0, 1.0]), at=2)) is BufferUpdate.FORGOTTEN
    assert held.apply(0, taken_back(1.0, x=np.array([3.0, 1.0]), at=3)) is BufferUpdate.CHANGED
    assert held.pop_oldest(-1) == []
    assert len(held) == 2


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"features must have shape \(2,\), got \(3,\)"):
        buffer(said(1.0, x=np.ones(3)))


@pytest.mark.parametrize("column", [PLACE, WEIGHT])
def test_rounds_that_cannot_be_are_refused(column: int) -> None:
    arrays = {name: values.copy() for name, values in buffer(said(1.0)).arrays().items()}
    arrays["rounds"][0, column] = -1.0
    with pytest.raises(ValueError, match="rounds of weight 0 or of other arms"):
        ReplayBuffer.from_arrays(arrays, d=2, arms=1)
    with pytest.raises(ValueError, match="are not of 3 features"):
        ReplayBuffer.from_arrays(arrays, d=3, arms=1)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, -0.5, 0.1]), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0])), max_size=20
    )
)
def test_whatever_is_held_survives_as_arrays(rounds: list[tuple[float, int, float]]) -> None:
    held = buffer(*[said(quality, x=np.array([x, 1.0]), at=at) for x, at, quality in rounds])
    again = ReplayBuffer.from_arrays(held.arrays(), d=2, arms=1)
    assert again.table().tolist() == held.table().tolist()  # 0.1 has no single precision
    changes = [taken_back(row[3] / row[2], x=row[FEATURES:], weight=row[2], at=row[1]) for row in held]
    assert all(again.apply(0, change) is BufferUpdate.CHANGED for change in changes)
    assert len(again) == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_what_is_held_weighs_what_was_said_and_not_taken_back(steps: list[tuple[int, bool]]) -> None:
    held, standing = ReplayBuffer(d=2), [0, 0, 0]
    for which, give in steps:
        x = np.array([which, 1.0])
        if give:
            held.apply(0, said(1.0, x=x))
            standing[which] += 1
        else:
            heard = held.apply(0, taken_back(1.0, x=x))
            assert heard is (BufferUpdate.CHANGED if standing[which] else BufferUpdate.FORGOTTEN)
            standing[which] = max(standing[which] - 1, 0)
    assert len(held) == sum(standing)
