from collections.abc import Sequence

import pytest

from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.load.vllm_metrics import EngineReading
from highwayman.env.types import Arm

A, B, C = "http://a:1", "http://b:1", "http://c:1"


class Clock:
    """A clock moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loads(clock: Clock) -> ReplicaLoads:
    return ReplicaLoads(clock)


def tell(loads: ReplicaLoads, clock: Clock, endpoint: str, **engine: float) -> None:
    reading = EngineReading(**{"waiting": 0.0, "running": 0.0, **engine})
    loads.on_reading(endpoint, reading, asked_at=clock(), own=loads.own_calls(endpoint))


def in_order(loads: ReplicaLoads, endpoints: Sequence[str] = (A, B, C)) -> list[str]:
    return sorted(endpoints, key=loads.busy(endpoints))


def test_the_least_busy_is_where_fewest_wait_then_fewest_run_then_the_cache_is_emptiest(
    loads: ReplicaLoads, clock: Clock
) -> None:
    tell(loads, clock, A, waiting=1.0, running=1.0)
    tell(loads, clock, B, running=9.0, kv_cache_usage=0.5)
    tell(loads, clock, C, running=9.0, kv_cache_usage=0.4)
    assert in_order(loads) == [C, B, A]


def test_a_conversation_leaves_a_replica_for_a_queue_or_where_nobody_has_one_for_a_batch_that_is_large(
    loads: ReplicaLoads, clock: Clock
) -> None:
    assert loads.overload((A, B)) is None
    tell(loads, clock, A, running=3.0)
    tell(loads, clock, B, running=20.0)
    overload = loads.overload((A, B))
    assert overload is not None
    assert [overload(A), overload(B)] == [0.0, 12.0]
    tell(loads, clock, A, running=3.0, waiting=1.0)
    overload = loads.overload((A, B))
    assert overload is not None
    assert [overload(A), overload(B)] == [1.0, 0.0]


def test_calls_from_here_count_until_the_server_has_counted_them(loads: ReplicaLoads, clock: Clock) -> None:
    tell(loads, clock, A, running=2.0)
    tell(loads, clock, B, running=3.0)
    calls = [loads.on_call(A), loads.on_call(A)]
    assert in_order(loads, (A, B)) == [B, A]
    tell(loads, clock, A, running=4.0)
    state = loads.state(A)
    assert state is not None
    assert state.running == 4.0
    for call in calls:
        call.end()
        call.end()  # again does nothing
    assert in_order(loads, (A, B)) == [A, B]
    assert loads.own_calls(A) == 0


def test_calls_beyond_what_a_full_server_works_on_wait(loads: ReplicaLoads, clock: Clock) -> None:
    calls = [loads.on_call(A) for _ in range(6)]
    tell(loads, clock, A, waiting=2.0, running=4.0)
    calls.append(loads.on_call(A))
    state = loads.state(A)
    assert state is not None
    assert (state.waiting, state.running) == (3.0, 4.0)
    for call in calls[:5]:
        call.end()
    state = loads.state(A)
    assert state is not None
    assert (state.waiting, state.running) == (0.0, 2.0)


def test_what_is_stale_is_not_believed_and_then_all_are_compared_by_the_calls_from_here(
    loads: ReplicaLoads, clock: Clock
) -> None:
    for endpoint, running in ((A, 1.0), (B, 2.0)):
        tell(loads, clock, endpoint, running=running)
    loads.on_call(A)
    loads.on_call(A)
    loads.on_call(B)
    clock.now += 4.9
    tell(loads, clock, B, running=50.0)
    assert in_order(loads, (A, B)) == [A, B]
    clock.now += 0.2  # A has been silent for too long: perhaps it is too busy to tell
    assert loads.state(A) is None
    assert in_order(loads, (A, B)) == [B, A]
    assert loads.queue(Arm("x", (A, B), "m", None, None, 4096)) is None


def test_first_tokens_of_late_are_compared_with_what_they_usually_take(loads: ReplicaLoads, clock: Clock) -> None:
    tell(loads, clock, A, first_token_s=100.0, first_tokens=1000.0)  # 0.1 s
    clock.now += 1.0
    tell(loads, clock, A, first_token_s=120.0, first_tokens=1010.0)  # the last ten took 2 s each
    state = loads.state(A)
    assert state is not None
    assert state.first_token_s == pytest.approx((20.0 + 120 / 1010) / 11)
    assert state.late_s == pytest.approx(state.first_token_s - 120 / 1010)
    for _ in range(200):  # nobody asks it any more: what was late once is forgotten
        clock.now += 1.0
        tell(loads, clock, A, first_token_s=120.0, first_tokens=1010.0)
    state = loads.state(A)
    assert state is not None
    assert state.late_s == pytest.approx(0.0, abs=1e-3)


def test_a_server_that_has_started_anew_begins_anew(loads: ReplicaLoads, clock: Clock) -> None:
    tell(loads, clock, A, first_token_s=100.0, first_tokens=100.0)
    clock.now += 1.0
    tell(loads, clock, A, first_token_s=1.0, first_tokens=10.0)
    state = loads.state(A)
    assert state is not None
    assert state.first_token_s == pytest.approx(0.1)
    assert state.late_s == pytest.approx(0.0)


def test_a_replica_that_lists_its_models_serves_those_alone_as_long_as_the_list_is_fresh(
    loads: ReplicaLoads, clock: Clock
) -> None:
    arm = Arm("x", (A, B), "adapter", None, None, 4096)
    assert loads.serving(arm) == (A, B)
    loads.on_models(A, ["base"])
    loads.on_models(B, ["base", "adapter"])
    assert loads.serving(arm) == (B,)
    clock.now += 61.0
    assert loads.serving(arm) == (A, B)


def test_a_model_that_a_server_refused_is_not_asked_for_there_until_it_lists_it_or_half_a_minute_is_over(
    loads: ReplicaLoads, clock: Clock
) -> None:
    loads.on_model_missing(A, "adapter")
    assert not loads.serves(A, "adapter")
    assert loads.serves(A, "base")
    loads.on_models(A, ["base", "adapter"])
    assert loads.serves(A, "adapter")
    loads.on_model_missing(B, "adapter")
    clock.now += 30.0
    assert loads.serves(B, "adapter")


def test_an_arm_waits_as_long_as_its_least_busy_replica_that_serves_it(loads: ReplicaLoads, clock: Clock) -> None:
    arm = Arm("x", (A, B, C), "adapter", None, None, 4096)
    tell(loads, clock, A, waiting=8.0, running=4.0)
    tell(loads, clock, B, waiting=2.0, running=4.0)
    tell(loads, clock, C)
    loads.on_models(C, ["base"])
    queue = loads.queue(arm)
    assert queue is not None
    assert (queue.waiting, queue.running) == (2.0, 4.0)


def test_calls_from_here_stand_for_those_of_other_routers_that_decide_alike(loads: ReplicaLoads, clock: Clock) -> None:
    mine = [loads.on_call(A) for _ in range(4)]
    tell(loads, clock, A, running=19.0)  # a quarter of all are from here
    tell(loads, clock, B)
    mine.append(loads.on_call(A))
    state = loads.state(A)
    assert state is not None
    assert state.running == pytest.approx(19.0 + 4.0)
    for call in mine:
        call.end()
    state = loads.state(A)
    assert state is not None
    assert state.running == pytest.approx(19.0 - 4 * 4.0)
