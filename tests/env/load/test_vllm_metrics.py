import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.load.vllm_metrics import EngineReading, parse_engine_metrics
from tests.vllm_metrics import vllm_metrics

TOLD = vllm_metrics(running=3.0, waiting=2.0, kv=0.25, first_token_s=12.5, first_tokens=50.0)


def parsed(text: str) -> EngineReading | None:
    return parse_engine_metrics(text.encode())


def test_what_waits_runs_and_took_to_its_first_token_is_read() -> None:
    assert parsed(TOLD) == EngineReading(2.0, 3.0, 0.25, 12.5, 50.0)


def test_an_older_server_calls_its_cache_otherwise() -> None:
    reading = parsed(vllm_metrics(running=3.0, kv=0.25, kv_name="gpu_cache_usage_perc"))
    assert reading is not None
    assert reading.kv_cache_usage == 0.25


def test_the_engines_of_one_server_are_added_up() -> None:
    two = TOLD + vllm_metrics(running=1.0, waiting=0.0, kv=0.75, first_token_s=2.5, first_tokens=10.0, engine=1)
    assert parsed(two) == EngineReading(2.0, 4.0, 0.5, 15.0, 60.0)


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-Inf", "-1.0", "1e300", "many", ""])
def test_a_number_that_cannot_be_is_none(number: str) -> None:
    assert parsed(vllm_metrics(waiting=number)) is None
    assert parsed(vllm_metrics(running=number)) is None
    if number not in ("many", ""):  # no text of Prometheus' at all
        assert parsed(vllm_metrics(running=3.0, kv=number)) == EngineReading(0.0, 3.0, None)
        assert parsed(vllm_metrics(running=3.0, first_token_s=number, first_tokens=9.0)) == EngineReading(0.0, 3.0, 0.0)


@pytest.mark.parametrize(
    "text",
    ["", "<html>it works!</html>", "vllm:num_requests_running 1.0\n", "# TYPE vllm:num_requests_running gauge\n"],
)
def test_what_does_not_say_both_who_waits_and_who_runs_is_no_reading(text: str) -> None:
    assert parsed(text) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TOLD) - 1), st.integers(0, 255)), max_size=8), st.binary(max_size=50))
def test_whatever_the_bytes_it_is_a_reading_of_sane_numbers_or_none(changes: list[tuple[int, int]], end: bytes) -> None:
    text = bytearray(TOLD.encode())
    for place, byte in changes:
        text[place] = byte
    reading = parse_engine_metrics(bytes(text) + end)
    if reading is not None:
        assert 0 <= reading.waiting <= 1e6
        assert 0 <= reading.running <= 1e6
        assert reading.kv_cache_usage is None or 0 <= reading.kv_cache_usage <= 1


@pytest.mark.parametrize(
    "line", ["vllm:num_requests_running ", 'vllm:num_requests_running{a="' + "x" * 1900 + '"} 1\n', "\n", "vllm:"]
)
def test_two_megabytes_of_anything_take_no_time(line: str) -> None:
    body = (line * (2**21 // len(line))).encode()
    begun = time.process_time()
    assert parse_engine_metrics(body) is None
    assert time.process_time() - begun < 0.5
