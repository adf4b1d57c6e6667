"""Another router as the champion of a tournament, on a started router: scored, shared with a challenger, replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG: dict[str, Any] = {
    "policy": {"name": "Fixed", "options": {"arm": "small"}, "floor": 0.0},
    "tournament": {
        "champion": "told",
        "challengers": [{"name": "large-only", "policy": {"name": "Fixed", "options": {"arm": "large"}, "floor": 0.2}}],
        "ramp": [0.5, 1.0],
        "step_decisions": 100_000,
    },
}
TOLD = {"chosen_arm": "small", "probabilities": {"small": 0.75, "large": 0.25}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    arms = [arm("small", "http://127.0.0.1:9"), arm("large", "http://127.0.0.1:9")]
    async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as started:
        yield started


async def told(router: Router, **more: Any) -> dict[str, Any]:
    status, route, _ = await router.post("/v1/route", ask(**{**TOLD, **more}))
    assert status == 200, route
    return dict(route)


async def until(router: Router, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            route = await told(router)
            if is_so(route):
                return route
            await asyncio.sleep(0.05)


async def contenders(router: Router, rounds: int) -> dict[str, Any]:
    """What is known of everybody once so many rounds are scored."""
    async with asyncio.timeout(20):
        while True:
            _, shown = await router.get("/v1/tournament")
            known = shown["contenders"]
            if all(verdict is not None and verdict["rounds"] >= rounds for verdict in known.values()):
                return dict(shown)
            await asyncio.sleep(0.05)


async def test_challengers_are_scored_on_what_another_router_drew_and_on_nothing_else(router: Router) -> None:
    for number in range(12):
        chosen = ("small", "large")[number % 4 == 3]
        more = TOLD if number % 2 else {"probabilities": None, "propensity": {"small": 0.75, "large": 0.25}[chosen]}
        route = await told(router, **{**more, "chosen_arm": chosen})
        assert route["arm"] == chosen
        await router.post("/v1/feedback", {"decision_id": route["id"], "value": chosen == "large"})
    for more in ({"chosen_arm": "large"}, {}):  # nothing is known of how likely that was; the router's own
        _, route, _ = await router.post("/v1/route", ask(**more))
        await router.post("/v1/feedback", {"decision_id": route["id"], "value": True})
    shown = await contenders(router, 12)
    assert shown["champion"] == "told"
    assert shown["contenders"].keys() == {"best-constant", "configured", "large-only"}
    assert {verdict["rounds"] for verdict in shown["contenders"].values()} == {12}
    assert shown["contenders"]["large-only"]["difference"] > shown["contenders"]["configured"]["difference"]


async def test_a_challenger_shares_its_decisions_takes_them_over_and_gives_them_back(router: Router) -> None:
    assert (await told(router))["policy"] == "told"
    assert (await router.post("/v1/tournament/promote/large-only", {}))[0] == 200
    shared = await until(router, lambda route: route["policy"] != "told")
    assert shared["policy"] == "told+large-only@0.5"
    assert [each["probability"] for each in shared["candidates"]] == pytest.approx([0.425, 0.575])  # with its floor
    assert (await until(router, lambda route: route["arm"] == "large"))["propensity"] == pytest.approx(0.575)
    certain = await told(router, probabilities={"small": 1.0})  # a rule that draws nothing by itself
    assert [each["probability"] for each in certain["candidates"]] == pytest.approx([0.55, 0.45])
    assert (await told(router, probabilities=None, propensity=0.75))["policy"] == "told"  # no mixture is known
    assert (await router.post("/v1/tournament/rollback", {}))[0] == 200
    await router.post("/v1/tournament/promote/large-only?at_once=true", {})
    taken = await until(router, lambda route: route["policy"] == "large-only")
    assert [each["probability"] for each in taken["candidates"]] == pytest.approx([0.1, 0.9])
    assert (await router.post("/v1/tournament/rollback", {}))[0] == 200
    back = await until(router, lambda route: route["policy"] == "told")
    assert (back["arm"], back["propensity"]) == ("small", 0.75)
