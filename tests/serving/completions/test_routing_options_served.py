"""What callers wish for, and budgets, on a running router."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all that need no budget

CHEAP, DEAR = 0.1, 100.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        started.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """The module's router: nobody says what an answer was worth, so that it stays at the prior."""
    arms = [arm("small", upstream.url, price=CHEAP), arm("large", upstream.url, price=DEAR)]
    async with running_router(arms, valkey_url, module_namespace) as started:
        yield started


async def asked(router: Router, **headers: str) -> tuple[int, Any, dict[str, str]]:
    named = {f"x-highwayman-{name.replace('_', '-')}": value for name, value in headers.items()}
    async with router.http.post("/v1/chat/completions", json=ask(), headers=named) as response:
        return response.status, await response.json(), {name.lower(): one for name, one in response.headers.items()}


async def test_a_maximum_price_keeps_to_arms_that_are_expected_to_cost_less(router: Router) -> None:
    for _ in range(8):
        _, _, headers = await asked(router, max_usd="0.001")
        assert headers["x-highwayman-arm"] == "small"
        assert float(headers["x-highwayman-propensity"]) == 1.0
    status, body, _ = await asked(router, max_usd="0.0000001")
    assert (status, body["error"]["code"]) == (400, "no_eligible_model")
    assert "No arm may answer for at most $1e-07: small about $" in body["error"]["message"]


async def test_a_caller_may_forbid_exploration(router: Router) -> None:
    for _ in range(8):
        _, _, headers = await asked(router, objective="cheap", explore="false")
        assert headers["x-highwayman-arm"] == "small"
        assert float(headers["x-highwayman-propensity"]) == 1.0
    found = await router.decision(headers["x-highwayman-decision"])
    assert found["probs"] == [1.0, 0.0]
    assert found["objective"] == "auto-cheap"


async def test_nothing_is_tried_out_in_the_middle_of_a_tool_loop(router: Router) -> None:
    body = ask()
    body["messages"] += [{"role": "tool", "tool_call_id": "1", "content": "42"}]
    _, _, headers = await router.post("/v1/chat/completions", body)
    assert float(headers["x-highwayman-propensity"]) == 1.0


async def test_a_minimum_quality_that_nobody_reaches_takes_the_best(router: Router) -> None:
    _, _, headers = await asked(router, min_quality="1.0")
    assert float(headers["x-highwayman-propensity"]) == 1.0


async def test_a_wish_that_cannot_be_read_is_refused(router: Router) -> None:
    status, body, _ = await asked(router, objective="best")
    assert (status, body["error"]["param"]) == (400, "x-highwayman-objective")


@pytest.mark.parametrize(("free", "status"), [(False, 429), (True, 200)])
async def test_a_hard_budget_for_the_day_leaves_only_arms_without_a_price(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str, free: bool, status: int
) -> None:
    arms = [arm("small", upstream.url, price=DEAR), arm("other", upstream.url, price=None if free else DEAR)]
    budget = {"usd_per_day": 0.001, "hard": True}  # a call is expected to cost some cents
    async with running_router(arms, valkey_url, namespace, config={"budget": budget}) as router:
        found, body, headers = await asked(router)
        assert found == status
        if free:
            assert headers["x-highwayman-arm"] == "other"
        else:
            assert body["error"]["code"] == "budget_exhausted"
            assert "begins anew at 0:00 UTC" in body["error"]["message"]


async def test_a_budget_per_request_moves_traffic_to_the_cheap_arm(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("small", upstream.url, price=CHEAP), arm("large", upstream.url, price=DEAR)]
    config = {"budget": {"usd_per_request": 0.0001}, "cost_weights": {"auto": 0.0}}
    async with running_router(arms, valkey_url, namespace, config=config) as router:
        taken = [(await asked(router))[2]["x-highwayman-arm"] for _ in range(20)]
        assert taken.count("small") >= 18  # the floor of 2% may draw the other
