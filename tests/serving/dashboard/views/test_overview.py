"""The overview: its time axis, and its page on a running router."""

from highwayman.feedback.fold.tallies.history import HistoryBucket, TotalSums
from highwayman.serving.insight.history_view import joined_buckets
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

TAGGED = {"context": {"app": {"from": "header:x-app", "levels": ["mail", "code"]}}}


def _buckets(seconds: float, *, each_s: float) -> list[HistoryBucket]:
    count = int(seconds / each_s)
    return [HistoryBucket(1e9 + k * each_s, 1e9 + (k + 1) * each_s, TotalSums(), {}) for k in range(count)]


def test_the_first_minutes_of_a_router_are_told_apart_and_a_long_time_is_some_forty_stretches() -> None:
    first, week = _buckets(600.0, each_s=30.0), _buckets(7 * 86400.0, each_s=600.0)
    assert len(joined_buckets(first, 40)) == 20
    assert 30 <= len(joined_buckets(week, 40)) <= 40
    assert joined_buckets([], 40) == []


async def test_after_a_tag_was_declared_the_page_tells_of_the_requests_of_before(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    upstream.script(ANY, Say("Paris."))
    arms = [arm("small", upstream.url), arm("large", upstream.url)]
    for config in ({}, TAGGED):
        async with running_router(arms, valkey_url, namespace, config=config) as router:
            if not config:
                _, _, headers = await router.post("/v1/chat/completions", ask())
                await router.decision(headers["x-highwayman-decision"])
            async with router.http.get("/dashboard") as response:
                text = await response.text()
            assert (response.status, "Exploring costs" in text) == (200, True)
