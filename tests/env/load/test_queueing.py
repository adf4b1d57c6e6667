import numpy as np
import pytest

from highwayman.env.load.queueing import LatencyLine, QueueState, shortest_queue


def test_where_nobody_waits_a_call_takes_as_long_as_usual() -> None:
    assert QueueState(0.0, 200.0).delay_s(2.0) == 0.0


def test_those_that_wait_go_first_and_places_come_free_as_fast_as_many_run() -> None:
    # Four run and take 2 s each: two places a second. Seven wait, and one more is the eighth: 4 s.
    assert QueueState(7.0, 4.0).delay_s(2.0) == pytest.approx(4.0)
    assert QueueState(1.0, 0.0).delay_s(2.0) == pytest.approx(4.0)  # nothing runs yet


def test_first_tokens_that_came_late_count_unless_the_queue_says_more() -> None:
    assert QueueState(0.0, 4.0, late_s=1.5).delay_s(2.0) == 1.5
    assert QueueState(7.0, 4.0, late_s=1.5).delay_s(2.0) == pytest.approx(4.0)


def test_first_tokens_that_come_earlier_than_usual_are_less_than_no_delay() -> None:
    assert QueueState(0.0, 4.0, late_s=-0.5).delay_s(2.0) == -0.5


def test_a_call_goes_to_the_replica_where_fewest_wait_then_run() -> None:
    busy, full, idle = QueueState(0.0, 9.0), QueueState(1.0, 2.0), QueueState(0.0, 3.0)
    assert shortest_queue([busy, full, idle]) is idle
    assert shortest_queue([]) is None


def seen(rng: np.random.Generator, slope_s: float, calls: int = 200) -> LatencyLine:
    line = LatencyLine()
    for _ in range(calls):
        under_way = int(rng.integers(0, 20))
        line = line.plus(under_way, (1.0 + slope_s * under_way) * rng.uniform(0.7, 1.3))
    return line


def test_an_arm_that_tells_nothing_is_known_by_how_its_calls_slowed_each_other_down() -> None:
    line = seen(np.random.default_rng(0), slope_s=0.5)
    busy, idle = line.queue(19), line.queue(0)
    assert busy is not None
    assert idle is not None
    assert busy.delay_s(99.0) == pytest.approx(0.5 * 9.5, rel=0.2)  # 19 others, 9.5 on average
    assert idle.delay_s(99.0) == pytest.approx(-0.5 * 9.5, rel=0.2)


def test_an_arm_that_does_not_slow_down_is_not_expected_to() -> None:
    state = seen(np.random.default_rng(0), slope_s=0.0).queue(19)
    assert state is not None
    assert state.delay_s(1.0) < 0.15


def test_nobody_knows_after_few_calls_nor_far_beyond_what_was_met() -> None:
    line = LatencyLine()
    for _ in range(7):
        line = line.plus(1, 1.0)
    assert line.queue(1) is None
    line = line.plus(1, 1.0).plus(1, 1.0)
    assert line.queue(2) is not None
    assert line.queue(50) is None
