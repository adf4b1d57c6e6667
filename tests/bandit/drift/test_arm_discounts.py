import json
import math
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.drift.arm_discounts import ArmDiscounts
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.snapshot import pack, unpack
from highwayman.env.errors import SnapshotError
from highwayman.env.types import RewardChange

NOON = 1_790_000_000.0  # in September 2026


def seen(arm: str, at: float) -> RewardChange:
    return RewardChange(arm, np.ones(2), 1.0, 1.0, 1.0, at)


def discounted() -> ArmDiscounts:
    """Return discounts on `a`: half of what came up to noon, and a quarter of what came up to ten seconds later."""
    discounts = ArmDiscounts()
    for second, share in ((0.0, 0.5), (10.0, 0.25)):
        assert discounts.factor(seen("a", NOON + second)) == 1.0
        discounts.add("a", share)
    return discounts


def test_rounds_up_to_the_latest_one_seen_count_for_the_share_and_later_ones_and_other_arms_in_full() -> None:
    discounts = discounted()
    ages = {-3600.0: 0.125, 0.0: 0.125, 1.0: 0.25, 10.0: 0.25, 11.0: 1.0}
    assert {second: discounts.factor(seen("a", NOON + second)) for second in ages} == ages
    assert discounts.factor(seen("b", NOON - 3600.0)) == 1.0
    assert discounts.factor(seen("a", 0.0)) == 1.0, "nobody knows when it was"


def test_a_round_that_comes_late_does_not_put_the_latest_one_back() -> None:
    discounts = ArmDiscounts()
    for second in (5.0, 2.0):
        discounts.factor(seen("a", NOON + second))
    discounts.add("a", 0.5)
    assert discounts.factor(seen("a", NOON + 4.0)) == 0.5


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, math.nan])
def test_a_share_that_is_none_is_refused_and_a_whole_one_is_not(share: float) -> None:
    discounts = ArmDiscounts()
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
        discounts.add("a", share)
    assert len(discounts) == 0
    discounts.add("a", 1.0)
    assert len(discounts) == 1


def test_restored_they_discount_as_before_and_go_on_from_the_latest_round_seen() -> None:
    restored = ArmDiscounts()
    restored.restore(json.loads(json.dumps(discounted().state())))
    assert restored.factor(seen("a", NOON - 1.0)) == 0.125
    restored.add("a", 0.5)
    assert restored.factor(seen("a", NOON + 10.0)) == 0.125


DAMAGED = {
    "nothing": {},
    "no times": {"found": {}},
    "a list": {"found": [], "newest": {}},
    "a share of 0": {"found": {"a": [[NOON, 0.0]]}, "newest": {}},
    "a share of 2": {"found": {"a": [[NOON, 0.5], [NOON, 2.0]]}, "newest": {}},
    "a change at no time": {"found": {"a": [[math.inf, 0.5]]}, "newest": {}},
    "a round at no time": {"found": {}, "newest": {"a": math.nan}},
    "words": {"found": {"a": [["noon", 0.5]]}, "newest": {}},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_state_is_refused_and_changes_nothing_of_a_policys_either(damage: str) -> None:
    discounts, policy = discounted(), LinTS(d=2)
    with pytest.raises(ValueError, match="no doubts"):
        discounts.restore(DAMAGED[damage])
    assert discounts.factor(seen("a", NOON)) == 0.125
    policy.add_arm("a")
    policy.learn([seen("a", NOON)])
    before = policy.state()
    header, arrays = unpack(before)
    damaged: dict[str, Any] = {**header, "doubts": DAMAGED[damage]}
    with pytest.raises(SnapshotError, match="no doubts"):
        policy.restore(pack(damaged, arrays))
    assert policy.state() == before
