"""Cascades beside plain routing, on one table: what they are called, what they come to, and what they cannot be."""

import numpy as np
import pytest

from highwayman.bandit.cascade.plan import CascadeRules, Threshold
from highwayman.env.errors import ConfigError
from highwayman.sims.simulation.cascade_spec import cascade_rules
from highwayman.sims.simulation.scenario import WorldError
from tests.sims.sweeps.small import COSTS, plan, prepared, swept

SURE = "Confidence:separation=20"


def test_a_gate_is_learned_or_begins_with_the_cheapest_or_is_a_threshold() -> None:
    own = CascadeRules(max_stages=3, floor=0.1)
    assert cascade_rules("learned", own) == own
    assert cascade_rules("cheapest", own) == CascadeRules(max_stages=3, floor=0.1, begin_with_cheapest=True)
    assert cascade_rules("verified:0.6", own).threshold == Threshold("verified", 0.6)
    for wrong in ("learnt", "verified:much", ":0.6", "0.6"):
        with pytest.raises(ConfigError, match=r"SIGNAL:NUMBER"):
            cascade_rules(wrong, own)


def test_every_policy_runs_without_and_with_each_cascade_on_the_same_scenarios() -> None:
    by = plan("Fixed:arm=small", cascades=("cheapest", "verified:0.5"), worlds=(SURE,), floor=0.0, rounds=200)
    runs = {(run.policy, run.seed): run for run in swept(by).runs if run.kind == "policy"}
    assert {name for name, _ in runs} == {
        "Fixed:arm=small",
        "Fixed:arm=small | cascade cheapest",
        "Fixed:arm=small | cascade verified:0.5",
    }
    for seed in range(2):
        alone, threshold = runs["Fixed:arm=small", seed], runs["Fixed:arm=small | cascade verified:0.5", seed]
        # Half of the prompts are code, on which small is bad, and middle, asked then, is good.
        assert (alone.quality, threshold.quality) == pytest.approx((0.525, 0.85), abs=0.08)
        assert threshold.cost_usd == pytest.approx(COSTS[0] + 0.5 * COSTS[1], rel=0.15)
        assert threshold.value - alone.value == pytest.approx(alone.regret_fixed - threshold.regret_fixed)
        assert np.isfinite(threshold.ies)


def test_where_answers_tell_nothing_a_cascade_is_refused_with_what_would_help() -> None:
    for world, gate, why in (("calm", "learned", "add a signal"), (SURE, "margin:1", "told are verified, and good")):
        with pytest.raises(WorldError, match=why):
            swept(plan("LinTS", cascades=(gate,), worlds=(world,)), prepared())
