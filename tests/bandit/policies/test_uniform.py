import numpy as np
import pytest

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, RewardChange


def test_every_arm_has_the_same_share_whatever_was_learned_and_whatever_it_costs() -> None:
    policy = Uniform(d=1)
    policy.learn([RewardChange("a", np.ones(1), 1.0, 1.0, 1.0)])
    probs = policy.probs(Context(np.ones(1), "f", 1), ["a", "b", "c", "d"], np.array([0.0, 1.0, 2.0, 3.0]))
    assert probs.tolist() == [0.25] * 4


def test_the_snapshot_of_another_policy_is_refused() -> None:
    with pytest.raises(SnapshotError, match="wanted uniform"):
        Uniform(d=1).restore(LinTS(d=1).state())
