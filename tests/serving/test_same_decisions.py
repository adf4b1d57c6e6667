"""A running router and the simulator, given the same contexts, prices, learned state and seed, decide the same bits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import redis.asyncio as aioredis

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policy import Policy
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.cost.penalties import estimate_usage
from highwayman.env.types import DEFAULT_TENANT, NO_EXPLORATION, Arm, ArmState, Decision
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.store import Store
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.pool_objectives import PoolObjectives
from highwayman.sims.simulation.engine import simulate
from highwayman.sims.simulation.scenario import Scenario
from highwayman.sims.simulation.simulated_router import SimulatedRouter
from tests.serving.running_router import ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
SEED = 11
LEARNED, DECIDED = 30, 35  # requests
CONFIG: dict[str, Any] = {
    "policy": {"floor": 0.05, "floor_loss": 0.002},
    "exploration": {"usd_per_day": 1e-4, "regret_per_request": 0.05},
    "trial": {"share": 0.1},
    "latency_weight": 0.1,
    "energy_weight": 0.07,
}
EVEN: dict[str, Any] = {**CONFIG, "policy": {"floor": 0.05}}
WITHOUT_CAPS: dict[str, Any] = {"policy": {"floor": 0.05, "floor_loss": 0.001}, "trial": {"share": 0.1}}
TOOL_LOOP = [
    {"role": "user", "content": "What is the weather in Berlin?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "w"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "18 degrees"},
]


def pool(url: str) -> list[Arm]:
    return [
        Arm("small", (url,), "s", 0.1, 0.2, 4096, wh_per_mtok=10.0),
        Arm("new", (url,), "n", 0.5, 0.5, 4096, wh_per_mtok=30.0, state=ArmState.PROBATION),
        Arm("large", (url,), "l", 2.0, 4.0, 4096, wh_per_mtok=90.0),
    ]


def question(number: int) -> dict[str, Any]:
    if number % 7 == 3:
        return {"model": "auto", "messages": TOOL_LOOP}
    kind = ("Say whether this review is good: the film was dull.", "What is the capital of France?")[number % 2]
    return ask(f"{kind} {'Think of it. ' * (number % 5)}{number}")


@dataclass(frozen=True, slots=True)
class Played:
    """What a router that does not learn decided, and all that it knew."""

    arms: Sequence[Arm]
    config: Config
    policy: Policy
    tally: Tally
    decisions: list[Decision]


async def play(url: str, client: aioredis.Redis, namespace: str, config: dict[str, Any], least: str | None) -> Played:
    """Teach a router with thumbs, down for the small arm alone; then have one decide that learns nothing."""
    headers = {} if least is None else {"x-highwayman-min-quality": least}
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, *(Say("Yes.", tokens_in=20, tokens_out=9) for _ in range(LEARNED + DECIDED)))
        arms = pool(upstream.url)
        async with running_router(arms, url, namespace, config=config) as router:
            for number in range(LEARNED):
                _, _, told = await router.post(CHAT, question(number))
                thumb = {"decision_id": told["x-highwayman-decision"], "metric": "thumbs"}
                await router.post("/v1/feedback", {**thumb, "value": told["x-highwayman-arm"] != "small"})
            async with asyncio.timeout(10):
                while sum(arm["feedback"] for arm in (await router.get("/v1/policy"))[1]["arms"].values()) < LEARNED:
                    await asyncio.sleep(0.02)
        async with running_router(arms, url, namespace, config=config, seed=SEED, learn=False) as router:
            names = []
            for number in range(DECIDED):
                async with router.http.post(CHAT, json=question(number), headers=headers) as response:
                    assert response.status == 200, await response.text()
                    names.append(response.headers["x-highwayman-decision"])
            for name in names:
                await router.decision(name)  # its outcome is on the log, too
    loaded = Config.model_validate({"namespace": namespace, **config})
    encoder = warm_encoder(loaded)
    factory = LearnerFactory(loaded, arms, encoder)
    encoder.close()
    published = await factory.publications(client).load()
    assert published is not None
    policies = TenantPolicies(factory.policy(), factory.policy)
    policies.restore(published.snapshot.policy)
    records = await Store(client, namespace).records(names)
    decisions = [decision for name in names if (decision := records[name].decision) is not None]
    assert [decision.policy_version for decision in decisions] == [published.stamp.version] * DECIDED
    return Played(
        arms, loaded, policies.policy_for(DEFAULT_TENANT), Tally.from_json(published.snapshot.tally), decisions
    )


def scenario_of(played: Played) -> Scenario:
    """Return the rounds as the router met them: the amounts that it expected, at the times when it decided."""
    estimates = [
        estimate_usage(
            played.arms,
            lambda name: played.tally.arm(name).token_use,
            prompt_tokens=decision.context.prompt_tokens,
            answers=played.tally.amounts.expected(decision.context.features, [arm.name for arm in played.arms]),
        )
        for decision in played.decisions
    ]
    names = tuple(arm.name for arm in played.arms)

    def expected(amount: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        return np.array([[getattr(row[name], amount) for name in names] for row in estimates], dtype=np.float64)

    n = len(played.decisions)
    unknown = np.full((n, len(names)), np.nan)
    return Scenario(
        arms=names,
        rows=np.arange(n),
        at=np.array([decision.at for decision in played.decisions]),
        quality=np.zeros(unknown.shape),
        cost_usd=unknown,
        price_usd=expected("usd"),
        latency_s=unknown,
        available=np.ones(unknown.shape, dtype=np.bool_),
        feedback=unknown,
        delay_s=np.zeros(unknown.shape),
        expected_latency_s=expected("latency_s"),
        expected_wh=expected("wh"),
        in_tool_loop=np.array([number % 7 == 3 for number in range(n)]),
    )


@pytest.mark.parametrize(
    ("config", "least"),
    [(CONFIG, None), (EVEN, "0.45"), (WITHOUT_CAPS, None)],
    ids=["capped", "quality", "plain"],
)
async def test_a_router_and_the_simulator_decide_the_same_bits(
    valkey_url: str, redis_client: aioredis.Redis, namespace: str, config: dict[str, Any], least: str | None
) -> None:
    played = await play(valkey_url, redis_client, namespace, config, least)
    objective = PoolObjectives(played.config, played.arms, {})["auto"].with_overrides(
        min_quality=None if least is None else float(least)
    )
    floor, floor_loss = played.config.policy.floor, played.config.policy.floor_loss
    rules = ExplorationRules(floor, played.config.trial.quota(), played.config.exploration.cap(), floor_loss)
    scenario = scenario_of(played)
    run = simulate(
        played.policy,
        scenario,
        [decision.context for decision in played.decisions],
        router=SimulatedRouter(objective, rules, probation=["new"]),
        rng=np.random.default_rng(SEED),
    )
    for t, decision in enumerate(played.decisions):
        columns = [scenario.arms.index(arm) for arm in decision.arms]
        assert scenario.arms[run.actions[t]] == decision.arm
        assert run.propensities[t] == decision.propensity
        assert run.probs[t, columns].tolist() == decision.probs.tolist()
        assert run.penalties[t, columns].tolist() == decision.penalties.tolist()
        assert (NO_EXPLORATION in decision.context.flags) == scenario.in_a_tool_loop(t)
    probs = np.array([decision.propensity for decision in played.decisions])
    assert (probs == 1.0).any(), "a tool loop explores nothing"
    assert (probs < 1.0).any(), "others do"
    if least is not None:
        assert any(len(decision.arms) < len(scenario.arms) for decision in played.decisions), "arms fell short"
