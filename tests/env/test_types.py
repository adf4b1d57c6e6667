from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from highwayman.env.types import Arm, Context, Decision


def arm(usd_in: float | None, usd_out: float | None) -> Arm:
    return Arm("a", ("http://h:1",), "m", usd_in, usd_out, 4096)


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


@pytest.mark.parametrize(
    ("usd_in", "usd_out", "priced"),
    [(0.5, 1.5, True), (0.0, 0.0, True), (0.5, None, False), (None, 1.5, False), (None, None, False)],
)
def test_an_arm_is_priced_once_both_prices_are_known_be_they_zero(
    usd_in: float | None, usd_out: float | None, priced: bool
) -> None:
    assert arm(usd_in, usd_out).has_price is priced


def test_values_cannot_be_changed_in_passing() -> None:
    with pytest.raises(FrozenInstanceError):
        arm(1.0, 1.0).name = "b"  # type: ignore[misc]
