from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import arm_penalties, estimate_usage, expected_usd
from highwayman.env.cost.usage import TokenUse, estimate_call
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import Arm, ArmState

POOL = (
    Arm("small", ("http://a",), "s", 0.1, 0.1, 4096, wh_per_mtok=10.0),
    Arm("large", ("http://b",), "l", 10.0, 10.0, 4096, wh_per_mtok=1000.0),
    Arm("unpriced", ("http://c",), "f", None, None, 4096),
)
USE = {
    "small": TokenUse(10, 0.0, 1000.0, latency_s=10.0),
    "large": TokenUse(10, 0.0, 1000.0, latency_s=160.0),
    "unpriced": TokenUse(),
}
AUTO = Objective("auto", 2_000.0)
NAMES = ("small", "large", "unpriced")


def carried(pool: tuple[Arm, ...], objective: Objective = AUTO) -> dict[str, float]:
    """Return each arm's penalty for a prompt of 100 tokens."""
    estimates = estimate_usage(pool, lambda name: USE.get(name, TokenUse()), prompt_tokens=100)
    names = [arm.name for arm in pool]
    return dict(zip(names, arm_penalties(names, estimates, objective).tolist(), strict=True))


def test_dollars_seconds_and_energy_each_count_by_their_points() -> None:
    estimates = estimate_usage(POOL, USE.__getitem__, prompt_tokens=100)
    small, large, _ = (estimates[name] for name in NAMES)
    for objective, of_small, of_large in (
        (Objective("auto", 200.0), 2.0 * small.usd, 2.0 * large.usd),
        (Objective("auto", 0.0, 0.5), 0.005 * 1.0, 0.005 * 16.0),
        (Objective("auto", 0.0, 0.0, 4.0), 0.04 * small.wh, 0.04 * large.wh),
        (Objective("auto", 200.0, 0.5), 2.0 * small.usd + 0.005, 2.0 * large.usd + 0.08),
    ):
        assert carried(POOL, objective) == pytest.approx({"small": of_small, "large": of_large, "unpriced": of_large})


def test_an_arm_alone_is_priced_as_among_all() -> None:
    quotes = estimate_usage(POOL, USE.__getitem__, prompt_tokens=100)
    alone = arm_penalties(("large",), quotes, Objective("auto", 200.0)).tolist()
    assert alone == [carried(POOL, Objective("auto", 200.0))["large"]]


def test_a_free_arm_does_not_switch_cost_off_for_one_that_has_a_price() -> None:
    pool = (Arm("own", ("http://a",), "o", 0.0, 0.0, 4096), Arm("paid", ("http://b",), "p", 2.5, 10.0, 4096))
    found = carried(pool)
    assert found["own"] == 0.0
    assert found["paid"] > 0.05


def test_an_arm_without_a_price_is_never_cheaper_than_those_that_have_one() -> None:
    found = carried(POOL[1:])
    assert found["unpriced"] >= found["large"] > 0.0


def test_a_draining_judge_and_a_new_dear_arm_leave_the_penalties_of_the_others_alone() -> None:
    before = carried(POOL[:2])
    judge = Arm("judge", ("http://j",), "j", 15.0, 75.0, 4096, state=ArmState.DRAINING)
    for more in (judge, replace(judge, state=ArmState.ACTIVE), Arm("free", ("http://f",), "f", 0.0, 0.0, 4096)):
        among = carried((*POOL[:2], more))
        assert {name: among[name] for name in before} == before


def test_dollars_are_nan_where_there_is_no_price() -> None:
    found = expected_usd(NAMES, estimate_usage(POOL, USE.__getitem__, prompt_tokens=100))
    assert np.isnan(found).tolist() == [False, False, True]
    assert found[1] == pytest.approx(100 * found[0])


def test_what_is_measured_of_an_arms_load_stands_in_for_the_guess() -> None:
    arm, use = POOL[0], USE["small"]  # takes 1 s
    full, late, idle = QueueState(7.0, 4.0), QueueState(0.0, 200.0, late_s=0.5), QueueState(0.0, 0.0, late_s=-5.0)
    for queue, latency_s in ((full, 3.0), (late, 1.5), (idle, 0.1)):
        expected = estimate_call(arm, use, prompt_tokens=1, under_way=99, queue=queue)
        assert expected.latency_s == pytest.approx(latency_s)
    assert estimate_call(arm, TokenUse(), prompt_tokens=1, queue=full).latency_s is None


def test_an_arm_whose_servers_have_a_queue_carries_it_as_a_penalty() -> None:
    use = TokenUse(10, 0.0, 1000.0, latency_s=10.0)
    queues = {"small": QueueState(15.0, 1.0)}
    estimates = estimate_usage(POOL[:2], lambda name: use, prompt_tokens=100, queue=queues.get)
    objective = Objective("auto", points_per_s=1.0)
    assert arm_penalties(("small", "large"), estimates, objective).tolist() == pytest.approx([0.17, 0.01])


def test_a_queue_makes_an_arm_slower_only_beyond_what_its_replicas_answer_side_by_side() -> None:
    arm, use = POOL[0], USE["small"]
    assert estimate_call(arm, use, prompt_tokens=1, under_way=7).latency_s == pytest.approx(1.0)
    assert estimate_call(arm, use, prompt_tokens=1, under_way=15).latency_s == pytest.approx(2.0)
    assert estimate_call(arm, TokenUse(), prompt_tokens=1).latency_s is None
