"""Limits of keys and tenants, through started routers that share a Redis."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis

from highwayman.feedback.trust.api_keys import KeyGrant, KeyStore
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT = "/v1/chat/completions"


async def asked(router: Router, key: str = "", path: str = CHAT, **more: Any) -> tuple[int, Any, dict[str, str]]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with router.http.post(path, json=ask(**more), headers=headers) as response:
        return response.status, await response.json(), {k.lower(): v for k, v in response.headers.items()}


async def test_two_routers_let_a_hundred_requests_a_minute_through_and_say_when_to_come_back(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, first = await keys.add(KeyGrant("a", "one"), at=1.0)
    _, second = await keys.add(KeyGrant("b", "one"), at=2.0)
    config = {"tenants": {"one": {"limits": {"requests_per_minute": 100}}}}
    arms = [arm("small", upstream.url)]
    async with (
        running_router(arms, valkey_url, namespace, config=config) as router,
        running_router(arms, valkey_url, namespace, config=config) as other,
    ):
        replies = await asyncio.gather(
            *(asked((router, other)[n % 2], (first, second)[n % 3 > 0], text=f"question {n}") for n in range(160))
        )
        statuses = Counter(status for status, _, _ in replies)
        assert statuses == {200: 100, 429: 60}
        left = [int(headers["x-ratelimit-remaining-requests"]) for status, _, headers in replies if status == 200]
        assert sorted(left) == list(range(100))
        _, body, headers = next(reply for reply in replies if reply[0] == 429)
        assert body["error"]["code"] == "rate_limit_exceeded"
        assert "100 requests a minute" in body["error"]["message"]
        assert headers["x-ratelimit-limit-requests"] == "100"
        assert headers["x-ratelimit-remaining-requests"] == "0"
        assert 0 < int(headers["retry-after"]) <= 61


async def test_tokens_and_dollars_are_taken_as_expected_and_settled_as_they_were_used(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str, redis_client: Redis
) -> None:
    limits = {"tokens_per_day": 10_000, "usd_per_month": 50}
    made, key = await keys.add(KeyGrant("a", "one", limits=limits), at=1.0)
    async with running_router([arm("small", upstream.url, price=1000.0)], valkey_url, namespace) as router:
        status, answer, headers = await asked(router, key, max_tokens=4000)
        assert status == 200
        assert int(headers["x-ratelimit-remaining-tokens"]) < 10_000 - 200  # an answer is guessed at 256 tokens
        assert float(headers["x-ratelimit-remaining-usd"]) < 50 - 0.2
        usage = answer["usage"]
        used = usage["prompt_tokens"] + usage["completion_tokens"]
        async with asyncio.timeout(5):
            while await held(redis_client, namespace, f"key:{made.id}:tokens:day:*") != used:
                await asyncio.sleep(0.01)
        assert await held(redis_client, namespace, f"key:{made.id}:usd:month:*") == used * 1_000_000


async def held(client: Redis, namespace: str, window: str) -> int:
    """What a window holds."""
    (name,) = await client.keys(f"highwayman:{{{namespace}}}:quota:{window}")
    return int(await client.hget(name, "s") or 0)  # type: ignore[misc]


async def test_a_request_that_could_never_fit_is_refused_without_a_time_to_come_back(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, key = await keys.add(KeyGrant("a", "one", limits={"tokens_per_minute": 100}), at=1.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        status, body, headers = await asked(router, key, text="word " * 500)
        assert status == 429
        assert "This request alone would take more" in body["error"]["message"]
        assert "retry-after" not in headers
        assert headers["x-ratelimit-limit-tokens"] == "100"
        status, _, headers = await asked(router, key, max_tokens=5)
        assert status == 200
        assert "x-ratelimit-limit-requests" not in headers


@pytest.mark.parametrize(("without_redis", "status"), [("pass", 200), ("refuse", 503)])
async def test_while_nobody_can_count_requests_pass_or_are_refused_as_configured(
    upstream: ScriptedUpstream, namespace: str, without_redis: str, status: int
) -> None:
    config = {
        "tenants": {"*": {"limits": {"requests_per_minute": 1}}},
        "limits": {"without_redis": without_redis},
    }
    async with running_router(
        [arm("small", upstream.url)], "redis://127.0.0.1:1/0", namespace, config=config, learn=False
    ) as router:
        for _ in range(2):
            assert (await asked(router))[0] == status


async def test_limits_hold_for_every_route_that_asks_for_an_answer_and_errors_are_its_protocols(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, key = await keys.add(KeyGrant("a", "one", limits={"requests_per_minute": 3}), at=1.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        for path, left in ((CHAT, "2"), ("/v1/messages", "1"), ("/v1/route", "0")):
            status, _, headers = await asked(router, key, path, max_tokens=5)
            assert (status, headers["x-ratelimit-remaining-requests"]) == (200, left)
        status, body, headers = await asked(router, key, "/v1/messages", max_tokens=5)
        assert (status, body["type"], body["error"]["type"]) == (429, "error", "rate_limit_error")
        assert int(headers["retry-after"]) > 0
        assert (await asked(router, key, "/v1/route"))[0] == 429


async def test_a_caller_without_limits_is_told_of_none(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"tenants": {"other": {"limits": {"requests_per_minute": 1}}}}
    async with running_router([arm("small", upstream.url)], valkey_url, namespace, config=config) as router:
        for _ in range(3):
            status, _, headers = await asked(router)
            assert status == 200
            assert not [name for name in headers if name.startswith("x-ratelimit")]
