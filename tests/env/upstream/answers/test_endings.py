"""What an answer, an event or an error is taken for, without a server."""

import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from highwayman.env.upstream.answers.endings import (
    ANSWERED,
    Account,
    AttemptFailed,
    Ending,
    account_of_answer,
    account_of_event,
    account_of_exception,
    account_of_status,
    is_meaningful,
    retry_after_s,
)
from highwayman.env.upstream.answers.lines import AnswerSizes
from highwayman.env.upstream.answers.stream_opening import StreamOpening

NOON = 1_790_251_200.0  # Thu, 24 Sep 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None), ("17", 17.0), ("0.5", 0.5), ("0", 0.0), ("-3", 0.0), ("3600", 3600.0), ("3601", 3600.0),
        ("inf", None), ("nan", None), ("soon", None), ("", None),
        ("Thu, 24 Sep 2026 12:00:30 GMT", 30.0), ("Thu, 24 Sep 2026 11:59:00 GMT", 0.0),
        ("Fri, 25 Sep 2026 12:00:00 GMT", 3600.0),
    ],
)  # fmt: skip
def test_a_rest_is_asked_for_in_seconds_or_by_a_date_and_is_an_hour_at_most(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_s(value, now=NOON) == seconds


@pytest.mark.parametrize(
    ("status", "body", "ending", "told"),
    [
        (200, b"whatever", Ending.ANSWERED, 200),
        (400, b"bad temperature", Ending.CALLERS_FAULT, 400),
        (400, b"API key not valid", Ending.ARMS_FAULT, 502),
        (422, b"API key not valid", Ending.CALLERS_FAULT, 422),
        (404, b"", Ending.ARMS_FAULT, 502),
        (429, b"", Ending.ARMS_FAULT, 429),
        (503, b"", Ending.ARMS_FAULT, 503),
        (500, b"maximum context length is 5 tokens", Ending.ARMS_FAULT, 502),
        (413, b"maximum context length is 5 tokens", Ending.WINDOW_TOO_SMALL, 413),
        (399, b"", Ending.ARMS_FAULT, 502),
        (499, b"", Ending.CALLERS_FAULT, 499),
        (302, b"", Ending.ARMS_FAULT, 502),
        (400, b"Your credit balance is too low to access the Anthropic API.", Ending.ARMS_FAULT, 502),
        (400, b'{"error":{"message":"Insufficient Balance"}}', Ending.ARMS_FAULT, 502),
        (400, b'{"error":{"code":"billing_hard_limit_reached"}}', Ending.ARMS_FAULT, 502),
        (400, b"m is not a valid model ID", Ending.ARMS_FAULT, 502),
        (400, b"Write about my credit, balance and funds", Ending.CALLERS_FAULT, 400),
        (400, b"<html><title>The plain HTTP request was sent to HTTPS port</title></html>", Ending.ARMS_FAULT, 502),
        (405, b"\n<!DOCTYPE html>", Ending.ARMS_FAULT, 502),
        (413, b"<html>Request Entity Too Large</html>", Ending.CALLERS_FAULT, 413),
    ],
)
def test_a_status_is_somebodys_fault(status: int, body: bytes, ending: Ending, told: int) -> None:
    account = account_of_status(status, body, {}, now=NOON)
    assert (account.ending, account.status) == (ending, told)
    assert account.why == {
        Ending.ANSWERED: "", Ending.WINDOW_TOO_SMALL: "its context window is too small"
    }.get(ending, f"answered {status}")  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said", "others_may"),
    [
        (400, "Unsupported value: 'temperature' does not support 0.2 with this model.", True),
        (400, '{"error":{"param":"max_tokens","code":"unsupported_parameter"}}', True),
        (404, "No endpoints found that support image input", True),
        (403, "openai/gpt-4o requires moderation on OpenAI. Your input was flagged", True),
        (400, "'logprobs' is not supported with this model", False),
        (400, "The response was filtered due to the prompt triggering a content management policy.", False),
    ],
)
def test_what_only_one_model_does_not_do_is_no_fault_of_its_server_and_others_are_tried(
    status: int, said: str, others_may: bool
) -> None:
    account = account_of_status(status, said.encode(), {}, now=NOON)
    assert (account.ending, account.status, account.others_may) == (Ending.CALLERS_FAULT, status, others_may)


