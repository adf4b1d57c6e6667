"""Which call of an answer a piece of one belongs to, however its server numbers and names them."""

from typing import Any

import pytest

from highwayman.env.upstream.answers.transcript import Transcript


def piece(arguments: Any, *, name: str | None = None, own_id: str | None = None, index: int | None = None) -> Any:
    call = {"index": index, "id": own_id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in call.items() if value is not None}


F = {"name": "f", "own_id": "c1"}
G = {"name": "g", "own_id": "c2"}


@pytest.mark.parametrize(
    "deltas",
    [
        [[piece("", index=0, **F)], [piece('{"a": 1}', index=0)], [piece("", index=1, **G)], [piece("{}", index=1)]],
        [[piece('{"a": 1}', index=0, **F)], [piece("{}", index=0, **G)]],
        [[piece('{"a"', index=0, **F)], [piece(": 1}", index=0, own_id="c1")], [piece("{}", index=0, **G)]],
        [[piece('{"a": 1}', **F), piece("{}", **G)]],
        [[piece('{"a": 1}', **F)], [piece("{", **G)], [piece("}")]],
        [[piece('{"a": 1}', name="f"), piece("{}", name="g")]],
        [[piece('{"a"', index=0, name="f")], [piece(": 1}", index=0, own_id="c1")], [piece("{}", index=1, **G)]],
        [[piece({"a": 1}, **F), piece({}, **G)]],
    ],
    ids=["numbered", "all 0", "named in each piece", "by id", "in turn", "by name", "named late", "objects"],
)
def test_the_pieces_of_two_calls_are_two_calls(deltas: list[list[Any]]) -> None:
    transcript = Transcript()
    for calls in deltas:
        transcript.add({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})
    assert transcript.tool_calls == [("f", '{"a": 1}'), ("g", "{}")]
