"""What another price would have done, on decisions made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Mode
from highwayman.feedback.fold.tally import Tally
from highwayman.serving.dashboard.arms.price_preview import Deciders, preview_price
from tests.feedback.worlds import FINGERPRINT, context, decision
from tests.serving.running_router import arm


def deciders(*, points_per_usd: float) -> Deciders:
    policy = LinTS(d=3, fingerprint=FINGERPRINT)
    for name in ("a", "b"):
        policy.add_arm(name)
    objective = Objective("auto", points_per_usd)
    return Deciders(
        policy_for=lambda tenant: policy,
        rules_for=lambda tenant: ExplorationRules(0.02),
        objective_for=lambda decision: objective,
        fingerprint=FINGERPRINT,
    )


def test_a_dearer_arm_loses_share_by_what_its_calls_cost_more_at_the_points_of_a_dollar() -> None:
    arms, decisions = [arm("a"), arm("b")], [replace(decision(f"d{n}"), penalties=np.zeros(2)) for n in range(4)]
    dearer = replace(arms[0], usd_per_mtok_in=3.0, usd_per_mtok_out=3.0)
    preview = preview_price(decisions, arms, dearer, Tally(), deciders=deciders(points_per_usd=50_000.0))
    a, b = preview.arms["a"], preview.arms["b"]
    assert preview.decisions == 4
    assert a.share_before == pytest.approx(2.0, abs=0.05)  # nothing is known of either
    assert a.share_after < 1.5
    assert a.share_after + b.share_after == pytest.approx(4.0)
    assert preview.usd_unmoved == pytest.approx(
        2 * preview.usd_before, rel=0.03
    )  # half of them cost three times as much
    assert preview.usd_before < preview.usd_after < preview.usd_unmoved


def test_at_the_price_in_force_nothing_moves_and_what_cannot_be_decided_again_is_counted() -> None:
    arms, own = [arm("a"), arm("b")], deciders(points_per_usd=1_000.0)
    left_out = [
        decision("forced", mode=Mode.FORCED),
        decision("removed", arms=("a", "gone")),
        decision("older encoder", at=context(fingerprint="other/1")),
    ]
    preview = preview_price([decision("d"), *left_out], arms, arms[0], Tally(), deciders=own)
    assert (preview.decisions, preview.left_out) == (1, 3)
    for effect in preview.arms.values():
        assert effect.share_before == pytest.approx(effect.share_after)
        assert effect.usd_before == pytest.approx(effect.usd_after)
