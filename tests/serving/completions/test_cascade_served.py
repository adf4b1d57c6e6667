"""Cascades over HTTP: a router, scripted servers whose answers can be told apart, and what the log says of each."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Decision
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from tests.serving.completions.test_tool_loops_served import TOOLS, CallTool
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import Body, BreakOff, Fail, Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
SURE, UNSURE = -0.01, -2.0
NAMESPACE = "cascade-served"
MARGIN = {"gate": {"signal": "token_logprob", "threshold": -1.0}, "signals": ["Logprobs", "Refusal"], "floor": 0.0}
CONFIG = {"cascade": MARGIN, "policy": {"floor": 0.0}}


@dataclass(frozen=True, slots=True)
class Doubt(Say):
    """An answer with log probabilities where the request asks for them."""

    logprob: float = SURE

    def whole(self, body: Body) -> Body:
        answer = Say.whole(self, body)
        answer["choices"][0]["logprobs"] = self._logprobs(self.text_for(body)) if body.get("logprobs") else None
        return answer

    def events(self, body: Body) -> list[bytes]:
        if not body.get("logprobs"):
            return Say.events(self, body)
        chunks = [json.loads(event[5:]) for event in Say.events(self, body)[:-1]]
        for chunk in chunks:
            for choice in chunk["choices"]:
                word = choice["delta"].get("content")
                choice["logprobs"] = self._logprobs(word) if word else None
        return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    def _logprobs(self, text: str) -> Body:
        tops = [{"token": token, "logprob": logprob} for token, logprob in (("a", self.logprob), ("b", -4.0))]
        return {"content": [{"token": "a", "logprob": self.logprob, "top_logprobs": tops}] * len(text.split())}


@dataclass(frozen=True, slots=True)
class NoLogprobs(Say):
    """A server that refuses log probabilities."""

    async def serve(self, request: Any, body: Body) -> Any:
        if body.get("logprobs"):
            return await Fail(400, "logprobs are not supported").serve(request, body)
        return await Say.serve(self, request, body)


def arms(upstream: ScriptedUpstream, **more: float) -> list[Arm]:
    """Two arms, one ten times as dear; and more of them, at their prices."""
    prices = {"cheap": 1.0, "dear": 10.0, **more}
    return [replace(arm(name, upstream.url, price=price), tools=True) for name, price in prices.items()]


@dataclass(frozen=True, slots=True)
class Served:
    router: Router
    upstream: ScriptedUpstream
    redis_url: str

    def script(self, cheap: Any, dear: Any = Say("From dear.")) -> None:  # noqa: B008
        self.upstream.requests.clear()
        self.upstream.script("cheap-upstream", cheap)
        self.upstream.script("dear-upstream", dear)

    async def ask(
        self, text: str = "What?", *, headers: dict[str, str] | None = None, **body: Any
    ) -> tuple[str, dict[str, Any], Any]:
        """The text that came, the decision as it is shown, and the response's headers."""
        async with self.router.http.post(CHAT, json=ask(text, **body), headers=headers) as response:
            raw = await response.read()
            assert response.status == 200, raw
        assert re.search(rb'"logprobs":\s*\{', raw) is None
        decision = await self.router.decision(response.headers["x-highwayman-decision"])
        return text_of(raw), decision, response.headers

    async def newest_decision(self) -> str:
        """The id of the decision that is last on the log."""
        client = connect(self.redis_url)
        events = await Store(client, NAMESPACE).read(START, count=10_000, block_s=0)
        await client.aclose()
        decoded = [decode(data) for _, data, _ in events]
        return [event.id for event in decoded if isinstance(event, Decision)][-1]

    def asked(self) -> list[str]:
        return [body["model"].removesuffix("-upstream") for body in self.upstream.requests]


def text_of(raw: bytes) -> str:
    if raw.startswith(b"{"):
        return str(json.loads(raw)["choices"][0]["message"]["content"])
    events = [json.loads(line[5:]) for line in raw.split(b"\n") if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(valkey_url: str) -> AsyncIterator[Served]:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream), valkey_url, NAMESPACE, config=CONFIG) as router,
    ):
        yield Served(router, upstream, valkey_url)


