"""Tenants and keys on a running router: who may speak about what, and what becomes of a key that floods."""

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from highwayman.bandit.snapshot import unpack
from highwayman.bandit.tenants import split_state
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.config.config import load_config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.local_state import LocalState
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"
PROBES = [f"What about {name}?" for name in ("rivers", "prime numbers", "Ottoman law", "soup", "sorting a list in C")]
CAP = 0.1  # the most of a tenant's evidence that the poisoner's key may have
FLOOD = 2_400  # statements within seconds, 30 times as many as the honest key says: a key of 10 times as many floods


@dataclass
class Client:
    """A client with a key."""

    router: Router
    key: str

    async def ask(self, text: str, *, model: str = "auto-quality") -> tuple[str, str]:
        """Ask; return the decision and the arm."""
        async with self.router.http.post(CHAT, json=ask(text, model=model), headers=self._headers()) as response:
            assert response.status == 200, await response.text()
            return response.headers["x-highwayman-decision"], response.headers["x-highwayman-arm"]

    async def say(self, decision_id: str, value: bool, **more: Any) -> int:
        body = {"decision_id": decision_id, "value": value, **more}
        async with self.router.http.post(FEEDBACK, json=body, headers=self._headers()) as response:
            await response.read()
            return response.status

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.router.http.get(path, headers=self._headers()) as response:
            return response.status, await response.json()

    async def share(self, name: str) -> float:
        """The mean probability of an arm over the probes."""
        found = []
        for text in PROBES:
            decision_id, _ = await self.ask(text)
            decision: dict[str, Any] = {}
            async with asyncio.timeout(10):
                while "probs" not in decision:
                    _, decision = await self.get(f"/v1/decisions/{decision_id}")
            found.append(decision["probs"][decision["arms"].index(name)])
        return sum(found) / len(found)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


