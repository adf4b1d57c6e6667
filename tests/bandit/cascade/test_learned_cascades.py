"""Small worlds in which a cascade is worth it: the plan finds it, however the first answers came out."""

import numpy as np

from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.priced_floor import FLOOR_LOSS
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.confidence import Confidence
from highwayman.sims.tables.table import FullTable

ROUNDS, SEEDS = 160, 8


def run(seed: int, *, separation: float) -> Run:
    """A cheap arm that is right in half of the cases for .018 of quality, a dear one that always is for .18."""
    right = np.random.default_rng(seed).random((ROUNDS, 2)) < (0.5, 1.0)
    cost = np.tile([0.018, 0.18], (ROUNDS, 1))
    table = FullTable.from_arrays(("cheap", "dear"), right.astype(np.float64), cost_usd=cost)
    router = SimulatedRouter(
        Objective("auto", 100.0), ExplorationRules(0.02, floor_loss=FLOOR_LOSS), predicts=False, cascade=CascadeRules()
    )
    return simulate(
        HierTS(d=1),
        draw_scenario(table, [Confidence(separation)], rounds=ROUNDS, seed=seed),
        [Context(np.ones(1), "", 10)] * ROUNDS,
        router=router,
        rng=generator(seed, "draws"),
    )


def test_a_cascade_that_is_worth_it_is_begun_whatever_the_first_answers_were_like() -> None:
    begun = [float(run(seed, separation=30.0).probs[-30:, 0].mean()) for seed in range(SEEDS)]
    assert sum(share > 0.5 for share in begun) >= SEEDS - 1  # 11 of 20 stayed with the dear arm once, for good


def test_what_is_tried_where_signals_tell_nothing_ends() -> None:
    done = [run(seed, separation=0.0) for seed in range(3)]
    both = np.mean([each.asked[-60:].all(axis=1).mean() for each in done if each.asked is not None])
    assert both < 0.2
