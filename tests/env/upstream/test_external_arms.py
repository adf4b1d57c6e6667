"""Arms of other providers: their headers, their addresses and what they do not take."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import NO_QUIRKS, Arm, Quirks
from highwayman.env.upstream.client import Upstream
from tests.upstream_server import ScriptedUpstream

CHAT = "/v1/chat/completions"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    opened = Upstream(EndpointHealth(time.monotonic), time.monotonic)
    await opened.start()
    yield opened
    await opened.close()


async def asked(upstream: Upstream, server: ScriptedUpstream, path: str = CHAT, **options: Any) -> None:
    arm = Arm("a", (server.url,), "large", None, None, 4096, **options)
    body = {"model": "large", "messages": [], "max_tokens": 9, "top_k": 3}
    answer = await upstream.open([arm], path, lambda arm: body)
    assert answer.status == 200
    await answer.body()


async def test_headers_come_from_the_environment_and_what_is_not_set_is_not_sent(
    upstream: Upstream, well: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "k-1")
    headers = {"api-key": "${PROVIDER_KEY}", "x-title": "ours", "x-team": "${NO_SUCH_TEAM}"}
    await asked(upstream, well, headers=headers)
    (sent,) = well.headers
    assert (sent["api-key"], sent["x-title"], sent["content-type"]) == ("k-1", "ours", "application/json")
    assert "x-team" not in sent


async def test_a_server_with_an_address_and_names_of_its_own_is_asked_as_it_wants(
    upstream: Upstream, well: ScriptedUpstream
) -> None:
    quirks = Quirks({"max_tokens": "max_completion_tokens"}, frozenset({"top_k"}), "/deployments/l/chat?api-version=1")
    await asked(upstream, well, quirks=quirks)
    assert well.paths == ["/deployments/l/chat"]
    assert well.requests == [{"model": "large", "messages": [], "max_completion_tokens": 9}]


async def test_other_routes_of_it_and_other_servers_are_asked_as_ever(
    upstream: Upstream, well: ScriptedUpstream
) -> None:
    await asked(upstream, well, "/v1/completions", quirks=Quirks(chat_path="/chat"))
    await asked(upstream, well, quirks=NO_QUIRKS)
    assert well.paths == ["/v1/completions", CHAT]
    assert well.requests[1]["top_k"] == 3