async def test_a_key_opens_only_what_it_is_for_and_only_its_own_tenants_decisions(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, one = await keys.add(KeyGrant("app", "one"), at=1.0)
    _, two = await keys.add(KeyGrant("app", "two"), at=2.0)
    _, mute = await keys.add(KeyGrant("reader", "one", ("answers",)), at=3.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        mine, theirs, silent = Client(router, one), Client(router, two), Client(router, mute)
        decision_id, _ = await mine.ask("x")
        assert await mine.say(decision_id, True) == 200
        assert await theirs.say(decision_id, False) == 404
        assert await silent.say(decision_id, False) == 403
        assert (await theirs.get(f"/v1/decisions/{decision_id}"))[0] == 404
        assert (await mine.get("/v1/policy"))[0] == 403
        async with router.http.post(CHAT, json=ask()) as response:
            assert response.status == 401
        async with router.http.post(CHAT, json=ask(), headers={"authorization": "Bearer hwk-guess"}) as response:
            assert response.status == 401


async def test_a_revoked_key_opens_nothing_within_two_seconds(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    made, text = await keys.add(KeyGrant("app", "one"), at=1.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        client = Client(router, text)
        await client.ask("x")
        await keys.set_state(made.id, KeyState.REVOKED)
        async with asyncio.timeout(2):
            while True:
                async with router.http.post(CHAT, json=ask(), headers=client._headers()) as response:
                    if response.status == 401:
                        break


async def test_what_is_kept_of_a_key_is_not_the_key(
    keys: KeyStore, redis_client: Redis, namespace: str, tmp_path: Path
) -> None:
    secret = b"s" * 32
    await Store(redis_client, namespace).secrets(secret, issued=True)
    made, text = await keys.add(KeyGrant("app", "one"), at=1.0)
    kept = await redis_client.hgetall(keys._key)  # type: ignore[misc]
    assert text.encode() not in b"".join(kept.values())
    assert json.loads(kept[made.id.encode()])["mac"] == made.mac
    ring = ApiKeyCache(keys, LocalState(tmp_path, namespace, "none"), lambda: [secret])
    await ring.refresh()
    caller = ring.lookup(text)
    assert caller is not None
    assert (caller.tenant, caller.key_id) == ("one", made.id)
    assert ring.lookup(made.mac) is None


async def test_posts_beyond_a_keys_rate_are_told_when_to_come_back(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, text = await keys.add(KeyGrant("app", "one", rate_per_s=0.5), at=1.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        client = Client(router, text)
        decision_id, _ = await client.ask("x")
        statuses = [await client.say(decision_id, True) for _ in range(6)]
        assert 429 in statuses
        assert statuses[0] == 200


async def published(learning: LearnerFactory, client: Redis) -> Published:
    found = await learning.publications(client).load()
    assert found is not None
    return found


@pytest.mark.timeout(180)
async def test_a_flood_from_one_key_moves_no_other_tenant_and_its_own_by_at_most_the_cap_until_it_is_forgotten(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str, redis_client: Redis, tmp_path: Path
) -> None:
    _, good = await keys.add(KeyGrant("good", "one"), at=1.0)
    _, other = await keys.add(KeyGrant("app", "two"), at=2.0)
    poisoner, bad = await keys.add(KeyGrant("bad", "one", influence=CAP), at=3.0)
    config = tmp_path / "highwayman.yaml"
    config.write_text(
        f"namespace: {namespace}\nfeedback: {{influence: {{grace: 2}}}}\npolicy: {{learns_from_named_calls: true}}\n"
    )
    learning = LearnerFactory(load_config(config), (), warm_encoder(load_config(config)))
    arms = [arm("small", upstream.url), arm("large", upstream.url)]
    rng = random.Random(0)
    raw = {"feedback": {"influence": {"grace": 2.0}}, "policy": {"learns_from_named_calls": True}}
    async with running_router(arms, valkey_url, namespace, config=raw) as router:
        honest, neighbour, flood = Client(router, good), Client(router, other), Client(router, bad)
        made = await _lived(honest, rng)
        await _lived(neighbour, rng)
        await _learned(learning, redis_client)
        before = split_state((await published(learning, redis_client)).snapshot.policy)
        share = await honest.share("large")
        moved, done = [], asyncio.Event()

        async def watched() -> None:
            while not done.is_set():
                moved.append(abs(await honest.share("large") - share))

        watching = asyncio.create_task(watched())
        statuses: dict[int, int] = {}

        async def poison(number: int) -> None:
            name = "large" if number % 2 else "small"
            status = await flood.say(rng.choice(made[name]), name == "small", user=f"p{number}")
            statuses[status] = statuses.get(status, 0) + 1

        for start in range(0, FLOOD, 100):
            await asyncio.gather(*(poison(start + n) for n in range(100)))
        assert statuses == {200: FLOOD}
        async with asyncio.timeout(30):
            while (await keys.get(poisoner.id)).state is not KeyState.QUARANTINED:
                await asyncio.sleep(0.05)
        done.set()
        await watching
        await _learned(learning, redis_client)
        moved.append(abs(await honest.share("large") - share))
        print(f"the share of the better arm moved by at most {max(moved):.3f}, looked at {len(moved)} times")
        assert max(moved) <= CAP
        after = split_state((await published(learning, redis_client)).snapshot.policy)
        assert after["two"] == before["two"]
        assert abs(await honest.share("large") - share) < 1e-6
    report = await _forgotten(config, poisoner.id, valkey_url)
    assert report["events_found"] == FLOOD
    assert report["equal"] is True
    assert report["policy_difference"] < 1e-9
    restored = split_state((await published(learning, redis_client)).snapshot.policy)
    assert restored["two"] == before["two"]
    for name, values in unpack(before["one"])[1].items():
        assert np.abs(unpack(restored["one"])[1][name] - values).max(initial=0.0) < 1e-9


async def _lived(client: Client, rng: random.Random) -> dict[str, list[str]]:
    """Have 80 people ask and say what they think; return the decisions by arm."""
    made: dict[str, list[str]] = {"small": [], "large": []}

    async def person(n: int, luck: float) -> None:
        decision_id, served = await client.ask(f"Question {n}", model=("small", "large")[n % 2])
        await client.say(decision_id, luck < (0.3 if served == "small" else 0.8), user=f"u{n}")
        made[served].append(decision_id)

    await asyncio.gather(*(person(n, rng.random()) for n in range(80)))
    return made


async def _learned(learning: LearnerFactory, client: Redis) -> None:
    """Return once everything on the log by now is in what is published, and patrols have nothing more to do."""
    async with asyncio.timeout(60):
        quiet = 0
        while quiet < 5:
            last = await learning.retention(client).last()
            found = await learning.publications(client).load()
            quiet = quiet + 1 if found is not None and found.snapshot.position == last else 0
            await asyncio.sleep(0.3)


async def _forgotten(config: Path, key_id: str, url: str) -> dict[str, Any]:
    command = ["-m", "highwayman.serving.cli.main", "feedback", "forget", key_id, "--yes", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--config", str(config), "--redis-url", url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    return dict(json.loads(out))
