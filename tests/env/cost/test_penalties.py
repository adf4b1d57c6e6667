import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import arm_penalties, estimate_usage, expected_usd
from highwayman.env.cost.usage import TokenUse, estimate_call
from highwayman.env.types import Arm

POOL = (
    Arm("small", ("http://a",), "s", 0.1, 0.1, 4096, wh_per_mtok=10.0),
    Arm("large", ("http://b",), "l", 10.0, 10.0, 4096, wh_per_mtok=1000.0),
    Arm("free", ("http://c",), "f", None, None, 4096),
)
USE = {
    "small": TokenUse(10, 0.0, 1000.0, latency_s=10.0),
    "large": TokenUse(10, 0.0, 1000.0, latency_s=160.0),
    "free": TokenUse(),
}
NAMES = ("small", "large", "free")


def test_dollars_seconds_and_energy_each_count_by_their_weight() -> None:
    quotes = estimate_usage(POOL, USE.__getitem__, prompt_tokens=100)
    assert arm_penalties(NAMES, quotes, Objective("auto", 0.2)).tolist() == pytest.approx([0.0, 0.2, 0.0])
    assert arm_penalties(NAMES, quotes, Objective("auto", 0.0, 0.3)).tolist() == pytest.approx([0.0, 0.3, 0.0])
    assert arm_penalties(NAMES, quotes, Objective("auto", 0.0, 0.0, 0.4)).tolist() == pytest.approx([0.0, 0.4, 0.0])
    assert arm_penalties(NAMES, quotes, Objective("auto", 0.2, 0.3, 0.4)).tolist() == pytest.approx([0.0, 0.9, 0.0])


def test_an_arm_alone_is_priced_as_among_all() -> None:
    quotes = estimate_usage(POOL, USE.__getitem__, prompt_tokens=100)
    assert arm_penalties(("large",), quotes, Objective("auto", 0.2)).tolist() == pytest.approx([0.2])


def test_dollars_are_nan_where_there_is_no_price() -> None:
    found = expected_usd(NAMES, estimate_usage(POOL, USE.__getitem__, prompt_tokens=100))
    assert np.isnan(found).tolist() == [False, False, True]
    assert found[1] == pytest.approx(100 * found[0])


def test_a_queue_makes_an_arm_slower_only_beyond_what_its_replicas_answer_side_by_side() -> None:
    arm, use = POOL[0], USE["small"]
    assert estimate_call(arm, use, prompt_tokens=1, under_way=7).latency_s == pytest.approx(1.0)
    assert estimate_call(arm, use, prompt_tokens=1, under_way=15).latency_s == pytest.approx(2.0)
    assert estimate_call(arm, TokenUse(), prompt_tokens=1).latency_s is None
