"""Where answers are read: what may take a while must not hold up other requests."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from highwayman.env.confidence.signal import FinishedAnswer
from highwayman.env.types import JsonObject
from highwayman.serving.completions.calls.signal_reader import SignalReader

CALL = {"function": {"name": "write", "arguments": '{"text": ""}'}}


class OnLoop:
    """Tells whether it is read in the thread of the test."""

    names = ("on_loop",)
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        return {"on_loop": float(threading.current_thread() is threading.main_thread())}


@pytest.mark.parametrize(
    ("request_body", "message", "on_loop"),
    [
        ({}, {"content": "Paris."}, 1.0),
        ({"response_format": {"type": "json_object"}}, {"content": "{}"}, 1.0),
        ({}, {"content": "x" * 2_001}, 0.0),
        ({"response_format": {"type": "json_schema"}}, {"content": "{}"}, 0.0),
        ({}, {"content": None, "tool_calls": [CALL]}, 0.0),
    ],
)
async def test_what_is_long_or_held_against_a_callers_schema_is_read_beside_the_event_loop(
    request_body: JsonObject, message: JsonObject, on_loop: float
) -> None:
    reader = SignalReader([OnLoop()], None, {}, look_s=1.0)  # type: ignore[arg-type]  # nothing is asked
    told = await reader.look_on(FinishedAnswer(request_body, {"choices": [{"message": message}]}))
    assert told == {"on_loop": on_loop}
