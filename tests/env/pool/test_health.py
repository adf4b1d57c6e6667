from collections.abc import Callable
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


M, N = "org/m", "org/n"


def test_what_one_model_fails_is_not_held_against_another_at_the_same_endpoint() -> None:
    health = EndpointHealth(Clock())
    health.on_failure(A, model=M)
    assert (health.is_up(A, M), health.is_up(A, N), health.is_up(A)) == (False, True, False)


def test_after_a_rest_one_call_finds_out_and_others_go_elsewhere_until_it_has() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    health.on_failure(A, model=M)
    clock.now += 1.0
    assert health.may_ask(A, M)
    end = health.begin_probe(A, M)
    assert end is not None
    assert not health.may_ask(A, M)
    assert health.may_ask(A, N)
    end()
    end()
    assert health.may_ask(A, M)
    health.on_success(A, M)
    assert health.begin_probe(A, M) is None


def test_the_call_that_finds_out_rests_it_twice_as_long_if_it_fails() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    health.on_failure(A, model=M)
    clock.now += 1.0
    end = health.begin_probe(A, M)
    assert end is not None
    health.on_failure(A, model=M)
    end()
    clock.now += 1.999
    assert not health.may_ask(A, M)
    clock.now += 0.001
    assert health.may_ask(A, M)


def test_a_stream_that_has_begun_opens_an_endpoint_and_one_that_breaks_off_rests_it_ever_longer() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    rests = []
    for _ in range(4):
        health.on_begun(A, M)
        assert health.may_ask(A, M)
        health.on_failure(A, model=M)
        rests.append(rest_s(health, clock))
    assert rests == [1.0, 2.0, 4.0, 8.0]


def test_a_failure_among_many_answers_is_bad_luck_and_three_in_a_row_are_not() -> None:
    health = EndpointHealth(Clock())
    for _ in range(100):
        health.on_success(A, M)
    health.on_failure(A, model=M)
    assert health.may_ask(A, M)
    for _ in range(2):
        health.on_failure(A, model=M)
    assert not health.may_ask(A, M)


def test_a_rest_that_its_server_asked_for_outlasts_the_answers_of_calls_that_were_under_way() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    health.on_failure(A, 17.0, model=M, status=429)
    health.on_success(A, M)
    clock.now += 10.0
    assert health.asked_rest(A, M) == (7.0, 429)
    assert not health.is_up(A, M)
    assert health.asked_rest(A, N)[0] == health.asked_rest(B, M)[0] == 0.0


def test_five_callers_at_most_wait_at_an_endpoint_that_has_never_answered_once_others_have() -> None:
    health = EndpointHealth(Clock())
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(health.waiting(A, M, late_s=None))
        assert health.may_ask(A, M), "whoever else has just begun, too, is no better"
    for _ in range(10):
        health.on_success(B, M)
    with ExitStack() as stack:
        for _ in range(5):
            assert health.may_ask(A, M)
            stack.enter_context(health.waiting(A, M, late_s=None))
        assert not health.may_ask(A, M)
        assert health.may_ask(A, N)
        assert health.is_up(A, M)
    assert health.may_ask(A, M)


def test_an_endpoint_where_five_callers_wait_in_vain_is_not_asked_by_more() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(health.waiting(A, M, late_s=2.0))
        clock.now += 1.9
        assert health.may_ask(A, M)
        clock.now += 0.1
        assert not health.may_ask(A, M)


def test_calls_that_hung_before_an_endpoint_was_well_again_are_not_held_against_it() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    sent_at = clock.now
    health.on_failure(A, model=M)
    clock.now += 5.0
    health.on_success(A, M)
    health.on_failure(A, model=M, begun_at=sent_at)
    assert health.may_ask(A, M)
    health.on_failure(A, model=M, begun_at=clock.now)
    assert not health.may_ask(A, M)


def test_the_time_for_which_a_silent_endpoint_was_tried_counts_as_rest() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    for _ in range(6):
        health.on_failure(A, model=M)
        clock.now += 30.0
    end, begun_at = health.begin_probe(A, M), clock.now
    assert end is not None
    clock.now += 28.0
    health.on_failure(A, model=M, begun_at=begun_at)
    end()
    clock.now += 2.0
    assert health.may_ask(A, M)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["call", "end", "answer", "begin", "fail", "rest", "probe", "probed", "wait", "look"]),
            st.sampled_from([(A, M), (A, N), (A, ""), (B, M)]),
            st.sampled_from([None, 0.5, 2.0, 2.0, 5.0]),
        ),
        max_size=60,
    )
)
def test_who_is_not_suspected_may_be_asked_for_whatever_it_serves_and_others_as_they_stand(
    steps: list[tuple[str, tuple[str, str], float | None]],
) -> None:
    clock, ends, probes = Clock(), list[Callable[[], None]](), list[Callable[[], None]]()
    health = EndpointHealth(clock)
    for what, (endpoint, model), seconds in steps:
        if what == "call":
            with ExitStack() as waiting:
                for _ in range(3):
                    waiting.enter_context(health.waiting(endpoint, model, late_s=seconds))
                ends.append(waiting.pop_all().close)
        elif what == "end" and ends:
            ends.pop(0)()
        elif what == "answer":
            health.on_success(endpoint, model)
        elif what == "begin":
            health.on_begun(endpoint, model)
        elif what in ("fail", "rest"):
            health.on_failure(endpoint, seconds if what == "rest" else None, model=model, begun_at=clock.now)
        elif what == "probe" and (end := health.begin_probe(endpoint, model)) is not None:
            probes.append(end)
        elif what == "probed" and probes:
            probes.pop()()
        elif what == "wait":
            clock.now += seconds or 0.1
        suspects = health.suspects() if what == "look" else None
        for pair in [(A, M), (A, N), (B, M)]:
            is_out, late = health.standing(*pair)
            assert health.may_ask(*pair) == (not is_out and late < 5)
            assert suspects is None or pair[0] in suspects or health.may_ask(*pair)


@given(st.lists(st.tuples(st.sampled_from(["call", "end", "answer", "wait"]), st.floats(0.0, 5.0)), max_size=40))
def test_calls_that_wait_in_vain_are_those_whose_time_is_up_however_they_come_and_go(
    steps: list[tuple[str, float]],
) -> None:
    clock, calls = Clock(), list[tuple[float | None, ExitStack]]()
    health = EndpointHealth(clock)
    for _ in range(10):
        health.on_success(B, M)
    has_answered = False
    for step, seconds in steps:
        if step == "call":
            calls.append((None if seconds > 4.0 and not has_answered else clock.now + seconds, ExitStack()))
            late_s = None if calls[-1][0] is None else seconds
            calls[-1][1].enter_context(health.waiting(A, M, late_s=late_s))
        elif step == "end" and calls:
            calls.pop(0)[1].close()
        elif step == "answer":
            health.on_success(A, M)
            has_answered = True
        else:
            clock.now += seconds
        late = [not has_answered if at is None else at <= clock.now for at, _ in calls]
        assert health.standing(A, M)[1] == sum(late)