@pytest.mark.parametrize(
    ("code", "said", "ending", "status"),
    [
        (400, "invalid temperature", Ending.CALLERS_FAULT, 400), ("422", "invalid", Ending.CALLERS_FAULT, 422),
        (400, "credit balance is too low", Ending.ARMS_FAULT, 502), (401, "who?", Ending.ARMS_FAULT, 502),
        (429, "slow down", Ending.ARMS_FAULT, 429), ("503", "soon", Ending.ARMS_FAULT, 503),
        (502, "provider gone", Ending.ARMS_FAULT, 502), ("bad_request", "no", Ending.ARMS_FAULT, 502),
        (4, "no", Ending.ARMS_FAULT, 502), (True, "no", Ending.ARMS_FAULT, 502),
    ],
)  # fmt: skip
def test_an_error_inside_an_answer_is_whose_its_code_says(code: Any, said: str, ending: Ending, status: int) -> None:
    account = account_of_event({"error": {"message": said, "code": code}})
    assert account is not None
    assert (account.ending, account.status, account.why) == (ending, status, "answered with an error")
    assert (said.encode() in account.told) == (ending is Ending.CALLERS_FAULT)


def test_a_rest_in_milliseconds_counts_before_one_in_seconds() -> None:
    for told, rest_s in (({"retry-after-ms": "6500", "retry-after": "7"}, 6.5), ({"retry-after-ms": "soon"}, None)):
        assert account_of_status(429, b"", told, now=NOON).rest_s == rest_s


def test_a_rest_is_read_off_a_failure_and_a_missing_model_off_its_words() -> None:
    busy = account_of_status(429, b"", {"retry-after": "Thu, 24 Sep 2026 12:00:30 GMT"}, now=NOON)
    assert (busy.rest_s, busy.model_missing) == (30.0, False)
    for status, body, missing in (
        (404, b"The model `x` does not exist.", True),
        (404, b'{"code":"model_not_found"}', True),
        (404, b"404 page not found", False),
        (500, b"The model `x` does not exist.", False),
    ):
        assert account_of_status(status, body, {}, now=NOON).model_missing == missing


def test_only_the_first_words_of_an_error_are_read() -> None:
    said = b"maximum context length is 512 tokens"
    near, far = (account_of_status(400, b" " * n + said, {}, now=NOON) for n in (3_900, 4_000))
    assert (near.ending, near.window_tokens) == (Ending.WINDOW_TOO_SMALL, 512)
    assert far.ending is Ending.CALLERS_FAULT


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ("This model's maximum context length is 8,192 tokens", 8192),
        ("context length 0", None),
        ("exceeds the available context size", None),
        ("context window of 99999999999999999999", 999_999_999_999),
        ("prompt is too long: 208310 tokens > 200000 maximum", 200_000),
    ],
)
def test_a_window_is_as_large_as_its_server_says_where_it_says_something_that_can_be(
    said: str, tokens: int | None
) -> None:
    assert account_of_status(400, said.encode(), {}, now=NOON).window_tokens == tokens
    inside = account_of_event({"error": {"message": said}})
    assert inside is not None
    assert (inside.ending, inside.window_tokens, inside.status) == (Ending.WINDOW_TOO_SMALL, tokens, 400)


@pytest.mark.parametrize(
    "event",
    [
        {"error": "no"}, {"error": {"message": "no"}}, {"object": "error", "message": "no"},
        {"type": "error", "message": "no"}, {"choices": [{"error": {"message": "no"}}]},
        {"choices": [{"delta": {}}, {"finish_reason": "error"}]},
    ],
)  # fmt: skip
def test_an_error_inside_an_answer_is_its_arms_fault_and_its_words_are_not_told(event: Any) -> None:
    for account in (account_of_event(event), account_of_answer(event)):
        assert account == Account(Ending.ARMS_FAULT, "answered with an error")


