"""How long one call may take, by what is usual at its server and by who waits for it."""

import math
import time
from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm
from highwayman.env.upstream.answers.endings import ANSWERED, Account, Ending
from highwayman.env.upstream.calls.reading import AnswerReader
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.calls.sending import Sending, UpstreamTimeouts
from highwayman.env.upstream.calls.server_calls import ServerCalls

URL = "http://one:1"
ARM = Arm("a", (URL,), "m", None, None, 4096)
ASKED = Sending("/v1/chat/completions", b"x" * 100, stream=False, until=math.inf, answer_tokens=500)
STREAMED = replace(ASKED, stream=True)


def server_calls() -> ServerCalls:
    clock, limits = time.monotonic, UpstreamTimeouts()
    reader = AnswerReader(limits, clock, time.time)
    return ServerCalls(EndpointHealth(clock), clock, limits, reader=reader, loads=ReplicaLoads(clock))


def answer(seconds: float, *, account: Account = ANSWERED, tokens: int = 100) -> UpstreamResponse:
    parsed: Any = {"usage": {"prompt_tokens": 1, "completion_tokens": tokens}}
    return UpstreamResponse(ARM, 200, "application/json", 50.0, 50.0 + seconds, b"", account=account, answer=parsed)


def experienced() -> ServerCalls:
    """Return calls to a server that takes 0.02 s for a token, and 5 s to the first event of a stream."""
    calls = server_calls()
    for _ in range(10):
        calls._on_answer(answer(2.0), URL, ASKED, 1)
        calls._on_answer(answer(5.0), URL, STREAMED, 1)
    return calls


def test_a_call_that_another_server_could_answer_has_three_times_what_is_usual_for_what_it_asks() -> None:
    calls = experienced()
    assert calls._limit_s(ARM, URL, ASKED, 1) == pytest.approx(3 * 0.02 * 500)
    assert calls._limit_s(ARM, URL, replace(ASKED, answer_tokens=0), 1) == pytest.approx(3 * 0.02 * 4096)
    assert calls._limit_s(ARM, URL, STREAMED, 1) == pytest.approx(15.0)
    assert calls._limit_s(ARM, URL, replace(STREAMED, body=b"x" * 300), 1) == pytest.approx(45.0)
    assert calls._limit_s(ARM, URL, STREAMED, 4) == pytest.approx(60.0), "four wait there"


def test_what_is_usual_is_so_of_one_model_at_one_server() -> None:
    calls = experienced()
    assert calls._limit_s(replace(ARM, model="other"), URL, ASKED, 1) == math.inf
    assert calls._limit_s(ARM, "http://two:1", ASKED, 1) == math.inf


def test_a_call_that_nobody_else_can_answer_is_waited_for() -> None:
    patient = replace(ASKED, is_patient=True)
    assert experienced()._limit_s(ARM, URL, patient, 1) == math.inf


def test_a_call_that_finds_out_has_three_times_as_long_again_and_ten_seconds_at_least() -> None:
    calls, probe = experienced(), replace(ASKED, is_probe=True)
    assert calls._limit_s(ARM, URL, probe, 1) == pytest.approx(9 * 0.02 * 500)
    assert calls._limit_s(ARM, URL, replace(probe, answer_tokens=10), 1) == 10.0


def test_at_a_server_that_nobody_has_timed_only_a_call_that_finds_out_by_its_first_event_must_end() -> None:
    calls = server_calls()
    for sending, limit_s in ((ASKED, math.inf), (STREAMED, math.inf)):
        assert calls._limit_s(ARM, URL, sending, 1) == limit_s
    assert calls._limit_s(ARM, URL, replace(STREAMED, is_probe=True), 1) == 30.0
    assert calls._limit_s(ARM, URL, replace(ASKED, is_probe=True), 1) == math.inf


def test_a_refusal_tells_nothing_of_how_long_answers_take() -> None:
    calls = server_calls()
    for sending in (ASKED, STREAMED) * 10:
        calls._on_answer(answer(2.0, account=Account(Ending.CALLERS_FAULT, status=400)), URL, sending, 1)
    assert calls._limit_s(ARM, URL, ASKED, 1) == math.inf
    assert calls._limit_s(ARM, URL, STREAMED, 1) == math.inf
