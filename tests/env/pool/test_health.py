import pytest

from highwayman.env.pool.health import EndpointHealth

A, B = "http://a:1", "http://b:1"


class Clock:
    """A clock moved by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def rest_s(health: EndpointHealth, clock: Clock) -> float:
    """Return how long `A` rests from now on, to the half second, and move the clock to its end."""
    begun = clock.now
    while not health.is_up(A):
        clock.now += 0.5
    return clock.now - begun


@pytest.mark.parametrize("now", [0.0, 1e9, -1e6])
def test_an_endpoint_is_up_until_it_fails_whatever_the_clocks_origin(now: float) -> None:
    clock = Clock(now)
    health = EndpointHealth(clock)
    assert health.is_up(A)
    health.on_failure(A)
    assert not health.is_up(A)
    assert health.is_up(B)


def test_each_further_failure_rests_it_twice_as_long_up_to_half_a_minute() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    rests = []
    for _ in range(7):
        health.on_failure(A)
        rests.append(rest_s(health, clock))
    assert rests == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_the_rest_ends_at_its_second_not_before() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    health.on_failure(A)
    clock.now += 0.999
    assert not health.is_up(A)
    clock.now += 0.001
    assert health.is_up(A)


def test_one_success_ends_the_rest_and_forgets_the_failures() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    for _ in range(4):
        health.on_failure(A)
    health.on_success(A)
    assert health.is_up(A)
    health.on_failure(A)
    assert rest_s(health, clock) == 1.0


def test_a_success_of_an_endpoint_never_heard_of_is_no_news() -> None:
    health = EndpointHealth(Clock())
    health.on_success(A)
    assert health.is_up(A)


def test_an_endpoint_that_fails_for_days_still_rests_half_a_minute() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    for _ in range(3000):
        health.on_failure(A)
        clock.now += 31.0
    health.on_failure(A)
    assert rest_s(health, clock) == 30.0


def test_calls_that_fail_together_rest_an_endpoint_once() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    for _ in range(5):
        health.on_failure(A)
    assert rest_s(health, clock) == 1.0