@pytest.mark.parametrize(
    ("choice", "ending", "status"),
    [
        ({"error": {"message": "slow down", "code": 429}}, Ending.ARMS_FAULT, 429),
        ({"error": {"message": "flagged", "code": 403}, "finish_reason": "error"}, Ending.CALLERS_FAULT, 403),
        ({"delta": {"content": "the maximum context length is 5"}, "finish_reason": "error"}, Ending.ARMS_FAULT, 502),
    ],
)
def test_an_error_in_a_choice_is_whose_it_says_and_what_was_said_before_is_no_part_of_it(
    choice: Any, ending: Ending, status: int
) -> None:
    account = account_of_event({"choices": [choice]})
    assert account is not None
    assert (account.ending, account.status) == (ending, status)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "error",
        {},
        {"error": None},
        {"object": "chat"},
        {"choices": ["error"]},
        {"choices": [{"error": None}]},
    ],
)
def test_what_tells_of_no_error_is_none(event: Any) -> None:
    assert account_of_event(event) is None


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        ({"choices": [{"message": {}}]}, True),
        ({"choices": [{"text": ""}]}, True),
        ({"choices": [{"message": {}}, {}]}, False),
        ({"choices": [{"text": 1}]}, False),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}, True),
        ({"choices": []}, False),
        ({"choices": {"message": {}}}, False),
        ([], False),
    ],
)
def test_an_answer_has_choices_that_all_say_something(answer: Any, is_one: bool) -> None:
    account = account_of_answer(answer)
    assert account == (ANSWERED if is_one else Account(Ending.ARMS_FAULT, "answered without choices"))


@pytest.mark.parametrize(
    ("message", "reason", "tokens", "is_one"),
    [
        ({"content": None}, "stop", (56_447, 0), False),
        ({"content": ""}, "stop", (56_447, 1), True),  # its end
        ({"content": ""}, "stop", (0, 0), True),  # nobody counts
        ({"content": "hm"}, "stop", (56_447, 0), True),
        ({"content": None, "tool_calls": [{}]}, "stop", (56_447, 0), True),
        ({"content": ""}, "content_filter", (56_447, 0), True),
    ],
)
def test_who_tells_that_no_token_was_written_has_not_answered(
    message: Any, reason: str, tokens: tuple[int, int], is_one: bool
) -> None:
    usage = dict(zip(("prompt_tokens", "completion_tokens"), tokens, strict=True))
    answer = {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": reason}], "usage": usage}
    assert account_of_answer(answer) == (ANSWERED if is_one else Account(Ending.ARMS_FAULT, "ended without an answer"))
    events = [{"choices": [{"delta": message}]}, {"choices": [{"delta": {}, "finish_reason": reason}]}]
    opening = StreamOpening(AnswerSizes())
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events, {"choices": [], "usage": usage})]
    with suppress(AttemptFailed):
        while lines and not opening.begun:
            opening.feed(lines.pop(0))
        opening.finish()
    assert opening.begun == is_one


@pytest.mark.parametrize(
    ("choice", "begins"),
    [
        ({"delta": {"role": "assistant"}}, False), ({"delta": {"role": "assistant", "content": ""}}, False),
        ({"delta": {"name": "m", "provider_specific_fields": {"x": None}}}, False),
        ({"delta": {"content": "x"}}, True), ({"delta": {"tool_calls": [{}]}}, True), ({"text": "x"}, True),
        ({"delta": {"reasoning_details": [{"type": "reasoning.text", "text": "", "index": 0}]}}, False),
        ({"delta": {"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}}, True),
        ({"text": ""}, False), ({"finish_reason": "stop", "delta": {}}, True), ({"finish_reason": None}, False),
        ({"message": {}}, True), ({"delta": None}, False), ("odd", False),
    ],
)  # fmt: skip
def test_an_answer_begins_with_words_a_call_or_its_end(choice: Any, begins: bool) -> None:
    assert is_meaningful({"choices": [choice]}) == begins
    assert is_meaningful({"choices": [{}, choice]}) == begins
    assert not is_meaningful([choice])
    assert not is_meaningful({"choices": choice})


@pytest.mark.parametrize(
    ("error", "account"),
    [
        (TimeoutError(), Account(Ending.ARMS_FAULT, "it did not answer in time", 504)),
        (ConnectionRefusedError(), Account(Ending.ARMS_FAULT, "no connection to it could be made")),
        (aiohttp.ClientPayloadError(), Account(Ending.ARMS_FAULT, "the connection broke (ClientPayloadError)")),
        (AttemptFailed(Account(Ending.TOOLS_REFUSED, "none", 400)), Account(Ending.TOOLS_REFUSED, "none", 400)),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_is_told_in_words_without_addresses(error: BaseException, account: Account) -> None:
    assert account_of_exception(error) == account
