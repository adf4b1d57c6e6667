import pytest

from highwayman.env.cost.objective import Objective
from highwayman.sims.simulation.worlds.arm_added import ArmAdded
from tests.sims.simulation.courses import course


def test_the_arm_is_not_there_before() -> None:
    met = course(ArmAdded(arm="large", from_share=0.3), rounds=10)
    assert met.available[:, 2].tolist() == [False] * 3 + [True] * 7
    assert met.available[:, :2].all()


def test_a_dear_arm_that_joins_leaves_the_penalties_of_the_others_alone() -> None:
    penalties = course(ArmAdded(arm="large", from_share=0.5), rounds=10).penalties(Objective("auto", 1_000.0))
    assert penalties[4] == pytest.approx([0.01, 0.03, 0.0])
    assert penalties[5] == pytest.approx([0.01, 0.03, 0.21])


def test_a_share_beyond_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="from_share"):
        ArmAdded(from_share=1.5)
