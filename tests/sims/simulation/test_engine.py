from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.policy import Policy
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pacer import Pacer
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.simulation.drawing import draw_scenario, generator
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.run import Run
from highwayman.sims.simulation.scenario import Scenario, World
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from highwayman.sims.simulation.worlds.arm_added import ArmAdded
from highwayman.sims.simulation.worlds.arm_removed import ArmRemoved
from highwayman.sims.simulation.worlds.budget import Budget
from highwayman.sims.simulation.worlds.bursts import Bursts
from highwayman.sims.simulation.worlds.delay import Delay
from highwayman.sims.simulation.worlds.missing import Missing
from highwayman.sims.simulation.worlds.quality_drop import QualityDrop
from highwayman.sims.simulation.worlds.thumbs import Thumbs
from highwayman.sims.simulation.worlds.tool_loops import ToolLoops
from highwayman.sims.tables.table import FullTable
from tests.sims.simulation.courses import contexts, course

SPECIALISTS = FullTable.from_arrays(("a", "b"), np.array([[0.9, 0.2], [0.1, 0.8]]))
SIDES = [Context(np.array([side, 1.0]), "f", 1) for side in (-1.0, 1.0)]


class Witness(Uniform):
    """Writes down what happens to it, in order; prefers nothing, or the arm named."""

    def __init__(self, arm: str | None = None) -> None:
        super().__init__(d=2)
        self.arm = arm
        self.seen: list[tuple[str, Any]] = []

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        self.seen.append(("probs", (tuple(arms), penalties.tolist())))
        if self.arm not in arms:
            return super().probs(context, arms, penalties)
        return np.array([float(arm == self.arm) for arm in arms])

    def learn(self, changes: Sequence[RewardChange]) -> None:
        self.seen.extend(("learn", (change.arm, change.weighted)) for change in changes)

    def add_arm(self, name: str) -> None:
        self.seen.append(("add", name))

    def drop_arm(self, name: str) -> None:
        self.seen.append(("drop", name))

    def before(self) -> dict[int, list[tuple[str, Any]]]:
        """Return what happened before each round, but for rounds before which nothing did."""
        found: dict[int, list[tuple[str, Any]]] = {}
        t = 0
        for kind, what in self.seen:
            if kind == "probs":
                t += 1
            else:
                found.setdefault(t, []).append((kind, what))
        return found


def go(policy: Policy, met: Scenario, *, seed: int = 0, **how: Any) -> Run:
    objective, floor = Objective("auto", how.pop("points_per_usd", 750.0)), how.pop("floor", 0.02)
    limits = {"pacer": how.pop("pacer", None), "most_usd": how.pop("most_usd", None)}
    router = SimulatedRouter(objective, ExplorationRules(floor), **limits)
    how = {"router": router, "rng": generator(seed, "draws")} | how
    return simulate(policy, met, SIDES if len(met.arms) == 2 else contexts(), **how)


def specialists(seed: int, *worlds: World, rounds: int = 600, frozen_for: int = 1) -> tuple[Scenario, Run]:
    met = draw_scenario(SPECIALISTS, worlds, rounds=rounds, seed=seed)
    return met, go(LinTS(d=2, fingerprint="f"), met, seed=seed, frozen_for=frozen_for)


def test_a_seed_repeats_a_run() -> None:
    worlds = (Thumbs(rate=0.5), Delay(mean_s=20.0))
    (_, first), (_, again), (_, other) = (specialists(seed, *worlds) for seed in (3, 3, 4))
    assert first.probs.tobytes() == again.probs.tobytes()
    assert first.actions.tolist() == again.actions.tolist() != other.actions.tolist()


@pytest.mark.parametrize("frozen_for", [1, 20])
def test_learning_beats_the_best_fixed_arm_where_arms_are_specialists(frozen_for: int) -> None:
    for seed in range(3):
        met, done = specialists(seed, frozen_for=frozen_for)
        assert done.utility(met)[400:].mean() > done.utilities(met)[400:].mean(axis=0).max() + 0.2


def test_few_thumbs_that_come_late_teach_later_but_they_teach() -> None:
    calm, hard = (specialists(1, *worlds, rounds=1200) for worlds in ((), (Thumbs(rate=0.2), Delay(mean_s=100.0))))
    early = [done.regret(met)[:300].mean() for met, done in (calm, hard)]
    assert early[0] + 0.1 < early[1]
    assert hard[1].regret(hard[0])[1000:].mean() < 0.1


def test_an_arm_that_becomes_worse_loses_its_traffic() -> None:
    met = course(QualityDrop(arm="large", factor=0.1, from_share=0.3), rounds=1500)
    done = go(LinTS(d=2, fingerprint="f"), met, points_per_usd=0.0)
    shares = [(done.actions[part] == 2).mean() for part in (slice(250, 450), slice(1300, 1500))]
    assert shares[0] > 0.8
    assert shares[1] < 0.2


