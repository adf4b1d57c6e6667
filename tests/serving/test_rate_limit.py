import pytest

from highwayman.serving.rate_limit import RateLimit


def test_a_key_may_send_its_rate_in_the_long_run_and_five_seconds_of_it_at_once() -> None:
    limit = RateLimit(10.0)
    passed = sum(limit.wait_s("k", n / 1000) == 0.0 for n in range(100_000))
    assert passed == pytest.approx(50 + 10 * 100, abs=2)


def test_whoever_is_refused_may_come_back_after_the_time_told() -> None:
    limit = RateLimit(2.0)
    while (wait_s := limit.wait_s("k", 0.0)) == 0.0:
        pass
    assert wait_s == pytest.approx(0.5)
    assert limit.wait_s("k", wait_s) == 0.0


def test_keys_have_buckets_and_rates_of_their_own() -> None:
    limit = RateLimit(None)
    assert all(limit.wait_s("free", 0.0) == 0.0 for _ in range(1000))
    assert sum(limit.wait_s("slow", 0.0, rate_per_s=0.2) == 0.0 for _ in range(10)) == 1
