import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.serving.auth.rate_limit import RateLimit


def test_a_key_may_send_its_rate_in_the_long_run_and_five_seconds_of_it_at_once() -> None:
    limit = RateLimit(10.0)
    passed = sum(limit.wait_s("k", n / 1000) == 0.0 for n in range(100_000))
    assert passed == pytest.approx(50 + 10 * 100, abs=2)


@given(rate=st.floats(0.01, 100.0), waits_s=st.lists(st.floats(-5.0, 20.0), max_size=100), start=st.floats(-1e6, 1e6))
def test_whatever_the_clock_does_no_more_than_the_rate_and_five_seconds_of_it_come_in(
    rate: float, waits_s: list[float], start: float
) -> None:
    limit, now, passed, forward_s = RateLimit(rate), start, 0, 0.0
    for wait_s in waits_s:
        now, forward_s = now + wait_s, forward_s + max(wait_s, 0.0)
        told = limit.wait_s("k", now)
        assert 0.0 <= told <= 1.0 / rate + 1e-9
        passed += told == 0.0
    assert passed <= max(5.0 * rate, 1.0) + rate * forward_s + 1e-6


def test_whoever_is_refused_may_come_back_after_the_time_told() -> None:
    limit = RateLimit(2.0)
    while (wait_s := limit.wait_s("k", 0.0)) == 0.0:
        pass
    assert wait_s == pytest.approx(0.5)
    assert limit.wait_s("k", wait_s) == 0.0


def test_a_clock_set_back_locks_nobody_out() -> None:
    limit = RateLimit(1.0)
    assert limit.wait_s("k", 1e9) == 0.0
    assert limit.wait_s("k", 0.0) == 0.0
    assert sum(limit.wait_s("k", 1.0 + n) == 0.0 for n in range(10)) == 10


def test_keys_have_buckets_and_rates_of_their_own() -> None:
    limit = RateLimit(None)
    assert all(limit.wait_s("free", 0.0) == 0.0 for _ in range(1000))
    assert sum(limit.wait_s("slow", 0.0, rate_per_s=0.2) == 0.0 for _ in range(10)) == 1


def test_more_keys_than_are_remembered_take_no_more_memory() -> None:
    limit = RateLimit(1.0)
    for n in range(25_000):
        limit.wait_s(f"k{n}", 0.0)
    assert len(limit._buckets) == 10_000