def test_feedback_is_not_learned_before_it_comes_and_comes_in_order() -> None:
    met = course(Delay(mean_s=30.0), Bursts(size=5.0, factor=3.0), rounds=200)
    witness = Witness()
    done = go(witness, met)
    due = met.at + done.taken(met.delay_s)
    expected: dict[int, list[tuple[str, Any]]] = {}
    for answered in np.argsort(due, kind="stable"):
        t = int(np.searchsorted(met.at, due[answered], side="left"))
        if t < met.n:
            k = done.actions[answered]
            expected.setdefault(t, []).append(("learn", (met.arms[k], met.feedback[answered, k])))
    assert {t: happened for t, happened in witness.before().items() if t} == expected
    assert sum(map(len, expected.values())) < 200


def test_feedback_at_once_is_known_in_the_next_round() -> None:
    witness = Witness()
    go(witness, course(rounds=5))
    assert {t: len(happened) for t, happened in witness.before().items()} == {0: 3, 1: 1, 2: 1, 3: 1, 4: 1}


def test_what_nobody_says_is_not_learned() -> None:
    witness = Witness()
    go(witness, course(Missing(rate=0.0), rounds=50))
    assert not [what for kind, what in witness.seen if kind == "learn"]


def test_arms_join_and_leave_before_the_round_in_which_they_do_and_get_no_traffic_while_away() -> None:
    met = course(ArmAdded(arm="small", from_share=0.2), ArmRemoved(arm="large", from_share=0.6), rounds=100)
    witness = Witness("large")
    done = go(witness, met, floor=0.5)
    pool = {
        t: [one for one in happened if one[0] != "learn"]
        for t, happened in witness.before().items()
        if t in {0, 20, 60}
    }
    assert pool == {0: [("add", "middle"), ("add", "large")], 20: [("add", "small")], 60: [("drop", "large")]}
    assert done.probs[~met.available].max() == 0.0
    assert 0 not in done.actions[:20]
    assert 2 not in done.actions[60:]
    assert (done.actions[:60] == 2).mean() > 0.5
    assert {arms for kind, (arms, *_) in witness.seen if kind == "probs"} == {
        ("middle", "large"),
        ("small", "middle", "large"),
        ("small", "middle"),
    }


def test_policies_on_one_course_draw_from_the_same_numbers() -> None:
    met = course(rounds=300)
    one, other = go(Witness("small"), met, floor=0.9), go(Witness("middle"), met, floor=0.9)
    uniforms = generator(0, "draws").random(300)
    for done in (one, other):
        edges = np.cumsum(done.probs, axis=1)
        assert done.actions.tolist() == [
            np.searchsorted(row, u * row[-1], side="right") for row, u in zip(edges, uniforms, strict=True)
        ]
    assert (one.actions == other.actions)[uniforms > 0.7].all()


