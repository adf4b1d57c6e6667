"""One ceiling held by several processes and across restarts; exploration capped; arms on trial. On running routers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.env.types import ArmState
from highwayman.serving.config.config import Config
from highwayman.serving.services import build_services
from highwayman.serving.wiring.settings import Settings
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

PRICE = 100.0  # dollars per million tokens: a call of 9 + 2 of them costs 0.0011


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        started.script(ANY, *[Say("Paris.", tokens_in=9, tokens_out=2)] * 60)
        yield started


async def asked(router: Router) -> int:
    status, _, _ = await router.post("/v1/chat/completions", ask(max_tokens=2))
    return status


async def until_known(router: Router, usd: float) -> None:
    """Wait until a router has heard that so much was spent."""
    async with asyncio.timeout(10):
        while (await router.get("/v1/policy"))[1]["arms"]["small"]["cost_usd"] < usd - 1e-9:
            await asyncio.sleep(0.02)


async def test_two_routers_and_a_restarted_one_hold_one_ceiling_for_the_day(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("small", upstream.url, price=PRICE)]
    config = {"budget": {"usd_per_day": 0.006, "hard": True}}
    async with running_router(arms, valkey_url, namespace, config=config) as other:
        async with running_router(arms, valkey_url, namespace, config=config) as one:
            assert [await asked(one) for _ in range(3)] == [200] * 3
            await until_known(other, 0.0033)
            more = [await asked(other) for _ in range(4)]
            served = 3 + more.count(200)
            assert 4 <= served <= 5
            assert more[-1] == 429
            await until_known(one, 0.0011 * served)
            assert await asked(one) == 429
        async with running_router(arms, valkey_url, namespace, config=config) as restarted:
            assert await asked(restarted) == 429


async def test_requests_that_come_to_two_routers_at_once_do_not_take_the_day_above_its_ceiling(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("small", upstream.url, price=PRICE)]
    config = {"budget": {"usd_per_day": 0.006, "hard": True}}
    async with (
        running_router(arms, valkey_url, namespace, config=config) as one,
        running_router(arms, valkey_url, namespace, config=config) as other,
    ):
        statuses = [*await asyncio.gather(*(asked(router) for router in (one, other) * 8))]
        while (status := await asked(one)) == 200:  # what calls did not cost is given back
            statuses.append(status)
        assert 3 <= statuses.count(200) <= 5
        assert set(statuses) == {200, 429}


async def probs(router: Router, **headers: str) -> dict[str, float]:
    """Return the probabilities of one request's decision, by arm, once it is known what it cost."""
    named = {f"x-highwayman-{name.replace('_', '-')}": value for name, value in headers.items()}
    async with router.http.post("/v1/chat/completions", json=ask(), headers=named) as response:
        assert response.status == 200
        name = response.headers["x-highwayman-decision"]
    found: dict[str, Any] = await router.decision(name)
    return dict(zip(found["arms"], found["probs"], strict=True))


async def test_an_arm_on_trial_has_its_share_until_it_has_cost_what_it_may(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("small", upstream.url, price=0.1), replace(arm("new", upstream.url), state=ArmState.PROBATION)]
    arms[1] = replace(arms[1], usd_per_mtok_in=PRICE, usd_per_mtok_out=PRICE)
    config = {"trial": {"share": 0.5, "max_usd": 0.001}, "policy": {"floor": 0.02}}
    async with running_router(arms, valkey_url, namespace, config=config) as router:
        first = await probs(router, cost_weight="50")  # for the policy, it would be far too dear
        assert first["new"] == pytest.approx(0.98 * 0.5 + 0.01)
        async with asyncio.timeout(10):
            while (found := await probs(router, cost_weight="50"))["new"] > 0.4:
                pass  # half of the requests are its own; one of them is more than it may cost
        assert found["new"] == pytest.approx(0.01)


@pytest.mark.parametrize("cap", ["usd_per_day", "regret_per_request"])
async def test_exploration_that_may_cost_nothing_leaves_the_greedy_arm(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str, cap: str
) -> None:
    arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=PRICE)]
    async with running_router(arms, valkey_url, namespace, config={"exploration": {cap: 0.0}}) as router:
        for _ in range(3):
            assert await probs(router) == {"small": 1.0, "large": 0.0}


async def test_regret_cannot_be_capped_for_a_policy_that_expects_nothing(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    config = Config.model_validate(
        {
            "namespace": namespace,
            "policy": {"name": "Uniform"},
            "exploration": {"regret_per_request": 0.01},
        }
    )
    with pytest.raises(ConfigError, match=r"exploration.regret_per_request: policy .*Uniform does not say what"):
        async with build_services(Settings((arm("a", "http://127.0.0.1:9"),), valkey_url, config, state=tmp_path)):
            pass
