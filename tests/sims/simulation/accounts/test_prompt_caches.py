"""What a conversation's turns cost where arms remember what they have read."""

from typing import Any

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context
from highwayman.sims.simulation.accounts.prompt_caches import PromptCaches, cached_amounts
from highwayman.sims.simulation.conversation_turns import ConversationTurns
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter, Switching
from highwayman.sims.simulation.world_spec import parse_world
from highwayman.sims.simulation.worlds.conversations import Conversations
from highwayman.sims.tables.table import FullTable
from tests.sims.simulation.courses import contexts, course

AUTO = Objective("auto", points_per_usd=750.0)  # the dearest arm must be .15 better for its 2 cents more
ONE_TALK = ConversationTurns(
    conversation=np.zeros(4, dtype=np.intp), turn=np.arange(4), growth=1.0, cached_price=0.1, cache_s=100.0
)


def one_talk(*at: float) -> Scenario:
    """A conversation of four turns: dollars double, treble ... what they are at its beginning."""
    calm = course(rounds=4)
    factor = ONE_TALK.growths[:, None]
    return calm.replace(
        at=np.array(at), conversations=ONE_TALK, cost_usd=calm.cost_usd * factor, price_usd=calm.price_usd * factor
    )


def go(policy: Any, scenario: Scenario, **router: Any) -> Run:
    made = SimulatedRouter(**{"objective": AUTO, "rules": ExplorationRules(0.02), **router})
    return simulate(policy, scenario, contexts(), router=made, rng=generator(0, "draws"))


def test_an_arm_reads_at_the_cached_price_what_it_saw_last_and_the_rest_in_full() -> None:
    actions = np.array([2, 2, 0, 2])
    _, saved_usd = cached_amounts(one_talk(0.0, 1.0, 2.0, 3.0), ONE_TALK, AUTO, actions)
    # Of 2, 3 and 4 times 0.021: the large arm has read one turn, then it is the small one's, then two of three.
    assert saved_usd == pytest.approx([0.0, 0.9 * 0.021, 0.0, 2 * 0.9 * 0.021])


def test_a_cache_forgets_and_keeps_what_is_read_again_in_time() -> None:
    actions = np.full(4, 2)
    _, saved_usd = cached_amounts(one_talk(0.0, 90.0, 180.0, 300.0), ONE_TALK, AUTO, actions)
    assert saved_usd == pytest.approx([0.0, 0.9 * 0.021, 2 * 0.9 * 0.021, 0.0])


def test_a_penalty_falls_by_what_the_dollars_saved_are_worth_to_the_caller() -> None:
    saved, _ = cached_amounts(one_talk(0.0, 1.0, 2.0, 3.0), ONE_TALK, AUTO, np.full(4, 2))
    assert saved[1] == pytest.approx([0.0, 0.0, 0.01 * 750.0 * 0.9 * 0.021])
    assert saved[0].tolist() == [0.0, 0.0, 0.0]


def test_a_router_believes_in_a_cache_that_has_forgotten() -> None:
    scenario = one_talk(0.0, 1000.0, 1001.0, 1002.0)
    caches = PromptCaches(scenario, ONE_TALK)
    caches.on_answer(0, 2)
    assert caches.saved_share(1, 2) == 0.0
    carried = caches.switch_penalties(1, np.arange(3), AUTO, served_turns=1.0)
    assert carried[2] == 0.0
    assert carried[0] == carried[1] == pytest.approx(0.01 * 750.0 * 0.9 * 0.021)


def test_a_run_pays_what_its_calls_cost_with_the_caches_it_left() -> None:
    scenario = course(Conversations(), rounds=400)
    assert scenario.conversations is not None
    run = go(Fixed(d=2, arm="large"), scenario, rules=ExplorationRules(0.0))
    saved, saved_usd = cached_amounts(scenario, scenario.conversations, AUTO, run.actions)
    assert run.cost_usd(scenario) == pytest.approx(scenario.cost_usd[:, 2] - saved_usd)
    assert run.penalties == pytest.approx(scenario.penalties(AUTO) - saved)
    assert run.cost_usd(scenario).sum() < 0.8 * scenario.cost_usd[:, 2].sum()


@pytest.mark.parametrize("switching", Switching)
def test_later_turns_are_no_exploration_unless_every_turn_is_drawn(switching: Switching) -> None:
    scenario = course(Conversations(), rounds=300)
    assert scenario.conversations is not None
    run = go(Uniform(d=2), scenario, switching=switching)
    later = scenario.conversations.turn > 0
    assert (run.propensities[~later] < 1.0).all()
    assert (run.propensities[later] == 1.0).all() == (switching is not Switching.UNPRICED)


def test_a_conversation_that_never_switches_keeps_its_first_arm() -> None:
    scenario = course(Conversations(), rounds=300)
    assert scenario.conversations is not None
    run = go(Uniform(d=2), scenario, switching=Switching.NEVER)
    numbers = scenario.conversations.conversation
    assert all(len(set(run.actions[numbers == number])) == 1 for number in np.unique(numbers))
    assert len(set(run.actions)) == 3


def test_a_price_on_switching_earns_more_than_never_and_than_free_switching() -> None:
    rng = np.random.default_rng(0)
    topics = rng.integers(2, size=200)
    quality = np.clip(np.array([[0.9, 0.5, 0.86], [0.4, 0.9, 0.86]])[topics] + rng.normal(0, 0.15, (200, 3)), 0, 1)
    costs = np.tile([0.001, 0.003, 0.01], (200, 1))
    table = FullTable.from_arrays(("a", "b", "large"), quality, tasks=[f"topic {k}" for k in topics], cost_usd=costs)
    sides = [Context(np.array([side, 1.0]), "f", 1) for side in 2.0 * topics - 1 + rng.normal(0, 0.4, 200)]
    objective = Objective("auto", points_per_usd=3_300.0)  # "large" must be .3 better than "a" for its .9 cents more
    earned = {way: [] for way in Switching}
    for seed in range(4):
        scenario = draw_scenario(table, parse_world("Conversations:growth=1.0"), rounds=600, seed=seed)
        for way, values in earned.items():
            router = SimulatedRouter(objective, ExplorationRules(0.02), switching=way)
            run = simulate(LinTS(d=2, fingerprint="f"), scenario, sides, router=router, rng=generator(seed, "draws"))
            values.append(float(run.utility(scenario).mean()))
    priced = np.array(earned[Switching.PRICED])
    for way in (Switching.NEVER, Switching.UNPRICED):
        assert (priced > np.array(earned[way])).all(), way
