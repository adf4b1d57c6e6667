from contextlib import ExitStack
from dataclasses import replace

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm
from highwayman.env.upstream.attempts.targets import Target, Targets

A = Arm("a", ("a1", "a2"), "m", None, None, 4096)
B = Arm("b", ("b1",), "n", None, None, 4096)
C = Arm("c", ("c1",), "o", None, None, 4096)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def targets(health: EndpointHealth) -> Targets:
    return Targets([A, B], health, lambda arm: arm.endpoints)


def order(left: Targets) -> list[str]:
    """Return the endpoints in the order in which they are asked, as long as anybody may be."""
    asked = []
    while (target := left.first) is not None:
        left.take(target)
        asked.append(target.endpoint)
    return asked


def test_an_arms_replicas_come_before_the_next_arm_and_who_rests_comes_last() -> None:
    health = EndpointHealth(Clock())
    assert order(targets(health)) == ["a1", "a2", "b1"]
    health.on_failure("a1", model="m")
    assert order(targets(health)) == ["a2", "b1", "a1"]


def test_who_failed_for_one_model_is_asked_for_another() -> None:
    health = EndpointHealth(Clock())
    health.on_failure("a1", model="n")
    assert order(targets(health)) == ["a1", "a2", "b1"]


def test_it_says_who_may_be_asked_should_the_one_taken_not_answer_and_not_who_rests() -> None:
    health = EndpointHealth(Clock())
    health.on_failure("a2", model="m")
    left = targets(health)
    assert left.first == Target(A, "a1")
    assert left.take(Target(A, "a1")) == Target(B, "b1")
    assert left.take(Target(B, "b1")) is None
    assert left.first == Target(A, "a2"), "trying beats refusing"


def test_who_asked_to_be_left_alone_is_left_alone_and_the_soonest_rest_is_told_with_its_status() -> None:
    clock = Clock()
    health = EndpointHealth(clock)
    for endpoint, model, rest_s, status in (("a1", "m", 30.0, 429), ("a2", "m", 20.0, 503), ("b1", "n", 40.0, 429)):
        health.on_failure(endpoint, rest_s, model=model, status=status)
    left = targets(health)
    assert (left.first, left.asked_rest()) == (None, (20.0, 503))
    clock.now += 25.0
    assert left.first == Target(A, "a2")


def test_arms_that_are_of_no_use_are_left_out_and_where_none_is_left_no_rest_is_told() -> None:
    left = targets(EndpointHealth(Clock()))
    left.keep(lambda arm: arm.name == "b")
    assert order(left) == ["b1"]
    assert left.asked_rest() is None


def test_where_all_are_unwell_the_least_unwell_is_asked() -> None:
    health = EndpointHealth(Clock())
    for _ in range(10):  # others have answered: who never did is mistrusted
        health.on_success("elsewhere", "m")
    health.on_failure("a1", model="m")
    left = Targets([A, replace(B, model="m")], health, lambda arm: arm.endpoints)
    with ExitStack() as waiting:
        for endpoint in ("a2",) * 5 + ("b1",) * 6:
            waiting.enter_context(health.waiting(endpoint, "m", late_s=0.0))
        assert left.first == Target(A, "a2")


def test_an_arms_replicas_are_put_in_order_only_when_those_before_it_may_not_answer() -> None:
    health, ordered = EndpointHealth(Clock()), list[str]()

    def in_order(arm: Arm) -> list[str]:
        ordered.append(arm.name)
        return list(arm.endpoints)

    health.on_failure("a2", model="m")
    left = Targets([A, B, C], health, in_order)
    assert left.first == Target(A, "a1")
    assert ordered == ["a"]
    assert left.take(Target(A, "a1")) == Target(B, "b1")  # a's other replica rests
    assert ordered == ["a", "b"]


def test_who_is_least_unwell_is_looked_for_among_all_arms() -> None:
    health = EndpointHealth(Clock())
    for arm in (A, B):
        for endpoint in arm.endpoints:
            health.on_failure(endpoint, rest_s=60.0, model=arm.model)
    left = Targets([A, B, C], health, lambda arm: arm.endpoints)
    left.keep(lambda arm: arm is not C)
    assert left.first is None  # they have asked to be left alone
    assert left.asked_rest() is not None
    health.on_failure("c1", model="o")
    assert Targets([A, B, C], health, lambda arm: arm.endpoints).first == Target(C, "c1")
