import json
from typing import Any

from highwayman.env.confidence.signal import FinishedAnswer
from highwayman.env.upstream.answers.answer_assembly import AnswerAssembly, without_logprobs
from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter

TOKEN = {"token": "Paris", "logprob": -0.1, "top_logprobs": []}


def chunk(delta: dict[str, Any], *, tokens: int = 0, **more: Any) -> dict[str, Any]:
    logprobs = {"content": [TOKEN] * tokens} if tokens else None
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None, **more}
    return {"id": "x", "model": "m", "choices": [choice]}


def assembled(*chunks: dict[str, Any], hides: bool = True) -> tuple[FinishedAnswer, bytes]:
    assembly = AnswerAssembly(hides_logprobs=hides)
    stream = SseRewriter(ResponseIdentity("arm", "hw-1"), keep_usage=False, assembly=assembly)
    raw = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + b"data: [DONE]\n\n"
    passed = stream.feed(raw) + stream.finish()
    return FinishedAnswer({}, assembly.answer()), passed


def test_a_stream_becomes_the_answer_it_would_have_been_and_its_log_probabilities_go_no_further() -> None:
    answer, passed = assembled(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Paris"}, tokens=1),
        chunk({"content": " it is"}, tokens=2),
        chunk({}, finish_reason="stop"),
    )
    assert answer.transcript().text == "Paris it is"
    assert len(answer.choice["logprobs"]["content"]) == 3
    assert answer.choice["finish_reason"] == "stop"
    assert b"-0.1" not in passed
    assert passed.count(b'"model":"arm"') == passed.count(b"chatcmpl-hw-1") == 4
    assert passed.endswith(b"data: [DONE]\n\n")


def test_what_a_client_asked_for_is_passed_on_as_it_came() -> None:
    chunks = chunk({"content": "Paris"}, tokens=1), chunk({}, finish_reason="stop")
    _, passed = assembled(*chunks, hides=False)
    assert b'"logprob": -0.1' in passed


def test_calls_of_tools_and_refusals_are_put_together_from_their_pieces() -> None:
    pieces = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}},
              {"index": 0, "function": {"arguments": ": 1}"}}]  # fmt: skip
    answer, _ = assembled(*(chunk({"tool_calls": [piece]}) for piece in pieces))
    assert answer.transcript().tool_calls == [("f", '{"a": 1}')]
    refused, _ = assembled(chunk({"refusal": "I will "}), chunk({"refusal": "not."}))
    assert refused.message["refusal"] == "I will not."


def test_a_choice_without_log_probabilities_is_left_alone() -> None:
    assert without_logprobs(chunk({"content": "Paris"})) is None
    assert without_logprobs({"choices": None}) is None
    assert without_logprobs([]) is None
    told = chunk({"content": "Paris"}, tokens=1)
    silent = without_logprobs(told)
    assert silent is not None
    assert silent["choices"][0]["logprobs"] is None
    assert told["choices"][0]["logprobs"] is not None
