import math

import pytest

from highwayman.env.pool.response_times import ResponseTimes

A, M = "http://a:1", "org/m"


def streamed(*seconds: float, size: int = 1000) -> ResponseTimes:
    times = ResponseTimes()
    for value in seconds:
        times.on_begun(A, M, seconds=value, request_bytes=size, waiting=1)
    return times


def limit_s(times: ResponseTimes, *, size: int = 1000, waiting: int = 1) -> float:
    return times.limit_s(A, M, stream=True, tokens=100, request_bytes=size, waiting=waiting)


def test_nobody_knows_how_long_is_long_before_ten_answers() -> None:
    assert limit_s(ResponseTimes()) == limit_s(streamed(*[1.0] * 9)) == math.inf
    assert streamed(*[1.0] * 9).usual_s(A, M, stream=True) is None
    assert limit_s(streamed(*[1.0] * 10)) == 3.0


def test_a_server_is_given_up_after_three_times_what_nineteen_of_twenty_answers_took() -> None:
    assert limit_s(streamed(*[1.0] * 18, 2.0, 50.0)) == 6.0
    assert streamed(*[1.0] * 18, 2.0, 50.0).usual_s(A, M, stream=True) == 1.0


def test_no_server_is_given_up_within_two_seconds() -> None:
    assert limit_s(streamed(*[0.01] * 20)) == 2.0


def test_only_the_last_answers_count() -> None:
    assert limit_s(streamed(*[9.0] * 50, *[1.0] * 32)) == 3.0


@pytest.mark.parametrize(("size", "waiting", "expected"), [(500, 1, 3.0), (4000, 1, 12.0), (1000, 5, 15.0)])
def test_a_long_prompt_and_a_long_queue_have_more_time(size: int, waiting: int, expected: float) -> None:
    assert limit_s(streamed(*[1.0] * 20), size=size, waiting=waiting) == expected


def test_a_whole_answer_has_time_by_what_is_asked_of_it() -> None:
    times = ResponseTimes()
    for _ in range(20):
        times.on_whole(A, M, seconds=2.0, tokens=100, waiting=1)

    def whole_s(tokens: int) -> float:
        return times.limit_s(A, M, stream=False, tokens=tokens, request_bytes=10**6, waiting=1)

    assert (whole_s(1000), whole_s(1)) == (pytest.approx(60.0), 2.0)
    assert limit_s(times) == math.inf
    assert times.late_s(A, M, stream=False) == 6.0
    assert times.late_s(A, M, stream=True) is None


def test_whole_answers_that_tell_of_no_tokens_leave_the_limit_unknown() -> None:
    times = ResponseTimes()
    for _ in range(20):
        times.on_whole(A, M, seconds=2.0, tokens=None, waiting=1)
    assert times.limit_s(A, M, stream=False, tokens=10, request_bytes=1, waiting=1) == math.inf
