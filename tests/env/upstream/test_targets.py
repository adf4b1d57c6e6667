import time

from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm
from highwayman.env.upstream.targets import Target, Targets

A, B, C = (Arm(name, (f"http://{name}-1", f"http://{name}-2"), name, None, None, 4096) for name in "abc")


def test_an_arms_replicas_are_put_in_order_only_when_those_before_it_may_not_answer() -> None:
    health, ordered = EndpointHealth(time.monotonic), list[str]()

    def in_order(arm: Arm) -> list[str]:
        ordered.append(arm.name)
        return list(arm.endpoints)

    health.on_failure(A.endpoints[1], model="a")
    targets = Targets([A, B, C], health, in_order)
    first = targets.first
    assert first == Target(A, A.endpoints[0])
    assert ordered == ["a"]
    assert targets.take(first) == Target(B, B.endpoints[0])  # a's other replica rests
    assert ordered == ["a", "b"]


def test_who_is_least_unwell_is_looked_for_among_all_arms() -> None:
    health = EndpointHealth(time.monotonic)
    for arm in (A, B):
        for endpoint in arm.endpoints:
            health.on_failure(endpoint, rest_s=60.0, model=arm.name)
    targets = Targets([A, B, C], health, lambda arm: arm.endpoints)
    targets.keep(lambda arm: arm is not C)
    assert targets.first is None  # they have asked to be left alone
    assert targets.asked_rest() is not None
    health.on_failure(C.endpoints[0], model="c")
    health.on_failure(C.endpoints[1], model="c")
    assert Targets([A, B, C], health, lambda arm: arm.endpoints).first == Target(C, C.endpoints[0])
