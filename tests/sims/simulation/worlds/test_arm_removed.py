import pytest

from highwayman.sims.simulation.scenario import WorldError
from highwayman.sims.simulation.worlds.arm_added import ArmAdded
from highwayman.sims.simulation.worlds.arm_removed import ArmRemoved
from tests.sims.simulation.courses import course


def test_the_arm_is_gone_for_that_part_of_the_run() -> None:
    met = course(ArmRemoved(arm="best", from_share=0.3, until_share=0.6), rounds=10)
    assert met.available[:, 2].tolist() == [True] * 3 + [False] * 3 + [True] * 4


def test_a_pool_without_any_arm_is_refused() -> None:
    worlds = [ArmAdded(arm="small"), ArmAdded(arm="middle"), ArmRemoved(arm="large", from_share=0.4)]
    with pytest.raises(WorldError, match="no arm is left in the pool in round 4"):
        course(*worlds, rounds=10)


def test_a_stretch_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="from_share must be less than until_share"):
        ArmRemoved(from_share=0.5, until_share=0.4)
