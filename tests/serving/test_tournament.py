"""A tournament on a running router: a promotion and a rollback, by HTTP and by command, seen in the traffic."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner

from highwayman.env.errors import ConfigError
from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import Config
from highwayman.serving.services import build_services
from highwayman.serving.wiring.settings import Settings
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG: dict[str, Any] = {
    "policy": {"name": "Fixed", "options": {"arm": "small"}, "floor": 0.5},
    "tournament": {
        "challengers": [{"name": "large-only", "policy": {"name": "Fixed", "options": {"arm": "large"}, "floor": 0.3}}],
        "ramp": [0.5, 1.0],
        "step_decisions": 5,
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        arms = [arm("small", upstream.url), arm("large", upstream.url)]
        async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as started:
            yield started


async def answered(router: Router) -> dict[str, Any]:
    """The decision of a new request, and thumbs up for it if the large arm answers."""
    _, _, headers = await router.post("/v1/chat/completions", ask())
    made = await router.decision(headers["x-highwayman-decision"])
    said = {"decision_id": made["id"], "metric": "thumbs", "value": made["arm"] == "large"}
    await router.post("/v1/feedback", said)
    return made


async def until(router: Router, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next decision of which it is so, of requests that go on meanwhile."""
    async with asyncio.timeout(20):
        while True:
            made = await answered(router)
            if is_so(made):
                return made
            await asyncio.sleep(0.05)


async def command(valkey_url: str, namespace: str, folder: Path, *words: str) -> str:
    file = folder / "highwayman.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, "namespace": namespace}))
    args = [*words, "--redis-url", valkey_url, "--config", str(file)]
    result = await asyncio.to_thread(CliRunner().invoke, main, args)
    assert result.exit_code == 0, result.output
    return result.output


async def test_a_challenger_is_promoted_by_steps_and_rolled_back_and_the_traffic_follows(
    router: Router, valkey_url: str, module_namespace: str, tmp_path: Path
) -> None:
    first = await answered(router)
    assert (first["policy"], first["arms"], first["probs"]) == ("Fixed", ["small", "large"], [0.75, 0.25])

    assert "large-only for 50%" in await command(valkey_url, module_namespace, tmp_path, "promote", "large-only")
    mixed = await until(router, lambda made: made["policy"] != "Fixed")
    assert (mixed["policy"], mixed["probs"]) == ("configured+large-only@0.5", pytest.approx([0.45, 0.55]))

    promoted = await until(router, lambda made: made["policy"] == "large-only")
    assert promoted["probs"] == pytest.approx([0.15, 0.85])  # its own floor, as it was scored
    _, shown = await router.get("/v1/tournament")
    assert (shown["champion"], shown["previous"], shown["worth_its_exploration"]) == ("large-only", "configured", True)
    _, policy = await router.get("/v1/policy")
    assert (policy["champion"], policy["worth_its_exploration"]) == ("large-only", True)

    assert "Fixed, decides" in await command(valkey_url, module_namespace, tmp_path, "rollback")
    back = await until(router, lambda made: made["policy"] == "Fixed")
    assert back["probs"] == [0.75, 0.25]

    client = connect(valkey_url)
    rows = await Store(client, module_namespace).read("0-0", count=10_000, block_s=0.1)
    await client.aclose()
    events = [event for _, data, _ in rows if isinstance(event := decode(data), Control)]
    steps = [event.detail for event in events if event.kind is ControlKind.TOURNAMENT]
    assert [(step["step"], step["champion"], step["share"]) for step in steps] == [
        ("trial", "configured", 0.5), ("promote", "large-only", 0.0), ("rollback", "configured", 0.0),
    ]  # fmt: skip
    assert steps[1]["evidence"]["decisions"] >= 5


async def test_the_table_and_its_json_say_what_is_known_of_each_contender(
    router: Router, valkey_url: str, module_namespace: str, tmp_path: Path
) -> None:
    for _ in range(3):
        await answered(router)
    async with asyncio.timeout(20):
        while True:
            _, shown = await router.get("/v1/tournament")
            verdict = shown["contenders"].get("large-only")
            if verdict is not None and verdict["rounds"] >= 3:
                break
            await asyncio.sleep(0.1)
    assert verdict["difference"] is not None
    assert verdict["refused"]
    table = await command(valkey_url, module_namespace, tmp_path, "tournament")
    assert "best-constant" in table
    assert "rounds with a reward, of at least 100" in table
    told = json.loads(await command(valkey_url, module_namespace, tmp_path, "tournament", "--json"))
    assert told["contenders"]["large-only"]["rounds"] >= 3


async def test_a_promotion_that_cannot_be_is_refused_with_what_could(router: Router) -> None:
    status, body, _ = await router.post("/v1/tournament/promote/large-onyl", {})
    assert status == 400
    assert "did you mean 'large-only'" in body["error"]["message"]
    status, body, _ = await router.post("/v1/tournament/promote/configured", {})
    assert (status, body["error"]["message"]) == (400, "configured is the champion already")


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"name": "LinTS", "options": {"ridgee": 1.0}}, "unknown option 'ridgee'"),
        ({"name": "Fixed", "options": {"arm": "b"}}, "there is no arm 'b' in the pool; there are a"),
    ],
)
async def test_a_challenger_whose_policy_cannot_be_built_is_told_before_anything_starts(
    valkey_url: str, policy: dict[str, Any], says: str
) -> None:
    challenger = {"name": "odd", "policy": policy}
    config = Config.model_validate({"tournament": {"challengers": [challenger]}})
    settings = Settings((arm("a", "http://127.0.0.1:9"),), valkey_url, config)
    with pytest.raises(ConfigError, match=rf"tournament.challengers: odd: .*{says}"):
        async with build_services(settings):
            pass


async def test_a_challenger_with_a_dial_of_its_own_decides_by_it_once_it_is_promoted(
    valkey_url: str, module_namespace: str
) -> None:
    dialled = {"name": "thrifty", "policy": {"name": "HierTS"}, "objective": {"points_per_usd": 1e6}}
    config = {"policy": {"name": "Uniform"}, "tournament": {"challengers": [dialled], "guard": False}}
    async with ScriptedUpstream() as upstream:
        arms = [arm("small", upstream.url), arm("large", upstream.url, price=100.0)]
        async with running_router(arms, valkey_url, f"{module_namespace}-dial", config=config) as router:
            async with asyncio.timeout(20):
                while (await router.post("/v1/tournament/promote/thrifty?at_once=true", {}))[0] != 200:
                    await asyncio.sleep(0.1)
                made: dict[str, Any] = {}
                while made.get("policy") != "thrifty":
                    _, _, headers = await router.post("/v1/chat/completions", ask(model="auto-quality"))
                    made = await router.decision(headers["x-highwayman-decision"])
    assert made["probs"][0] > 0.9
    assert made["penalties"] == [0.0, 0.0]  # scores stay by the operator's


async def test_metrics_say_whether_the_policy_is_worth_its_exploration(router: Router) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{router.url}/metrics") as response:
        assert "highwayman_worth_its_exploration 1.0" in await response.text()