@pytest_asyncio.fixture(loop_scope="module")
async def anew(served: Served, namespace: str) -> AsyncIterator[Served]:
    """A router that has seen no server fail."""
    async with running_router(arms(served.upstream), served.redis_url, namespace, config=CONFIG) as router:
        yield Served(router, served.upstream, served.redis_url)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_sure_is_served_by_the_cheap_arm_alone(served: Served, stream: bool) -> None:
    served.script(Doubt("Paris it is.", logprob=SURE))
    text, decision, headers = await served.ask(stream=stream)
    assert (text, served.asked(), headers["x-highwayman-cascade"]) == ("Paris it is.", ["cheap"], "cheap")
    (stage,) = decision["outcome"]["stages"]
    assert (decision["mode"], stage["arm"], stage["went_on"], stage["goes_on"]) == ("cascade", "cheap", False, 0.0)
    (options,) = (flag for flag in decision["context"]["flags"] if flag.startswith("options:"))
    charged = np.add(decision["penalties"], [float(value) for value in options.removeprefix("options:").split(",")])
    # Estimates take what was charged, without the option.
    assert charged.min() == pytest.approx(0.0, abs=0.01)
    assert min(decision["penalties"]) < -0.5
    assert stage["signals"]["token_logprob"] == pytest.approx(SURE)
    assert stage["cost_usd"] == decision["outcome"]["cost_usd"] == pytest.approx(12e-6)


@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_of_an_answer_that_is_unsure_reaches_the_client_and_both_are_paid(
    served: Served, stream: bool
) -> None:
    served.script(Doubt("Rome perhaps.", logprob=UNSURE), Doubt("Paris it is."))
    text, decision, headers = await served.ask(stream=stream)
    assert (text, served.asked(), headers["x-highwayman-cascade"]) == ("Paris it is.", ["cheap", "dear"], "cheap, dear")
    outcome = decision["outcome"]
    assert (outcome["arm"], headers["x-highwayman-arm"], outcome["tokens_out"]) == ("dear", "dear", 5)
    (stage,) = outcome["stages"]
    assert (stage["arm"], stage["went_on"], stage["goes_on"], stage["next_arm"]) == ("cheap", True, 1.0, "dear")
    assert (stage["cost_usd"], outcome["cost_usd"]) == (pytest.approx(12e-6), pytest.approx(132e-6))
    assert 0 < stage["seconds"] <= outcome["ttft_s"] <= outcome["latency_s"]
    assert [attempt["ending"] for attempt in outcome["tried"]] == ["answered", "answered"]


async def test_the_last_arms_stream_passes_through_as_it_comes(served: Served) -> None:
    say = Say("One two three.", hold=asyncio.Event())
    served.script(Doubt(logprob=UNSURE), say)
    async with served.router.http.post(CHAT, json=ask(stream=True)) as response, asyncio.timeout(10):
        first = await response.content.readuntil(b"One")
        assert b"Hello" not in first
        say.hold.set()  # type: ignore[union-attr]
        assert b"three." in await response.read()


async def test_an_unsure_answer_is_served_where_nobody_else_answers(anew: Served) -> None:
    anew.script(Doubt("Rome perhaps.", logprob=UNSURE), Fail(500))
    text, decision, headers = await anew.ask()
    outcome = decision["outcome"]
    assert (text, headers["x-highwayman-arm"], headers["x-highwayman-cascade"]) == ("Rome perhaps.", "cheap", "cheap")
    (stage,) = outcome["stages"]
    assert (stage["went_on"], stage["goes_on"], stage["next_arm"]) == (False, 0.0, "")  # nobody was left
    assert (outcome["arm"], outcome["status"], outcome["tokens_out"]) == ("cheap", "ok", 5)
    assert outcome["cost_usd"] == pytest.approx(12e-6)
    assert {attempt["arm"] for attempt in outcome["tried"] if attempt["ending"] == "arms_fault"} == {"dear"}


