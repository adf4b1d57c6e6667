import copy
from typing import Any

import pytest

from highwayman.env.pool.profile import as_taken, upstream_body, within_window
from highwayman.env.types import Arm, Profile, Quirks

HELLO = {"role": "user", "content": "Hello"}


def chat(profile: Profile | None = None, **body: Any) -> dict[str, Any]:
    """Return the chat request sent upstream for one of ours with `body` on top, and check ours was left alone."""
    return _sent({"model": "auto", "messages": [HELLO], **body}, profile or Profile(), chat=True)


def completion(prompt: Any, profile: Profile) -> Any:
    return _sent({"model": "auto", "prompt": prompt}, profile, chat=False)["prompt"]


def _sent(asked: dict[str, Any], profile: Profile, *, chat: bool) -> dict[str, Any]:
    before = copy.deepcopy(asked)
    arm = Arm("a", ("http://h:1",), "org/Model", None, None, 4096, profile=profile)
    sent = upstream_body(asked, arm, chat=chat)
    assert asked == before
    return sent


def test_a_plain_arm_changes_the_model_and_nothing_else() -> None:
    extra: dict[str, Any] = {"temperature": 0.2, "max_tokens": 9, "logit_bias": {"1": 2}, "top_k": 5, "stop": None}
    assert chat(**extra) == {"model": "org/Model", "messages": [HELLO], **extra}


def test_the_system_text_comes_first() -> None:
    assert chat(Profile(system="Be brief."))["messages"] == [{"role": "system", "content": "Be brief."}, HELLO]


@pytest.mark.parametrize(
    ("own", "joined"),
    [
        ("Speak French.", "Speak French."),
        ([{"type": "text", "text": "Speak"}, {"type": "text", "text": "French."}], "Speak\nFrench."),
    ],
    ids=["text", "parts"],
)
def test_the_callers_system_text_follows_the_profiles_in_the_one_system_message(own: Any, joined: str) -> None:
    messages = [{"role": "system", "content": own}, HELLO]
    assert chat(Profile(system="Be brief."), messages=messages)["messages"] == [
        {"role": "system", "content": f"Be brief.\n\n{joined}"},
        HELLO,
    ]


def test_a_profile_without_texts_leaves_the_callers_messages_as_they_are() -> None:
    messages = [{"role": "system", "content": [{"type": "text", "text": "x"}], "name": "n"}, HELLO]
    assert chat(Profile(temperature=0.1), messages=messages)["messages"] == messages


def test_examples_come_between_the_system_message_and_the_conversation() -> None:
    messages = [{"role": "system", "content": "Speak French."}, HELLO]
    profile = Profile(few_shot=(("1+1?", "2"), ("2+2?", "4")))
    assert chat(profile, messages=messages)["messages"] == [
        {"role": "system", "content": "Speak French."},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
        HELLO,
    ]


def test_an_empty_system_text_of_the_profile_is_still_a_text() -> None:
    assert chat(Profile(system=""))["messages"][0] == {"role": "system", "content": ""}


def test_a_system_message_in_the_middle_stays_where_it_is() -> None:
    messages = [HELLO, {"role": "system", "content": "Now in French."}]
    assert chat(Profile(system="Be brief."), messages=messages)["messages"][1:] == messages


def test_a_completion_has_the_profiles_texts_written_before_its_prompt() -> None:
    profile = Profile(system="Be brief.", few_shot=(("1+1?", "2"),))
    assert completion("2+2?", profile) == "Be brief.\n\n1+1?\n2\n\n2+2?"
    assert completion(["2+2?", "3+3?"], profile) == [
        "Be brief.\n\n1+1?\n2\n\n2+2?",
        "Be brief.\n\n1+1?\n2\n\n3+3?",
    ]


@pytest.mark.parametrize("prompt", ["text", ["a", "b"], [1, 2, 3], [[1, 2], [3]]], ids=str)
def test_a_completion_of_a_profile_without_texts_goes_as_it_came(prompt: Any) -> None:
    assert completion(prompt, Profile()) == prompt


@pytest.mark.parametrize(
    ("asked", "sent"), [({}, 0.7), ({"temperature": None}, 0.7), ({"temperature": 0}, 0), ({"temperature": 1.5}, 1.5)]
)
def test_the_profiles_temperature_is_a_default_and_the_callers_wins(asked: dict[str, Any], sent: float) -> None:
    assert chat(Profile(temperature=0.7), **asked)["temperature"] == sent


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_tokens": 100}),
        ({"max_tokens": None}, {"max_tokens": 100}),
        ({"max_tokens": 50}, {"max_tokens": 50}),
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 50}),
        ({"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
        ({"max_tokens": 500, "max_completion_tokens": 50}, {"max_tokens": 100, "max_completion_tokens": 50}),
    ],
)
def test_the_answer_is_held_to_the_smaller_limit_under_the_callers_own_name(
    asked: dict[str, Any], sent: dict[str, int]
) -> None:
    limited = chat(Profile(max_tokens=100), **asked)
    assert {name: value for name, value in limited.items() if name.startswith("max_")} == sent


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({"stream": True}, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": False}}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"extra": 1}}, {"extra": 1, "include_usage": True}),
    ],
)
def test_a_stream_is_always_asked_for_its_usage(asked: dict[str, Any], options: dict[str, Any]) -> None:
    assert chat(**asked)["stream_options"] == options


@pytest.mark.parametrize("asked", [{}, {"stream": False}, {"stream": None}])
def test_a_whole_answer_gets_no_stream_options(asked: dict[str, Any]) -> None:
    assert "stream_options" not in chat(**asked)


def test_one_model_at_three_efforts_is_three_arms_whatever_the_caller_asks_for() -> None:
    sent = [chat(Profile(reasoning_effort=effort), reasoning_effort="max") for effort in ("low", "medium", "high")]
    assert [body["reasoning_effort"] for body in sent] == ["low", "medium", "high"]
    assert chat(reasoning_effort="max")["reasoning_effort"] == "max"


def test_a_profile_says_more_of_a_chat_such_as_a_thinking_budget() -> None:
    budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert chat(Profile(body=budget))["thinking"] == budget["thinking"]


def test_a_server_is_sent_what_it_takes_by_the_names_it_knows() -> None:
    quirks = Quirks({"max_tokens": "max_completion_tokens"}, frozenset({"stream_options", "top_k"}))
    arm = Arm("a", ("http://h:1",), "m", None, None, 4096, quirks=quirks)
    body = {"model": "m", "max_tokens": 5, "top_k": 3, "stream_options": {}, "stream": True}
    assert as_taken(body, arm) == {"model": "m", "max_completion_tokens": 5, "stream": True}
    assert as_taken({**body, "max_completion_tokens": 4}, arm)["max_completion_tokens"] == 4
    assert body["top_k"] == 3


@pytest.mark.parametrize(("limit", "sent"), [(100, 100), (32_000, 4096 - 1100 - 64)])
def test_a_limit_is_held_to_what_the_window_leaves(limit: int, sent: int) -> None:
    body = {"max_tokens": limit, "stream": True}
    assert within_window(body, 4096, 1000) == {"max_tokens": sent, "stream": True}
    assert within_window({"n": 1}, 4096, 1000) == {"n": 1}
    assert within_window({"max_completion_tokens": 9}, 100, 1000) == {"max_completion_tokens": 1}
