"""A tool's result leads back to whoever was asked before it, however clients write the conversation down."""

from typing import Any

import pytest

from highwayman.serving.completions.conversations.conversation_keys import (
    answer_key,
    call_key,
    conversation_keys,
    conversation_name,
    loose_call_key,
)

SECRET = b"secret"
ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is the weather?"}]


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(name: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "12 C"}


def keys(messages: list[Any], conversation: str | None = None, tenant: str = "default") -> Any:
    return conversation_keys(messages, SECRET, tenant=tenant, conversation=conversation)


def test_the_turn_that_called_is_among_those_that_the_result_looks_for() -> None:
    turn = keys(ASKED).turn
    then = keys([*ASKED, called("call_1"), result()])
    assert then.reads_tool_result
    assert then.callers[:2] == (call_key(turn[0], "call_1"), turn[0])
    assert loose_call_key(SECRET, "call_1", tenant="default") in then.callers


def test_each_step_of_a_loop_looks_for_the_step_before_it() -> None:
    first = [*ASKED, called("call_1"), result()]
    second = keys([*first, called("call_2"), result("call_2")])
    assert second.callers[0] == call_key(keys(first).turn[0], "call_2")


def test_parallel_calls_are_looked_for_whether_they_stand_in_one_message_or_in_several() -> None:
    turn = keys(ASKED).turn[0]
    together = keys([*ASKED, called("a", "b"), result("a"), result("b")])
    apart = keys([*ASKED, called("a"), result("a"), called("b"), result("b")])
    assert {call_key(turn, "a"), call_key(turn, "b")} <= set(together.callers)
    assert turn in apart.callers
    assert call_key(turn, "b") in apart.callers


def test_what_a_client_puts_behind_a_result_does_not_hide_it() -> None:
    then = keys([*ASKED, called("call_1"), result(), {"role": "user", "content": "The picture is attached."}])
    assert then.callers[1] == keys(ASKED).turn[0]


@pytest.mark.parametrize(
    "messages",
    [
        ASKED,
        [*ASKED, {"role": "assistant", "content": "12 C"}, {"role": "user", "content": "And tomorrow?"}],
        [*ASKED, called("call_1"), result(), {"role": "assistant", "content": "12 C"}, ASKED[1]],
    ],
)
def test_where_no_tools_result_is_new_nobody_is_looked_for(messages: list[Any]) -> None:
    assert not keys(messages).reads_tool_result
    assert keys(messages).callers == ()


def test_another_system_message_blanks_and_parts_of_text_leave_the_turn_findable() -> None:
    later = [
        {"role": "system", "content": "Be kind. It is Monday."},
        {"role": "user", "content": [{"type": "text", "text": "What is the weather? "}]},
        called("call_1"),
        result(),
    ]
    assert set(keys(ASKED).turn) & set(keys(later).callers)


def test_conversations_of_other_ids_tenants_secrets_and_pictures_share_no_exact_key() -> None:
    pictures = [[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}] for url in "ab"]
    names = [
        keys(ASKED).turn[0],
        keys(ASKED, "c1").turn[0],
        keys(ASKED, "c2").turn[0],
        keys(ASKED, tenant="acme").turn[0],
        conversation_keys(ASKED, b"other", tenant="default").turn[0],
        *(keys(picture).turn[0] for picture in pictures),
    ]
    assert len(set(names)) == len(names)


def test_a_clients_own_id_finds_the_conversation_whatever_became_of_its_history() -> None:
    turn, then = (
        keys(ASKED, "c1").turn,
        keys([{"role": "user", "content": "Shortened."}, called("x"), result("x")], "c1"),
    )
    assert turn[-1] == then.callers[-1]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool"}],
        [{"role": "assistant", "tool_calls": 1}, {"role": "tool", "tool_call_id": 5}],
        [{"role": "assistant", "tool_calls": [None, {"id": ""}]}, {"role": "function", "content": [{"type": "x"}, {}]}],
        [{"role": "user", "content": "\ud800"}, called("\ud800"), result("\ud800")],
    ],
)
def test_messages_of_any_shape_have_keys(messages: list[Any]) -> None:
    assert keys(messages, "\ud800").turn


def test_no_request_looks_for_more_than_a_few_keys() -> None:
    answers = [message for n in range(50) for message in (called(*(f"{n}-{k}" for k in range(50))), result(f"{n}-0"))]
    assert len(keys([*ASKED, *answers], "c").callers) < 40


def test_a_conversation_has_one_name_in_all_its_turns_by_its_id_or_by_how_it_begins() -> None:
    def name(messages: list[Any], conversation: str | None = None, tenant: str = "default") -> str:
        return conversation_name(messages, SECRET, tenant=tenant, conversation=conversation)

    later = [*ASKED, {"role": "assistant", "content": "12 C"}, {"role": "user", "content": "And tomorrow?"}]
    assert name(ASKED) == name(later)
    assert name(ASKED, "c") == name([{"role": "user", "content": "Shortened."}], "c")
    others = {name(ASKED), name(ASKED, "c"), name(ASKED, "d"), name(ASKED, tenant="acme"), name(ASKED[1:])}
    assert len(others) == 5


def test_a_later_turn_looks_for_the_turn_before_it_and_knows_how_much_of_it_was_read() -> None:
    first = [{"role": "user", "content": "a" * 60}]
    later = keys([*first, {"role": "assistant", "content": "b" * 30}, {"role": "user", "content": "c" * 10}])
    assert later.previous[0] == keys(first).turn[0]
    assert later.cached_share == 0.9
    assert (keys(first).previous, keys(first).cached_share, keys(first, "c").previous) == ((), 0.0, ())


def test_the_answer_that_a_client_names_is_looked_for_first_by_either_of_its_ids() -> None:
    named = answer_key(SECRET, "hw-1", tenant="default")
    assert named == answer_key(SECRET, "chatcmpl-hw-1", tenant="default")
    assert named not in (answer_key(SECRET, "hw-2", tenant="default"), answer_key(SECRET, "hw-1", tenant="acme"))

    def then(messages: list[Any]) -> Any:
        return conversation_keys(messages, SECRET, tenant="default", previous_answer="chatcmpl-hw-1")

    assert then(ASKED).previous == (named,)
    assert (then(ASKED).callers, then(ASKED).reads_tool_result) == ((), False)
    result_alone = then([result()])
    assert (result_alone.callers, result_alone.reads_tool_result) == ((named,), True)
    whole = then([*ASKED, called("call_1"), result()])
    assert whole.callers[0] == whole.previous[0] == named
    assert whole.callers[1:] == keys([*ASKED, called("call_1"), result()]).callers