class Many(Witness):
    """A policy whose probabilities follow the features, and that can be asked for many at once."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return self.probs_many(context.features[None], arms, penalties[None])[0]

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        self.seen.extend(("probs", arms) for _ in features)
        raised = np.exp(features[:, :1] * np.arange(len(arms)) - penalties)
        return raised / raised.sum(axis=1, keepdims=True)


class OneByOne(Many):
    """The same policy without the way to ask for many at once."""

    probs_many = None  # type: ignore[assignment]

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return Many.probs_many(self, context.features[None], arms, penalties[None])[0]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 40), st.floats(0.0, 1.0))
def test_blocks_decide_and_teach_as_single_rounds_do(seed: int, frozen_for: int, from_share: float) -> None:
    worlds = (Thumbs(rate=0.5), Delay(mean_s=5.0), ArmAdded(arm="middle", from_share=from_share))
    met = course(*worlds, rounds=60, seed=seed)
    policies = Many(), OneByOne()
    in_blocks, alone = (go(policy, met, seed=seed, frozen_for=frozen_for) for policy in policies)
    assert in_blocks.actions.tolist() == alone.actions.tolist()
    assert np.array_equal(in_blocks.probs, alone.probs)
    assert np.array_equal(in_blocks.propensities, alone.propensities)
    assert policies[0].before() == policies[1].before()
    lessons = {t for t, happened in policies[0].before().items() if "learn" in dict(happened)}
    assert all(t % frozen_for == 0 for t in lessons)


def test_a_run_knows_what_it_was_truly_worth() -> None:
    met = course(Thumbs(rate=0.5, flip=0.3), ArmRemoved(arm="large", from_share=0.5), rounds=400)
    done = go(Uniform(d=2), met)
    rounds = np.arange(400)
    assert (
        done.utility(met).tolist()
        == (met.quality - met.penalties(Objective("auto", 750.0)))[rounds, done.actions].tolist()
    )
    assert done.cost_usd(met).tolist() == met.cost_usd[rounds, done.actions].tolist()
    assert done.regret(met).min() >= 0.0
    assert (done.utility(met) == done.best_utility(met)).mean() > 0.25
    expected = (done.probs * done.utilities(met)).sum(axis=1)
    assert expected[:200] == pytest.approx(done.utilities(met)[:200].mean(axis=1))
    assert expected[200:] == pytest.approx(done.utilities(met)[200:, :2].mean(axis=1))


def test_a_run_is_a_log_that_could_have_happened() -> None:
    met = course(Thumbs(rate=0.3), ArmAdded(arm="small"), rounds=200)
    done = go(LinTS(d=2, fingerprint="f"), met)
    log = done.logged(met, contexts())
    log.check()
    assert np.isnan(log.rewards).mean() == pytest.approx(0.7, abs=0.1)
    assert np.array_equal(log.eligible, met.available)
    assert log.contexts[:, 0] == pytest.approx(np.sin(met.rows))
    assert log.sessions.tolist() == met.rows.tolist()
    assert log.encoder == "f"


def test_a_budget_is_held_and_its_pressure_is_no_cost_of_the_objective() -> None:
    met = course(Budget(share=0.3), rounds=1200)
    assert met.budget_usd is not None
    done = go(Witness("large"), met, points_per_usd=0.0, pacer=Pacer(met.budget_usd, hard=False))
    free = go(Witness("large"), met.replace(budget_usd=None), points_per_usd=0.0)
    eager = go(LinTS(d=2, fingerprint="f"), met, points_per_usd=0.0)
    assert free.cost_usd(met).mean() > 2 * met.budget_usd
    assert eager.cost_usd(met)[200:].mean() == pytest.approx(met.budget_usd, rel=0.1)
    assert eager.cost_usd(met)[200:].mean() < 1.01 * met.budget_usd
    assert eager.utility(met).tolist() == eager.quality(met).tolist()
    assert eager.pressures.max() > 0.1
    assert done.pressures[-1, 2] > 10.0  # a policy that will not listen is not stopped by pressure alone
    log = eager.logged(met, contexts())
    assert log.penalties == pytest.approx(eager.pressures)


def test_a_hard_budget_stops_even_a_policy_that_does_not_listen() -> None:
    met = course(rounds=600)
    done = go(Witness("large"), met, pacer=Pacer(0.004, hard=True))
    means = done.cost_usd(met).cumsum() / np.arange(1, 601)
    assert means.max() <= 0.004 * (1 + 1e-9)
    assert means[-1] > 0.003  # room is kept for a call that costs more than was expected of it
    done.logged(met, contexts()).check()


@pytest.mark.parametrize("latency_s", [0.0, 9.5])
def test_a_hard_budget_that_knows_what_calls_can_cost_at_most_is_never_overspent_in_any_window(
    latency_s: float,
) -> None:
    met = course(rounds=1500)
    dear = (np.arange(1500) % 600) // 40 == 14  # a stretch in which the dear arm's calls cost forty times as much
    costs = met.cost_usd * np.where(dear[:, np.newaxis], [1.0, 1.0, 40.0], 1.0)
    met = met.replace(cost_usd=costs, latency_s=np.full((1500, 3), latency_s))
    ceiling, worst = 0.004, []
    for most_usd in (None, costs.max(axis=0)):
        spent = go(Witness("large"), met, pacer=Pacer(ceiling), most_usd=most_usd).cost_usd(met)
        worst.append(np.convolve(spent, np.ones(500) / 500, mode="valid").max() / ceiling)
        assert spent.mean() > 0.5 * ceiling
    assert worst[0] > 1.01, "or it is no test: what was met so far is no bound"
    assert worst[1] <= 1.0 + 1e-9


def test_a_call_is_charged_when_it_ends() -> None:
    met = course(rounds=50).replace(latency_s=np.full((50, 3), 9.5))
    done = go(Witness("large"), met, pacer=Pacer(0.004, hard=False))
    pressures = done.pressures[:, 2]
    assert len(set(pressures[:10])) == 1
    assert (np.diff(pressures[9:15]) > 0).all()


def test_what_cannot_run_is_refused() -> None:
    met = course(rounds=50)
    router = SimulatedRouter(Objective("auto", 0.0), ExplorationRules(0.02))
    with pytest.raises(ValueError, match="frozen_for must be >= 1, got 0"):
        go(Uniform(d=2), met, frozen_for=0)
    with pytest.raises(ValueError, match=r"the scenario asks for prompt 39, contexts has 2"):
        simulate(Uniform(d=2), met, SIDES, router=router, rng=generator(0, "draws"))


def simulated(scenario: Scenario, policy: Policy, **router: Any) -> Run:
    made = SimulatedRouter(**{"objective": Objective("auto", 0.0), "rules": ExplorationRules(0.1), **router})
    return simulate(policy, scenario, contexts(), router=made, rng=generator(0, "draws"))


def test_in_a_tool_loop_nothing_is_tried_out() -> None:
    scenario = course(ToolLoops(share=0.5), rounds=200)
    run = simulated(scenario, Witness("middle"))
    in_loop = np.array([scenario.in_a_tool_loop(t) for t in range(200)])
    assert (run.propensities[in_loop] == 1.0).all()
    assert (run.probs[~in_loop] > 0).all()


def test_a_cap_on_exploration_holds_over_the_run() -> None:
    scenario, cap = course(rounds=300), ExplorationCap(usd_per_day=0.0)
    run = simulated(scenario, Witness("small"), rules=ExplorationRules(0.1, cap=cap))
    assert (run.propensities == 1.0).all(), "the other arms cost more"
    free = simulated(scenario, Witness("large"), rules=ExplorationRules(0.1, cap=cap))
    assert (free.probs > 0).all(), "and less than this one"


def test_an_arm_on_probation_has_its_quota_until_it_has_cost_what_it_may() -> None:
    quota = ProbationQuota(share=0.5, max_usd=1.0)  # a call to large costs 0.021, and takes no time
    run = simulated(course(rounds=400), Witness("small"), rules=ExplorationRules(0.0, quota), probation=["large"])
    on_trial = run.probs[:, 2] == 0.5
    calls = np.cumsum(run.actions == 2)
    assert on_trial[0]
    assert not on_trial[-1]
    assert calls[-1] == 48, "the 48th call takes it above a dollar"
    assert (run.probs[~on_trial, 2] == 0.0).all()


def test_latency_and_energy_count_as_the_router_counts_them() -> None:
    quality = np.full((30, 2), 0.5)
    table = FullTable.from_arrays(
        ("slow", "hungry"), quality, latency_s=np.tile([8.0, 1.0], (30, 1)), wh=np.tile([0.1, 0.8], (30, 1))
    )
    scenario = draw_scenario(table, [], rounds=50, seed=0)
    assert scenario.penalties(Objective("auto", 0.0, points_per_s=2.0))[0] == pytest.approx([0.16, 0.02])
    assert scenario.penalties(Objective("auto", 0.0, points_per_wh=10.0))[0] == pytest.approx([0.01, 0.08])
    both = Objective("auto", 0.0, points_per_s=2.0, points_per_wh=10.0)
    assert scenario.penalties(both)[-1] == pytest.approx([0.17, 0.10])


def test_arms_that_fall_short_of_the_quality_asked_for_are_not_drawn() -> None:
    scenario = course(rounds=2000)
    run = simulated(scenario, LinTS(d=2, fingerprint="f"), objective=Objective("auto", 0.0, min_quality=0.7))
    assert (run.probs[1000:, 0] == 0.0).all()
    assert (run.probs[1000:, 2] > 0.0).all()


def test_what_a_call_costs_is_predicted_by_prompt_and_a_price_on_dollars_is_put_on_that() -> None:
    """Two prompts, on which the large arm is a tenth better and costs little, or more than that is worth."""
    rows = np.arange(400) % 2
    quality, cost = np.tile([0.5, 0.6], (400, 1)), np.where(rows[:, None] == 0, [0.0001, 0.002], [0.0001, 0.04])
    table = FullTable.from_arrays(("small", "large"), quality[:2], cost_usd=cost[:2])
    calm = draw_scenario(table, [], rounds=400, seed=0)
    scenario = calm.replace(rows=rows, quality=quality, feedback=quality, cost_usd=cost)
    chosen = {}
    for predicts in (False, True):
        router = SimulatedRouter(Objective("auto", 700.0), ExplorationRules(0.02), predicts=predicts)
        run = simulate(LinTS(d=2, fingerprint="f"), scenario, SIDES, router=router, rng=generator(0, "draws"))
        late = np.arange(400) >= 200
        chosen[predicts] = [run.actions[late & (rows == row)].mean() for row in (0, 1)]
        assert run.logged(scenario, SIDES).penalties[-2:].max() > 0.0
    assert chosen[False][0] < 0.3  # 0.021 dollars on average are too dear
    assert chosen[True][0] > 0.9
    assert chosen[True][1] < 0.1
