import numpy as np

from highwayman.env.types import Context, Decision


def test_a_decision_names_the_arm_its_action_points_at() -> None:
    decision = Decision(
        id="1",
        tenant="t",
        at=0.0,
        context=Context(np.ones(1), "f", 1),
        arms=("a", "b", "c"),
        penalties=np.zeros(3),
        probs=np.array([0.2, 0.3, 0.5]),
        action=1,
        propensity=0.3,
        policy="p",
        policy_version=0,
        objective="auto",
    )
    assert decision.arm == "b"
