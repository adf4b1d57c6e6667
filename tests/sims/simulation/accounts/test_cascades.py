"""What is known of answers that tell whether they are good: the plan's behaviour and what it teaches."""

import numpy as np
import pytest

from highwayman.bandit.cascade.plan import CascadeRules, Threshold
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.confidence import Confidence
from highwayman.sims.tables.table import FullTable

RATE = 10_000.0  # points of quality per dollar: a call to the dear arm costs .2, one to the cheap arm .01
COSTS = np.array([0.0001, 0.002])


def world(separation: float, *, rounds: int = 2_500) -> Scenario:
    """Return rounds in which the cheap arm is right in 60%, the dear one in 90%, whether or not the other is."""
    rng = np.random.default_rng(7)
    quality = (rng.random((rounds, 2)) < (0.6, 0.9)).astype(np.float64)
    table = FullTable.from_arrays(("cheap", "dear"), quality, cost_usd=np.broadcast_to(COSTS, quality.shape).copy())
    return draw_scenario(table, [Confidence(separation)], rounds=rounds, seed=0)


def run(scenario: Scenario, rules: CascadeRules | None) -> Run:
    router = SimulatedRouter(
        Objective("auto", RATE), ExplorationRules(0.02, floor_loss=0.0005), predicts=False, cascade=rules
    )
    contexts = [Context(np.array([1.0]), "f", 1)] * scenario.n
    return simulate(HierTS(d=1, fingerprint="f"), scenario, contexts, router=router, rng=generator(0, "draws"))


def test_where_answers_tell_nothing_the_plan_routes_as_it_would_alone() -> None:
    scenario = world(0.0)
    plan, routes = run(scenario, CascadeRules()), run(scenario, None)
    assert plan.asked is not None
    assert plan.asked.sum(axis=1).mean() < 1.03
    assert plan.utility(scenario).mean() == pytest.approx(routes.utility(scenario).mean(), abs=0.015)


def test_where_answers_tell_all_the_cheap_arm_is_asked_first_and_the_dear_one_when_it_fails() -> None:
    scenario = world(20.0)
    late = slice(1_000, None)
    done = run(scenario, CascadeRules())
    assert done.asked is not None
    assert done.served is not None
    # .6 + .4 * .9 - .01 - .4 * .2 = .87; the dear arm alone is worth .7
    assert done.utility(scenario)[late].mean() == pytest.approx(0.87, abs=0.03)
    assert run(scenario, None).utility(scenario)[late].mean() < 0.75
    both = done.asked.all(axis=1)[late]
    assert both.mean() == pytest.approx(0.4, abs=0.05)
    assert done.cost_usd(scenario)[late][both] == pytest.approx(COSTS.sum())
    assert (scenario.quality[late, 0][done.served[late] == 0] == 1.0).mean() > 0.97


def test_a_fixed_threshold_begins_with_the_cheapest_arm_and_needs_nothing_learned() -> None:
    scenario = world(20.0, rounds=300)
    done = run(scenario, CascadeRules(floor=0.0, threshold=Threshold("verified", 0.5)))
    assert done.asked is not None
    begun = done.actions == 0
    assert begun.mean() > 0.98
    assert np.array_equal(done.asked[begun, 1], scenario.signals["verified"][begun, 0] < 0.5)


def test_a_run_with_cascades_is_not_taken_for_a_bandit_log() -> None:
    scenario = world(1.0, rounds=50)
    with pytest.raises(ValueError, match="no bandit log"):
        run(scenario, CascadeRules()).logged(scenario, [Context(np.array([1.0]), "f", 1)] * scenario.n)
