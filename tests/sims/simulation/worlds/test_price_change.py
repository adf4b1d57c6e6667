import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.sims.simulation.worlds.price_change import PriceChange
from tests.sims.simulation.courses import COSTS, course


def test_meter_and_price_list_change_together_for_one_arm_from_then_on() -> None:
    met = course(PriceChange(arm="middle", factor=4.0, from_share=0.25), rounds=100)
    for prices in (met.cost_usd, met.price_usd):
        assert prices[24] == pytest.approx(COSTS)
        assert prices[25:] == pytest.approx(np.broadcast_to([COSTS[0], 4 * COSTS[1], COSTS[2]], (75, 3)))


def test_penalties_follow_the_price() -> None:
    met = course(PriceChange(arm="large", factor=1 / 21, from_share=0.5), rounds=100)
    penalties = met.penalties(Objective("auto", 750.0))
    assert penalties[49, 2] == pytest.approx(7.5 * COSTS[2])
    assert penalties[50, 2] == pytest.approx(7.5 * COSTS[2] / 21)


def test_a_price_may_come_back() -> None:
    met = course(PriceChange(arm="dearest", factor=2.0, from_share=0.5, until_share=0.6), rounds=100)
    assert (met.cost_usd[:, 2] > 0.03).sum() == 10


def test_a_factor_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="factor must be a number > 0"):
        PriceChange(factor=0.0)
