"""Both clients against a started router: whatever is said and asked goes the whole way."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from highwayman.client import (
    AsyncClient,
    BadRequestError,
    Client,
    Conversation,
    NotFoundError,
    Request,
    Statement,
    UnprocessableError,
)
from highwayman.client.results import DecisionReport
from tests.client.conftest import Served

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(base_url=served.url) as client:
        yield client


def ask(served: Served, **headers: str) -> Any:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as asking:
        return asking.chat.completions.create(model="auto", messages=MESSAGES, extra_headers=headers)  # type: ignore[arg-type]


def until(read: Callable[[], DecisionReport], holds: Callable[[DecisionReport], bool]) -> DecisionReport:
    deadline = time.monotonic() + 10
    while not holds(report := read()):
        assert time.monotonic() < deadline, report
        time.sleep(0.01)
    return report


def test_a_thumb_on_an_answer_counts_and_the_decision_says_why_it_was_made(served: Served, client: Client) -> None:
    answer = ask(served)
    receipt = client.thumbs_up(answer, comment="just it", user="ann")
    report = until(lambda: client.decision(answer), lambda report: bool(report.feedback and report.outcome))
    assert receipt.state == "logged"
    assert receipt.decision_id == report.id
    assert report.reward is not None
    assert report.reward["quality"] == 1.0
    assert report.feedback[0].standing == "counts"
    assert report.feedback[0].text == "just it"
    assert report.why
    assert set(report.candidates) == {"small", "large"}


def test_a_program_with_more_files_open_than_select_knows_of_keeps_its_connections(served: Served) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1_200:
        pytest.skip("this machine allows no process as many")
    opened = [os.dup(0)]
    try:
        while opened[-1] < 1_100:
            opened.append(os.dup(0))
        with Client(base_url=served.url, max_retries=0) as many:
            assert many.policy() == many.policy()
    finally:
        for number in opened:
            os.close(number)


def test_what_was_said_is_taken_back_by_its_receipt_even_if_the_first_answer_was_lost(
    served: Served, client: Client
) -> None:
    answer = ask(served)
    receipt = client.say(answer, 4, metric="rating", idempotency_key="once")
    again = client.say(answer, 4, metric="rating", idempotency_key="once")
    assert again.id == receipt.id
    client.retract(receipt)
    report = until(lambda: client.decision(answer), lambda report: len(report.feedback) == 2)
    assert [told.standing for told in report.feedback] == ["replaced", "taken_back"]
    assert report.reward is None


def test_edits_comments_and_preferences_are_kept_with_the_decision(served: Served, client: Client) -> None:
    better, worse = ask(served), ask(served)
    until(lambda: client.decision(worse), lambda report: report.outcome is not None)
    decision = client.decision_of(better)
    decision.edited("Paris.")
    decision.comment("too long")
    decision.prefer_over(worse)
    report = until(decision.report, lambda report: len(report.feedback) == 3)
    assert {told.metric: told.standing for told in report.feedback} == {
        "demonstration": "no_quality",
        "comment": "no_quality",
        "preference": "compares",
    }


def test_an_answer_is_found_by_ids_of_ones_own(served: Served, client: Client) -> None:
    answer = ask(served, **{"x-request-id": "mine", "x-conversation-id": "chat"})
    until(lambda: client.decision(answer), lambda report: report.outcome is not None)
    client.thumbs_down(Request("mine"))
    client.thumbs_up(Conversation("chat"), user="bob")
    report = until(lambda: client.decision(answer), lambda report: len(report.feedback) == 2)
    assert sorted(told.value or 0.0 for told in report.feedback) == [0.0, 1.0]


def test_a_batch_files_what_it_can_and_says_of_the_rest_why_not(served: Served, client: Client) -> None:
    answer = ask(served)
    filed, refused, unknown = client.say_all(
        [Statement(answer, True), Statement(answer, 7, metric="rating"), Statement("hw-not-issued-here", True)]
    )
    assert getattr(filed, "state", None) == "logged"
    assert isinstance(refused, UnprocessableError)
    assert isinstance(unknown, NotFoundError)
    assert unknown.code == "decision_not_found"


def test_a_decision_without_a_call_is_completed_once(client: Client) -> None:
    route = client.route(MESSAGES)
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    first = client.outcome(route, usage=usage, latency_s=0.2)
    second = client.outcome(route, "failed")
    assert (first.state, second.state, second.status) == ("logged", "known", "ok")
    assert {candidate.arm for candidate in route.candidates} == {"small", "large"}
    with pytest.raises(BadRequestError, match="latency_s") as error:
        client.outcome(client.route(MESSAGES), usage=usage)
    assert error.value.param == "latency_s"


def test_operators_see_pages_of_decisions_and_let_a_challenger_in_and_out(client: Client) -> None:
    routes = [client.route(MESSAGES).id for _ in range(3)]
    listed = [row.id for row in client.each_decision(limit=2)]
    assert set(routes) <= set(listed), "over the end of the first page"
    assert client.policy().arms["small"].decisions >= 0
    assert client.savings().requests == 0
    assert client.promote("learned").challenger == "learned"
    assert client.rollback().challenger is None
    with pytest.raises(BadRequestError, match="no challenger 'lerned'"):
        client.promote("lerned")


async def test_the_async_client_says_and_asks_the_same(served: Served) -> None:
    async with (
        AsyncClient(base_url=served.url) as client,
        openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as asking,
    ):
        answer = await asking.chat.completions.create(model="auto", messages=MESSAGES)  # type: ignore[arg-type]
        receipt = await client.decision_of(answer).thumbs_down()
        again, refused = await client.say_all([Statement(answer, True), Statement(answer, True, metric="none")])
        assert receipt.value == 0.0
        assert getattr(again, "value", None) == 1.0
        assert isinstance(refused, UnprocessableError)
        assert (await client.route(MESSAGES)).id in [row.id async for row in client.each_decision()]
        with pytest.raises(NotFoundError):
            await client.thumbs_up("hw-not-issued-here")
