import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
import pytest_asyncio

from highwayman.env.types import Arm, Control, Profile
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, BreakOff, Fail, Garbage, Hang, Say, ScriptedUpstream, closed_url

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all that need none of their own

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        yield started


@pytest.fixture(autouse=True)
def upstream(server: ScriptedUpstream) -> ScriptedUpstream:
    """The module's upstream, as if new."""
    server.reset()
    return server


def two_arms(upstream: ScriptedUpstream) -> list[Arm]:
    return [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=1.0)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(server: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """The module's router, for tests that neither make an arm fail nor count what was learned."""
    async with running_router(two_arms(server), valkey_url, module_namespace) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unasked_router(server: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """A router that is never asked what it could answer."""
    async with running_router(two_arms(server), valkey_url, f"{module_namespace}-unasked") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def own_router(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    """A router of the test's own, which has seen nothing."""
    async with running_router(two_arms(upstream), valkey_url, namespace) as started:
        yield started


async def log_length(url: str, namespace: str) -> int:
    """How many events there are, but for what the router announces at its start."""
    client = connect(url)
    try:
        found = await client.xrange(Keys(namespace)("log"))
        return sum(not isinstance(decode(fields[b"e"]), Control) for _, fields in found)
    finally:
        await client.aclose()


async def test_every_answer_says_who_answered(router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
    status, answer, headers = await router.post(CHAT, ask())
    chosen = headers["x-highwayman-arm"]
    assert status == 200
    assert answer["model"] == chosen
    assert answer["choices"][0]["message"]["content"] == "Paris."
    decision = await router.decision(headers["x-highwayman-decision"])
    assert decision["arm"] == chosen
    assert decision["mode"] == "route"
    assert decision["propensity"] == float(headers["x-highwayman-propensity"])
    assert decision["probs"][decision["arms"].index(chosen)] == decision["propensity"]
    assert sum(decision["probs"]) == pytest.approx(1.0)
    assert upstream.requests[0]["model"] == f"{chosen}-upstream"
    price = 0.1e-6 if chosen == "small" else 1e-6
    assert decision["outcome"]["cost_usd"] == pytest.approx(11 * price)
    assert (decision["outcome"]["status"], decision["outcome"]["tokens_out"]) == ("ok", 2)


async def test_a_named_arm_is_called_directly_and_logged_as_forced(router: Router, upstream: ScriptedUpstream) -> None:
    _, answer, headers = await router.post(CHAT, ask(model="large"))
    assert (answer["model"], headers["x-highwayman-propensity"]) == ("large", "1.0")
    assert (await router.decision(headers["x-highwayman-decision"]))["mode"] == "forced"
    assert upstream.requests[0]["model"] == "large-upstream"


async def test_a_stream_passes_through_but_for_the_name_and_is_metered(
    router: Router, upstream: ScriptedUpstream
) -> None:
    upstream.script(ANY, Say("One two three.", tokens_in=9, tokens_out=4))
    async with router.http.post(CHAT, json=ask(model="small", stream=True)) as response:
        raw = await response.read()
        decision_id = response.headers["x-highwayman-decision"]
    whole = b"".join(Say("One two three.").events({"model": "small", "messages": []}))
    told = raw.replace(b'"model":"small"', b'"model": "small"').replace(f"chatcmpl-{decision_id}".encode(), b"up-1")
    assert told == whole
    outcome = (await router.decision(decision_id))["outcome"]
    assert (outcome["tokens_in"], outcome["tokens_out"], outcome["finish_reason"]) == (9, 4, "stop")


async def test_usage_is_in_the_stream_only_for_those_who_ask(router: Router, upstream: ScriptedUpstream) -> None:
    async with router.http.post(CHAT, json=ask(stream=True)) as response:
        assert b'"usage"' not in await response.read()
    async with router.http.post(CHAT, json=ask(stream=True, stream_options={"include_usage": True})) as response:
        assert b'"usage"' in await response.read()


async def test_the_openai_client_works_unchanged(router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script(ANY, Say("Paris is it."))
    client = openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="none")
    whole = await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Capital?"}])
    assert whole.choices[0].message.content == "Paris is it."
    stream = await client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Capital?"}], stream=True
    )
    words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(words) == "Paris is it."
    text = await client.completions.create(model="auto", prompt="The capital of France is")
    assert text.choices[0].text == "Paris is it."
    assert {model.id async for model in client.models.list()} == {
        "auto",
        "auto-cheap",
        "auto-quality",
        "small",
        "large",
    }
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])

    def in_a_thread() -> str | None:
        sync = openai.OpenAI(base_url=f"{router.url}/v1", api_key="none")
        return (
            sync.chat.completions.create(model="auto", messages=[{"role": "user", "content": "x"}])
            .choices[0]
            .message.content
        )

    assert await asyncio.to_thread(in_a_thread) == "Paris is it."


async def test_a_thumb_moves_the_policy_within_two_seconds(own_router: Router) -> None:
    _, _, headers = await own_router.post(CHAT, ask())
    chosen = headers["x-highwayman-arm"]
    before = (await own_router.get("/v1/policy"))[1]
    said = {"decision_id": headers["x-highwayman-decision"], "metric": "thumbs", "value": True}
    assert (await own_router.post(FEEDBACK, said))[0] == 200
    after = await own_router.policy_until(chosen, feedback=1)
    assert after["version"] > before["version"]
    assert after["arms"][chosen]["quality"] == 1.0
    assert after["arms"][chosen]["decisions"] == 1


async def test_thumbs_down_send_the_traffic_elsewhere(own_router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script("small-upstream", Say("bad"))
    upstream.script("large-upstream", Say("good"))
    for n in range(20):
        _, answer, headers = await own_router.post(CHAT, ask(f"Question {n}?", model="auto-quality"))
        good = answer["choices"][0]["message"]["content"] == "good"
        await own_router.post(FEEDBACK, {"decision_id": headers["x-highwayman-decision"], "value": good})
        if n % 10 == 9:
            seen = sum(found["feedback"] for found in (await own_router.get("/v1/policy"))[1]["arms"].values())
            while seen < n + 1:
                await asyncio.sleep(0.02)
                seen = sum(found["feedback"] for found in (await own_router.get("/v1/policy"))[1]["arms"].values())
    _, _, headers = await own_router.post(CHAT, ask("One more?", model="auto-quality"))
    decision = await own_router.decision(headers["x-highwayman-decision"])
    assert decision["probs"][decision["arms"].index("large")] > 0.9


BAD_BODIES = {
    "malformed": b'{"model": "auto"',
    "nan": b'{"model": "auto", "temperature": NaN, "messages": [{"role": "user", "content": "x"}]}',
    "infinity": b'{"model": "auto", "temperature": 1e999, "messages": [{"role": "user", "content": "x"}]}',
    "lone surrogate": b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "bad utf-8": b'{"model": "auto", "messages": [{"role": "user", "content": "\xff"}]}',
    "not an object": b"[]",
    "no messages": b'{"model": "auto"}',
    "empty messages": b'{"model": "auto", "messages": []}',
    "wrong type": b'{"model": "auto", "messages": [{"role": "user", "content": 5}]}',
    "negative limit": b'{"model": "auto", "max_tokens": -1, "messages": [{"role": "user", "content": "x"}]}',
    "too deep": b'{"model": "auto", "messages": ' + b"[" * 5000,
    "huge number": b'{"model": "auto", "seed": ' + b"9" * 4000 + b', "messages": [{"role": "user", "content": "x"}]}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_bad_body_is_told_in_openais_shape_and_goes_nowhere(
    body: bytes, unasked_router: Router, upstream: ScriptedUpstream, valkey_url: str, module_namespace: str
) -> None:
    status, answer, _ = await unasked_router.post(CHAT, body)
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"
    assert upstream.requests == []
    assert await log_length(valkey_url, f"{module_namespace}-unasked") == 0


async def test_thirty_megabytes_are_refused(unasked_router: Router) -> None:
    status, answer, _ = await unasked_router.post(CHAT, b'{"model": "' + b"x" * 30_000_000 + b'"}')
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/nothing", 404), ("/v1/decisions/hw-none", 404), ("/v1/chat/completions", 405)]
)
async def test_paths_that_do_not_exist_are_told_in_openais_shape(
    path: str, status: int, unasked_router: Router
) -> None:
    found, answer = await unasked_router.get(path)
    assert found == status
    assert answer["error"]["type"] == "invalid_request_error"


async def test_an_upstream_that_is_down_is_a_502_and_its_failure_is_on_the_log(valkey_url: str, namespace: str) -> None:
    async with running_router([arm("small", closed_url(), closed_url())], valkey_url, namespace) as router:
        status, answer, headers = await router.post(CHAT, ask())
        assert (status, answer["error"]["code"]) == (502, "upstream_failed")
        decision = await router.decision(headers["x-highwayman-decision"])
        assert (decision["outcome"]["status"], decision["outcome"]["attempts"]) == ("failed", 2)


async def test_another_arm_answers_for_one_that_is_down_and_both_are_named(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("dead", closed_url()), arm("alive", upstream.url)]
    async with running_router(arms, valkey_url, namespace) as router:
        for _ in range(20):
            status, answer, headers = await router.post(CHAT, ask())
            assert (status, answer["model"], headers["x-highwayman-arm"]) == (200, "alive", "alive")
            decision = await router.decision(headers["x-highwayman-decision"])
            if decision["arm"] == "dead":
                break
        assert decision["arm"] == "dead"
        assert (decision["outcome"]["arm"], decision["outcome"]["attempts"]) == ("alive", 2)
        first, second = decision["outcome"]["tried"]
        assert (first["arm"], first["ending"], second["arm"], second["ending"]) == (
            "dead", "arms_fault", "alive", "answered",
        )  # fmt: skip
        assert first["why"] == "no connection to it could be made"
        said = {"decision_id": headers["x-highwayman-decision"], "value": True}
        await router.post(FEEDBACK, said)
        policy = await router.policy_until("alive", feedback=1)
        assert policy["arms"]["dead"]["feedback"] == 0
        assert policy["arms"]["dead"]["failures"] > 0
        assert policy["arms"]["alive"]["failures"] == 0


async def test_the_upstreams_own_refusal_is_passed_on(own_router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script(ANY, Fail(400, "this model's maximum context length is 12"))
    status, answer, headers = await own_router.post(CHAT, ask())
    assert status == 400
    assert "maximum context length" in answer["error"]["message"]
    assert (await own_router.decision(headers["x-highwayman-decision"]))["outcome"]["status"] == "refused"


async def test_an_upstream_that_answers_no_json_is_a_502(own_router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script(ANY, Garbage())
    status, answer, _ = await own_router.post(CHAT, ask())
    assert (status, answer["error"]["code"]) == (502, "upstream_failed")


async def test_a_stream_that_breaks_off_ends_with_an_error_event(
    own_router: Router, upstream: ScriptedUpstream
) -> None:
    upstream.script(ANY, BreakOff(Say("One two three four."), events=3))
    async with own_router.http.post(CHAT, json=ask(stream=True)) as response:
        raw = await response.read()
        decision_id = response.headers["x-highwayman-decision"]
    last = raw.strip().rpartition(b"data: ")[2]
    assert json.loads(last)["error"]["code"] == "upstream_failed"
    assert (await own_router.decision(decision_id))["outcome"]["status"] == "failed"


async def test_an_upstream_that_hangs_is_a_504(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> None:
    upstream.script(ANY, Hang())
    config = {"limits": {"first_byte_s": 0.2}}
    async with running_router([arm("slow", upstream.url)], valkey_url, namespace, config=config) as router:
        status, answer, headers = await router.post(CHAT, ask())
        assert (status, answer["error"]["type"]) == (504, "server_error")
        assert (await router.decision(headers["x-highwayman-decision"]))["outcome"]["status"] == "timeout"


async def test_a_client_that_goes_stops_the_upstream_and_leaves_an_outcome(
    router: Router, upstream: ScriptedUpstream
) -> None:
    upstream.script(ANY, Say("One two three.", hold=asyncio.Event()))
    async with router.http.post(CHAT, json=ask(stream=True)) as response:
        await response.content.readline()
        decision_id = response.headers["x-highwayman-decision"]
        response.close()
    await upstream.left()
    outcome = (await router.decision(decision_id))["outcome"]
    assert outcome["status"] == "client_gone"
    assert outcome["tokens_out"] > 0


async def test_feedback_that_cannot_be_is_refused_and_nothing_is_learned(
    router: Router, valkey_url: str, module_namespace: str
) -> None:
    _, _, headers = await router.post(CHAT, ask())
    mine = headers["x-highwayman-decision"]
    await router.decision(mine)
    forged = mine[:-2] + ("AA" if mine[-2:] != "AA" else "BB")
    before = await log_length(valkey_url, module_namespace)
    for wanted, body in [
        (404, {"decision_id": forged, "value": True}),
        (404, {"decision_id": "hw-unknown", "value": True}),
        (422, {"decision_id": mine, "value": 2}),
        (422, {"decision_id": mine, "value": "up"}),
        (422, {"decision_id": mine}),
        (422, {"decision_id": mine, "value": True, "weight": 100}),
        (422, {"decision_id": mine, "metric": "applause", "value": 1}),
        (422, {"decision_id": mine, "metric": "rating", "value": 0}),
        (400, b"{"),
        (400, b'{"decision_id": "x", "value": NaN}'),
    ]:
        status, answer, _ = await router.post(FEEDBACK, body)
        assert (status, answer["error"]["type"]) == (wanted, "invalid_request_error"), body
    assert await log_length(valkey_url, module_namespace) == before


async def test_keys_are_asked_for_where_some_are_configured(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    arms = [arm("small", upstream.url)]
    async with running_router(arms, valkey_url, namespace, api_keys=frozenset({"sesame"})) as router:
        status, answer, _ = await router.post(CHAT, ask())
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        assert (await router.get("/healthz"))[0] == 200
        router.http.headers["authorization"] = "Bearer sesame"  # type: ignore[index]
        assert (await router.post(CHAT, ask()))[0] == 200


async def test_a_callers_own_cost_weight_is_followed(router: Router) -> None:
    async with router.http.post(CHAT, json=ask(), headers={"x-highwayman-cost-weight": "0.9"}) as response:
        decision = await router.decision(response.headers["x-highwayman-decision"])
    small, large = decision["penalties"]
    assert 0.0 < small < large
    async with router.http.post(CHAT, json=ask(), headers={"x-highwayman-points-per-usd": "0"}) as response:
        decision = await router.decision(response.headers["x-highwayman-decision"])
    assert decision["penalties"] == [0.0, 0.0]
    async with router.http.post(CHAT, json=ask(), headers={"x-highwayman-cost-weight": "lots"}) as response:
        assert response.status == 400


async def test_what_quality_is_worth_is_told_and_is_what_penalties_are_made_of(router: Router) -> None:
    objectives = (await router.get("/v1/policy"))[1]["objectives"]
    span_usd = 0.9 * 1_256e-6  # from the small arm's call to the large one's
    assert objectives["auto"] == {
        "points_per_usd": pytest.approx(15 / span_usd, rel=0.005),
        "points_per_s": 0.0,
        "points_per_wh": 0.0,
    }
    assert objectives["auto-quality"]["points_per_usd"] == 0.0


async def test_the_policys_page_says_which_arms_take_traffic(router: Router) -> None:
    arms = (await router.get("/v1/policy"))[1]["arms"]
    assert {name: each["state"] for name, each in arms.items()} == dict.fromkeys(arms, "active")


async def test_a_query_no_arm_can_answer_is_refused_with_the_reasons(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    async with running_router([arm("tiny", upstream.url, window=64)], valkey_url, namespace) as router:
        status, answer, _ = await router.post(CHAT, ask("word " * 500))
        assert (status, answer["error"]["code"]) == (400, "no_eligible_model")
        assert "tiny has a window of 64 tokens" in answer["error"]["message"]


async def test_a_profile_is_applied_upstream(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> None:
    profile = Profile(system="Be brief.", few_shot=(("2+2?", "4"),), temperature=0.0, max_tokens=16)
    async with running_router([arm("terse", upstream.url, profile=profile)], valkey_url, namespace) as router:
        await router.post(CHAT, ask("3+3?", max_tokens=500))
    sent = upstream.requests[0]
    assert [message["content"] for message in sent["messages"]] == ["Be brief.", "2+2?", "4", "3+3?"]
    assert (sent["temperature"], sent["max_tokens"]) == (0.0, 16)


async def test_no_prompt_reaches_the_logs_or_the_metrics(
    own_router: Router, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.script(ANY, Fail(500), Say("ok"))
    await own_router.post(CHAT, ask("my secret is xyzzy"))
    await own_router.post(CHAT, b'{"model": "auto", "messages": [{"role": "user", "content": "xyzzy", "x": NaN}]}')
    async with own_router.http.get("/metrics") as response:
        metrics = await response.text()
    assert "highwayman_requests_total{" in metrics
    assert "\nhighwayman_tasks " in metrics
    assert "xyzzy" not in metrics + caplog.text


async def test_without_redis_answers_go_on_and_feedback_is_kept_until_it_is_back(
    upstream: ScriptedUpstream, tmp_path: Path, namespace: str
) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    await valkey.start()
    async with running_router([arm("small", upstream.url)], valkey.url, namespace) as router:
        _, _, headers = await router.post(CHAT, ask())
        await router.decision(headers["x-highwayman-decision"])  # its outcome is on the log
        await valkey.stop()
        status, _, without = await router.post(CHAT, ask())
        assert status == 200
        for decision in (headers, without):
            said = {"decision_id": decision["x-highwayman-decision"], "value": True}
            status, answer, _ = await router.post(FEEDBACK, said)
            assert (status, answer["state"]) == (200, "spooled")
        status, found = await router.get("/readyz")
        assert (status, found["degraded"], found["redis"], found["spooled_events"]) == (200, True, False, 4)
        await valkey.start()
        for decision in (headers, without):
            known = await router.decision(decision["x-highwayman-decision"], feedback=1)
            assert [said["value"] for said in known["feedback"]] == [1.0]
    await valkey.stop()


async def test_a_redis_that_stalls_delays_no_answer_much_and_loses_no_event(
    upstream: ScriptedUpstream, tmp_path: Path, namespace: str
) -> None:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    await valkey.start()
    async with running_router([arm("small", upstream.url)], valkey.url, namespace) as router:
        before = await log_length(valkey.url, namespace)
        client = connect(valkey.url)
        await client.execute_command("CLIENT", "PAUSE", 2000, "ALL")
        started = asyncio.get_running_loop().time()
        status, _, headers = await router.post(CHAT, ask())
        assert status == 200
        assert asyncio.get_running_loop().time() - started < 1.0
        assert (await router.decision(headers["x-highwayman-decision"]))["outcome"]["status"] == "ok"
        assert await log_length(valkey.url, namespace) == before + 2
        await client.aclose()
    await valkey.stop()
