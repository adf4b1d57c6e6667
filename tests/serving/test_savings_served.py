"""A control slice of half the requests on a running router, and what it tells."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from highwayman.env.errors import ConfigError
from highwayman.serving.cli.main import main
from highwayman.serving.config.control import ControlConfig
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, ASKED = "/v1/chat/completions", 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """Asked so often, the last answer rated, all of it learned."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=100.0)]
        control = {"share": 0.5, "baseline": "large", "router_usd_per_day": 1.0}
        async with running_router(arms, valkey_url, module_namespace, config={"control": control}) as started:
            for n in range(ASKED):
                _, _, headers = await started.post(CHAT, ask(f"Question {n}?", model="auto-cheap"))
            thumb = {"decision_id": headers["x-highwayman-decision"], "value": True}
            assert (await started.post("/v1/feedback", thumb))[0] == 200
            async with asyncio.timeout(5):
                while (await savings(started))["rated"] < 1:
                    await asyncio.sleep(0.02)
            yield started


async def savings(router: Router) -> dict[str, Any]:
    return dict((await router.get("/v1/savings"))[1])


async def test_the_admin_api_tells_what_a_request_costs_by_the_baseline_and_by_the_router(router: Router) -> None:
    told = await savings(router)
    assert told["slice"] == {"share": 0.5, "baseline": {"large": 1.0}}
    assert told["requests"] == ASKED
    assert 5 <= told["control"] <= 25
    assert told["baseline_usd"] == pytest.approx(11 * 100.0 / 1e6)
    assert told["router_usd"] < told["baseline_usd"]
    assert told["saving_usd"]["value"] < told["baseline_usd"] - told["router_usd"], "its own machine is paid"


async def baseline_flags(router: Router, headers: dict[str, str]) -> list[str]:
    decision = await router.decision(headers["x-highwayman-decision"])
    return [flag for flag in decision["context"]["flags"] if flag.startswith("baseline:")]


async def test_the_log_tells_what_the_baseline_would_have_done_beside_the_mixtures_probabilities(
    router: Router,
) -> None:
    _, _, headers = await router.post(CHAT, ask(model="auto-cheap"))
    took_large = headers["x-highwayman-arm"] == "large"
    assert await baseline_flags(router, headers) == [f"baseline:0.5:{float(took_large)!r}"]
    decision = await router.decision(headers["x-highwayman-decision"])
    assert decision["probs"][decision["arms"].index("large")] >= 0.5


async def test_in_a_tool_loop_nobody_is_drawn_for_the_baseline(router: Router) -> None:
    body = ask(model="auto")
    body["messages"] += [{"role": "tool", "tool_call_id": "1", "content": "42"}]
    _, _, headers = await router.post(CHAT, body)
    assert await baseline_flags(router, headers) == []


async def test_metrics_have_the_savings_with_their_bounds(router: Router) -> None:
    async with router.http.get("/metrics") as response:
        text = await response.text()
    assert 'highwayman_savings_usd_per_request{bound="value",tenant="default"} ' in text
    assert 'highwayman_quality_gain{bound="low",tenant="default"} NaN' in text
    assert 'highwayman_degraded_contexts_total{flag="control"}' not in text
    assert 'flag="baseline' not in text


@pytest.fixture
def command(
    router: Router, valkey_url: str, module_namespace: str, tmp_path: Path
) -> Callable[..., Coroutine[Any, Any, str]]:
    """Runs a command on what the router has learned; returns what it prints."""
    config = tmp_path / "highwayman.yaml"
    config.write_text(f"namespace: {module_namespace}\ncontrol: {{share: 0.5, baseline: large}}\n")

    async def run(*words: str) -> str:
        args = [*words, "--config", str(config), "--redis-url", valkey_url]
        result = await asyncio.to_thread(CliRunner().invoke, main, args)
        assert result.exit_code == 0, result.output
        return result.output

    return run


async def test_a_command_tells_it_in_eighty_columns_and_as_json(
    command: Callable[..., Coroutine[Any, Any, str]],
) -> None:
    shown = await command("savings")
    assert "saved a request" in shown
    assert max(map(len, shown.splitlines())) <= 80, shown
    assert json.loads(await command("savings", "--json"))["rated"] == 1
    assert "no request of a control slice is on the log" in await command("savings", "--tenant", "nobody")


async def test_a_command_tells_what_each_arm_is_worth_for_what_it_takes(
    command: Callable[..., Coroutine[Any, Any, str]],
) -> None:
    assert {"small", "large", "IES", "Wh/1k"} <= set((await command("efficiency")).split())
    (policy,) = json.loads(await command("efficiency", "--by", "policy", "--json"))
    assert (policy["name"], policy["quality"], policy["wh"]) == ("HierTS", 1.0, None)
    assert policy["calls"] >= ASKED


async def test_a_baseline_that_is_not_in_the_pool_is_told_by_name() -> None:
    with pytest.raises(ConfigError, match=r"control.baseline: there is no arm 'larg' in the pool.*'large'"):
        ControlConfig(baseline="larg").weights(["small", "large"])
    assert ControlConfig().weights(["small"]) is None
    assert ControlConfig(baseline={"small": 1, "large": 3}).weights(["small", "large"]) == {"small": 1, "large": 3}
