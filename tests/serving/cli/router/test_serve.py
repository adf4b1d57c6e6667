"""What `highwayman serve` says: where it listens and with what, and of each request as much as is asked for."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import aiohttp

from highwayman.env.types import ArmState
from highwayman.feedback.log.config_events import record_config_change
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore
from highwayman.serving.cli.router.banner import NamespaceFacts, namespace_facts, operators_url, serve_banner
from highwayman.serving.config.access import AdminConfig
from highwayman.serving.config.config import Config
from highwayman.serving.state.announced_config import active_config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.pool_objectives import PoolObjectives
from highwayman.serving.wiring.settings import Settings
from tests.ports import free_port
from tests.serving.running_router import arm, ask
from tests.upstream_server import ScriptedUpstream

CANARY = "canary-4711"
WITHIN_S = 30.0


def settings(url: str = "redis://:hush@cache:6379/2?password=hush") -> Settings:
    arms = (arm("small", "http://x"), replace(arm("old", "http://x"), state=ArmState.DRAINING))
    return Settings(arms, url, Config(), learn=False, state=Path("state"))


def test_a_router_says_where_it_listens_with_what_and_how_to_stop_it() -> None:
    told = serve_banner(settings(), "127.0.0.1", 8790, workers=2)
    for part in (
        "http://127.0.0.1:8790/v1", "HierTS", "small, old (draining)", "redis://cache:6379/2", "static",
        "--no-learn", "2 processes", "pool.yaml", "Ctrl-C", "60 s",
    ):  # fmt: skip
        assert part in told, told
    assert "hush" not in told
    assert max(map(len, told.splitlines())) <= 80
    assert "http://[::1]:8790/v1" in serve_banner(settings(), "::1", 8790, workers=1)
    assert "Valkey of its own" in serve_banner(settings("unix:///s/valkey.sock"), "::1", 8790, workers=1, embedded=True)


def test_a_router_says_where_its_dashboard_is_opened_and_once_there_are_keys_with_which() -> None:
    opened = serve_banner(settings(), "0.0.0.0", 8790, workers=1, told=NamespaceFacts())
    assert "Open http://127.0.0.1:8790/dashboard\n" in opened
    assert "operator.key" not in opened
    closed = serve_banner(settings(), "127.0.0.1", 8790, workers=1, told=NamespaceFacts(keys=1))
    assert "with an operator's key; this machine's is in state/operator.key" in closed
    elsewhere = Config(admin=AdminConfig(host="::1", port=9000))
    assert operators_url(elsewhere, "127.0.0.1", 8790) == "http://[::1]:9000"
    assert operators_url(elsewhere, "127.0.0.1", 8790, admin_port=9001) == "http://[::1]:9001"
    assert operators_url(Config(), "::", 8790, admin_port=9001) == "http://127.0.0.1:9001"


async def test_a_router_says_which_lineage_is_in_force_and_whether_keys_are_needed(
    valkey_url: str, namespace: str
) -> None:
    config = Config(namespace=namespace)
    open_to_all = await namespace_facts(valkey_url, namespace)
    assert "none: open to whoever can reach it" in serve_banner(settings(), "::1", 8790, workers=1, told=open_to_all)
    client = connect(valkey_url)
    encoder = warm_encoder(config)
    try:
        factory, store = LearnerFactory(config, (), encoder), Store(client, namespace)
        in_force = active_config(factory, PoolObjectives(config, (), {}))
        await record_config_change(store, in_force, at=1.0)
        keys = KeyStore(client, namespace, store)
        for name in ("old", "new"):
            key, _ = await keys.add(KeyGrant(name, "acme"), at=1.0)
        await keys.set_state(key.id, KeyState.REVOKED)
        told = serve_banner(settings(), "::1", 8790, workers=1, told=await namespace_facts(valkey_url, namespace))
        for key in await keys.all():
            await keys.set_state(key.id, KeyState.REVOKED)
    finally:
        encoder.close()
        await client.aclose()
    assert f"lineage {factory.lineage}" in told
    assert "1 given out" in told
    closed = serve_banner(settings(), "::1", 8790, workers=1, told=await namespace_facts(valkey_url, namespace))
    assert "0 given out" in closed
    away = serve_banner(settings(), "::1", 8790, workers=1, told=await namespace_facts("redis://[::1]:1", namespace))
    assert "Redis does not answer" in away


async def test_an_access_log_names_decisions_and_no_prompt_and_errors_alone_are_logged_where_that_is_asked(
    tmp_path: Path, valkey_url: str, namespace: str
) -> None:
    (tmp_path / "highwayman.yaml").write_text(f"namespace: {namespace}\n")
    port = free_port()
    async with ScriptedUpstream() as upstream:
        arms = {"a": {"endpoint": upstream.url, "model": "m", "price": "unknown", "context_window_tokens": 4096}}
        (tmp_path / "pool.yaml").write_text(json.dumps({"arms": arms}))
        words = ["serve", f"--port={port}", f"--pool={tmp_path}/pool.yaml", f"--config={tmp_path}/highwayman.yaml"]
        options = [f"--state-dir={tmp_path}", "--access-log", "--log-level=error"]
        process = Popen(  # noqa: ASYNC220  (it is to run beside)
            [sys.executable, "-m", "highwayman.serving.cli.main", *words, *options],
            env={**os.environ, "REDIS_URL": valkey_url}, stdout=DEVNULL, stderr=PIPE,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http, asyncio.timeout(WITHIN_S):
                while not await _ready(http, process):
                    await asyncio.sleep(0.05)
                async with http.post("/v1/chat/completions?api-key=hush", json=ask(CANARY)) as response:
                    decision = response.headers["x-highwayman-decision"]
                async with http.post("/v1/chat/completions", data=b'{"messages": "' + CANARY.encode()) as response:
                    assert response.status in {400, 415}
        finally:
            process.terminate()
            _, raw = await asyncio.to_thread(process.communicate, timeout=WITHIN_S)
    told = raw.decode()
    (line,) = (line for line in told.splitlines() if decision in line)
    assert '"POST /v1/chat/completions" 200' in line
    assert '"POST /v1/chat/completions" 4' in told
    assert CANARY not in told
    assert "hush" not in told
    assert "listens" not in told
    assert "what quality is worth" not in told


async def _ready(http: aiohttp.ClientSession, process: "Popen[bytes]") -> bool:
    assert process.poll() is None, "highwayman serve ended"
    try:
        async with http.get("/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
