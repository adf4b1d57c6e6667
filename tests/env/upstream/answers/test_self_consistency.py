import json
from typing import Any

import pytest

from highwayman.env.upstream.answers.self_consistency import first_choice_text, majority_vote, non_streaming, to_sse


def chat(text: str | None, *, id: str = "1", tokens: tuple[int, int] | None = (10, 2)) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    answer: dict[str, Any] = {"id": id, "created": 5, "model": "m", "object": "chat.completion"}
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    if tokens is not None:
        answer["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return answer


def completion(text: str) -> dict[str, Any]:
    return {"id": "1", "model": "m", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        (["It is 3.", "So 2+2=4", "4", "5"], "So 2+2=4"),  # the last number counts, the earliest of a majority stands
        (["999", "1,000 horses", "It is 1000."], "1,000 horses"),
        (["4", "-4", "The answer: -4"], "-4"),
        (["2.5", "2.50", "it costs 2.50!"], "2.50"),
        (["no", "Yes.", "YES"], "Yes."),
        (["No", "yes!", " Yes, "], "yes!"),
        (["roses", "are", "red"], "roses"),  # nobody agrees: the first
        (["7", "8", "8", "7"], "7"),  # a tie: the earlier
    ],
    ids=str,
)
def test_the_conclusion_most_answers_share_wins(texts: list[str], winner: str) -> None:
    assert first_choice_text(majority_vote([chat(text) for text in texts])) == winner
    assert first_choice_text(majority_vote([completion(text) for text in texts])) == winner


def test_everybodys_tokens_are_paid_for_and_the_rest_is_the_winners() -> None:
    answers = [chat("3", id="a"), chat("4", id="b", tokens=(10, 5)), chat("4", id="c", tokens=None)]
    before = json.dumps(answers)
    assert majority_vote(answers) == {
        **chat("4", id="b"),
        "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27},
    }
    assert json.dumps(answers) == before


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (chat("hi"), "hi"),
        (completion("hi"), "hi"),
        (chat(None), ""),
        ({"choices": [{"message": {"content": [{"type": "text"}]}}]}, ""),
        ({"choices": [{"message": None}]}, ""),
        ({"choices": []}, ""),
        ({}, ""),
    ],
)
def test_the_text_is_the_first_choices_or_nothing(answer: dict[str, Any], text: str) -> None:
    assert first_choice_text(answer) == text


def test_a_stream_is_asked_for_as_a_whole_answer() -> None:
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "n": 1}
    assert non_streaming(body) == {"model": "m", "n": 1}
    assert body["stream"] is True


def events(stream: bytes) -> list[Any]:
    """Return the parsed events of a stream that ends as it should."""
    *parts, done, rest = stream.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def test_a_whole_chat_becomes_a_stream_of_one_delta_and_its_usage() -> None:
    answer = chat("Größe")
    head = {"id": "1", "created": 5, "model": "m", "object": "chat.completion.chunk"}
    delta = {"role": "assistant", "content": "Größe"}
    assert events(to_sse(answer)) == [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]},
        {**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}},
    ]


def test_a_whole_completion_becomes_a_stream_of_its_text() -> None:
    answer = {**completion("hi"), "usage": {"prompt_tokens": 1}}
    first, last = events(to_sse(answer))
    assert first["choices"] == [{"index": 0, "text": "hi", "finish_reason": "stop"}]
    assert (first["object"], last["usage"]) == ("text_completion", {"prompt_tokens": 1})


def test_tool_calls_of_a_stream_carry_the_index_by_which_clients_gather_them() -> None:
    answer = chat(None)
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    answer["choices"][0]["message"]["tool_calls"] = calls
    delta = events(to_sse(answer))[0]["choices"][0]["delta"]
    assert delta["tool_calls"] == [{"index": 0, **calls[0]}, {"index": 1, **calls[1]}]