@pytest.mark.parametrize(
    ("middle", "dear", "text", "served_by", "stages", "price"),
    [
        (Doubt("Bern?", logprob=UNSURE), Say("Paris."), "Paris.", "dear", [True, True], 16.0),
        (Doubt("Bern?", logprob=UNSURE), Fail(500), "Bern?", "middle", [True, False], 6.0),
        (Doubt("Bern.", logprob=SURE), Fail(500), "Bern.", "middle", [True, False], 6.0),
        (Fail(500), Say("Paris."), "Rome?", "cheap", [False], 1.0),
        (BreakOff(Doubt("Bern? It is Bern.")), Say("Paris."), "Rome?", "cheap", [False], None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_of_three_stages_the_last_answer_that_there_is_gets_served(
    served: Served, namespace: str, *, middle: Any, dear: Any, text: str, served_by: str, stages: list[bool],
    price: float | None, stream: bool,
) -> None:  # fmt: skip
    pool = arms(served.upstream, middle=5.0)
    config = {**CONFIG, "cascade": {**MARGIN, "max_stages": 3}}
    async with running_router(pool, served.redis_url, namespace, config=config) as router:
        checked = Served(router, served.upstream, served.redis_url)
        checked.script(Doubt("Rome?", logprob=UNSURE), dear)
        served.upstream.script("middle-upstream", middle)
        said, decision, headers = await checked.ask(stream=stream)
    outcome = decision["outcome"]
    assert (said, outcome["arm"], headers["x-highwayman-arm"], outcome["status"]) == (text, served_by, served_by, "ok")
    assert [stage["went_on"] for stage in outcome["stages"]] == stages
    assert price is None or outcome["cost_usd"] == pytest.approx(price * 12e-6)
    assert headers["x-highwayman-cascade"].split(", ")[-1] == served_by


async def test_a_first_arm_that_fails_fails_over_as_ever(anew: Served) -> None:
    anew.script(Fail(500), Doubt("Paris."))
    text, decision, _ = await anew.ask()
    assert (text, decision["outcome"]["arm"]) == ("Paris.", "dear")


async def test_a_stream_that_breaks_off_while_it_is_held_is_another_arms_to_answer(anew: Served) -> None:
    anew.script(BreakOff(), Say("From dear."))
    text, decision, _ = await anew.ask(stream=True)
    assert text == "From dear."
    assert [attempt["ending"] for attempt in decision["outcome"]["tried"]] == ["broke_off", "answered"]
    assert decision["outcome"]["status"] == "ok"


async def test_an_answer_that_is_held_is_one_success_of_its_server(
    anew: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    credited: list[str] = []
    monkeypatch.setattr(EndpointHealth, "on_success", lambda health, endpoint, model="": credited.append(model))
    anew.script(Doubt("Perhaps.", logprob=UNSURE), Doubt("Paris."))
    text, _, _ = await anew.ask(stream=True)
    assert (text, credited) == ("Paris.", ["cheap-upstream", "dear-upstream"])


async def test_who_does_not_want_a_cascade_gets_the_first_arms_answer_untouched(served: Served) -> None:
    served.script(Doubt(logprob=UNSURE), Doubt(logprob=UNSURE))
    _, decision, headers = await served.ask(headers={"x-highwayman-cascade": "off"})
    assert (len(served.upstream.requests), decision["mode"]) == (1, "route")
    assert "stages" not in decision["outcome"]
    assert "x-highwayman-cascade" not in headers
    assert "logprobs" not in served.upstream.requests[0]
    async with served.router.http.post(CHAT, json=ask(), headers={"x-highwayman-cascade": "perhaps"}) as response:
        assert response.status == 400
        assert "x-highwayman-cascade: must be true or false" in await response.text()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_rejected_call_of_a_tool_reaches_nobody(served: Served, stream: bool, namespace: str) -> None:
    gate = {"gate": {"signal": "tool_arguments_valid", "threshold": 0.5}, "signals": ["ToolArguments"], "floor": 0.0}
    config = {**CONFIG, "cascade": gate}
    async with running_router(arms(served.upstream), served.redis_url, namespace, config=config) as router:
        checked = Served(router, served.upstream, served.redis_url)
        checked.script(CallTool(lambda number: "call-1"), Say("No tool is needed."))
        offered = [{"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}]
        text, decision, _ = await checked.ask(tools=offered, stream=stream)  # the call is one of "f"
        assert (text, checked.asked()) == ("No tool is needed.", ["cheap", "dear"])
        assert decision["outcome"]["stages"][0]["signals"]["tool_arguments_valid"] == 0.0
        text, _, _ = await checked.ask(tools=TOOLS, stream=stream)
        assert (text, checked.asked()) == ("None" if not stream else "", ["cheap", "dear", "cheap"])


async def test_a_tools_result_is_read_by_one_arm(served: Served) -> None:
    served.script(CallTool(lambda number: "call-1"))
    async with served.router.http.post(CHAT, json=ask(tools=TOOLS)) as response:
        message = (await response.json())["choices"][0]["message"]
    served.script(Doubt(logprob=UNSURE))
    result = {"role": "tool", "tool_call_id": "call-1", "content": "4"}
    messages = [*ask()["messages"], message, result]
    async with served.router.http.post(CHAT, json={**ask(tools=TOOLS), "messages": messages}) as response:
        assert response.headers["x-highwayman-arm"] == "cheap"
        assert "x-highwayman-cascade" not in response.headers
    assert served.asked() == ["cheap"]


async def test_who_asks_for_log_probabilities_gets_them(served: Served) -> None:
    served.script(Doubt("Paris.", logprob=SURE))
    _, body, _ = await served.router.post(CHAT, ask(logprobs=True))
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] == SURE
    assert "top_logprobs" not in served.upstream.requests[0]  # what the caller asks for is as they ask for it


async def test_a_server_that_refuses_log_probabilities_is_asked_without_them_from_then_on(served: Served) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream)[:1], served.redis_url, f"{NAMESPACE}-1", config={"cascade": {}}) as router,
    ):
        upstream.script("cheap-upstream", NoLogprobs("Paris."))
        for _ in range(2):
            status, _, _ = await router.post(CHAT, ask())
            assert status == 200
        assert [bool(body.get("logprobs")) for body in upstream.requests] == [True, False, False]


async def test_a_client_that_leaves_while_the_next_arm_is_asked_leaves_an_outcome_with_the_first_stage(
    served: Served,
) -> None:
    say = Say("late", before=asyncio.Event())
    served.script(Doubt(logprob=UNSURE), say)
    asking = asyncio.create_task(served.ask())
    await served.upstream.asked(2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    say.before.set()  # type: ignore[union-attr]
    outcome = (await served.router.decision(await served.newest_decision()))["outcome"]
    assert (outcome["status"], outcome["arm"]) == ("client_gone", "dear")
    assert [stage["went_on"] for stage in outcome["stages"]] == [True]
    assert outcome["cost_usd"] == pytest.approx(12e-6 + 6 * 10e-6)  # and the prompt that the dear one had read


async def test_calls_about_an_answer_are_made_before_it_is_settled_and_paid_as_part_of_its_stage(
    served: Served, namespace: str
) -> None:
    def said(body: Body) -> str:
        return "Yes." if body["messages"][0]["role"] == "system" else "42"

    signals = [{"Verification": {"arm": "dear"}}, {"Agreement": {"samples": 2}}]
    gate = {"gate": {"signal": "verified", "threshold": 0.5}, "signals": signals, "floor": 0.0}
    config = {**CONFIG, "cascade": gate}
    async with running_router(arms(served.upstream), served.redis_url, namespace, config=config) as router:
        checked = Served(router, served.upstream, served.redis_url)
        checked.script(Say(said), Say(said))
        text, decision, _ = await checked.ask("6 * 7?", stream=True)
    (stage,) = decision["outcome"]["stages"]
    assert (text, sorted(checked.asked())) == ("42", ["cheap", "cheap", "cheap", "dear"])
    assert {"verified": 1.0, "agreement": 1.0}.items() <= stage["signals"].items()
    assert stage["cost_usd"] == decision["outcome"]["cost_usd"] == pytest.approx((3 * 1.0 + 10.0) * 12e-6)
    assert decision["outcome"]["tokens_out"] == 5  # of the answer itself
    assert [attempt["arm"] for attempt in decision["outcome"]["tried"]] == ["cheap"]


class Broken:
    """A signal of the user's own, with a fault."""

    names = ("broken",)
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: Any) -> dict[str, float]:
        raise KeyError("payload")


async def test_a_signal_that_fails_tells_nothing_and_the_answer_is_none_the_worse(
    served: Served, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    signals = [f"{__name__}:Broken", "Refusal"]
    for gate in ({"signal": "refusal", "threshold": -1.0}, "learned"):
        config = {**CONFIG, "cascade": {"gate": gate, "signals": signals}}
        space = f"{namespace}-{len(gate)}"
        async with running_router(arms(served.upstream), served.redis_url, space, config=config) as router:
            checked = Served(router, served.upstream, served.redis_url)
            checked.script(Say("Paris."), Say("Paris."))
            text, decision, _ = await checked.ask()
        (stage,) = decision["outcome"]["stages"]
        assert (text, stage["signals"]["refusal"], "broken" in stage["signals"]) == ("Paris.", 0.0, False)
    assert "signal Broken failed: KeyError" in caplog.text
    assert "payload" not in caplog.text


async def test_a_gate_is_learned_from_thumbs_whichever_answers_it_lets_through(served: Served, namespace: str) -> None:
    dial = {"points_per_usd": {"auto": 150_000.0}}  # the dear arm costs .18 of quality
    async with running_router(
        arms(served.upstream), served.redis_url, namespace, config={"cascade": {}, "objective": dial}
    ) as router:
        checked, asked = Served(router, served.upstream, served.redis_url), list[tuple[bool, str]]()
        for number in range(110):
            if number % 5 == 0:  # what was said is learned, however fast it was said
                async with asyncio.timeout(10):
                    while (
                        sum(each["feedback"] for each in (await router.get("/v1/policy"))[1]["arms"].values()) < number
                    ):
                        await asyncio.sleep(0.02)
            hard = number % 2 == 1
            cheap = Doubt("Wrong.", logprob=UNSURE) if hard else Doubt("Right.", logprob=SURE)
            checked.script(cheap, Doubt("Right."))
            _, answer, headers = await router.post(CHAT, ask())
            is_right = answer["choices"][0]["message"]["content"] == "Right."
            said = {"decision_id": headers["x-highwayman-decision"], "metric": "thumbs", "value": float(is_right)}
            await router.post("/v1/feedback", said)
            asked.append((hard, ", ".join(checked.asked())))
    late = asked[70:]
    assert late.count((False, "cheap")) >= 12  # of 20: the sure one is served, and nobody else is asked
    assert late.count((True, "cheap, dear")) >= 7  # the others begin with the dear arm
    assert late.count((True, "cheap")) <= 1


async def test_what_the_control_slice_draws_is_served_as_it_comes_and_alone_tells_of_its_baseline(
    served: Served, namespace: str
) -> None:
    config = {**CONFIG, "control": {"share": 0.5, "baseline": "cheap"}}
    served.script(Doubt("Rome perhaps.", logprob=UNSURE), Doubt("Paris it is."))
    seen = {}
    async with running_router(arms(served.upstream), served.redis_url, namespace, config=config) as router:
        own = Served(router, served.upstream, served.redis_url)
        while len(seen) < 2:
            text, decision, _ = await own.ask()
            flags = decision["context"]["flags"]
            (told,) = [flag.removeprefix("baseline:0.5:") for flag in flags if flag.startswith("baseline:")]
            seen["control" in flags] = text, decision["mode"], float(told) / decision["propensity"]
        savings = (await router.get("/v1/savings"))[1]
    assert seen[True] == ("Rome perhaps.", "cascade", pytest.approx(2.0))
    assert seen[False] == ("Paris it is.", "cascade", 0.0)
    assert savings["slice"]["share"] == 0.5


async def test_metrics_count_each_answer_where_it_was_given(anew: Served) -> None:
    anew.script(Doubt("Rome perhaps.", logprob=UNSURE), Doubt("Paris it is."))
    await anew.ask()
    async with anew.router.http.get("/metrics") as response:
        metrics = (await response.text()).splitlines()
    assert {
        'highwayman_requests_total{arm="dear",mode="cascade",status="ok"} 1.0',
        'highwayman_cascade_stages_total{arm="cheap",fate="rejected"} 1.0',
        'highwayman_tokens_total{arm="cheap",direction="out"} 5.0',
        'highwayman_tokens_total{arm="dear",direction="out"} 5.0',
        'highwayman_attempts_total{arm="cheap",ending="answered"} 1.0',
    } <= set(metrics)
    (rejected,) = [line for line in metrics if line.startswith("highwayman_cascade_rejected_usd_total{")]
    assert float(rejected.split()[-1]) == pytest.approx(12e-6)
    failovers = [line for line in metrics if line.startswith("highwayman_failovers_total{")]
    assert [line.split()[-1] for line in failovers] == ["0.0", "0.0"]
