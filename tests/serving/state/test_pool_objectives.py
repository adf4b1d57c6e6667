import logging

import pytest

from highwayman.serving.config.config import Config
from highwayman.serving.state.pool_objectives import PoolObjectives
from tests.serving.running_router import arm

SMALL, LARGE = arm("small", "http://s", price=1.0), arm("large", "http://l", price=11.0)


def test_points_and_what_a_point_costs_are_told_in_words() -> None:
    told = str(PoolObjectives(Config(), [SMALL, LARGE], {}))
    assert told == (
        "auto 1,190 points per dollar (one point, .01, on one request is worth $0.00084); "
        "auto-cheap 3,980 points per dollar (one point, .01, on one request is worth $0.000251); "
        "auto-quality does not count cost"
    )


def test_what_was_settled_before_counts_more_than_the_pool_of_today(caplog: pytest.LogCaptureFixture) -> None:
    objectives = PoolObjectives(Config(), [SMALL, LARGE], {"usd": 0.15})
    assert objectives["auto"].points_per_usd == 100.0
    objectives.settle({"usd": 0.15})
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        objectives.settle({"usd": 0.3})
    assert objectives["auto"].points_per_usd == 50.0
    assert "auto 50 points per dollar" in caplog.text


def test_an_arm_without_a_price_is_told_unless_none_has_one() -> None:
    unpriced = arm("mine", "http://m", price=None)
    assert PoolObjectives(Config(), [SMALL, unpriced], {}).warnings() == [
        "no price for mine: taken to be as dear as the dearest arm, until pool.yaml gives one"
    ]
    assert PoolObjectives(Config(), [unpriced], {}).warnings() == []


def test_an_older_weight_is_told_with_the_number_to_write_instead() -> None:
    config = Config.model_validate({"cost_weights": {"auto": 0.2}})
    assert PoolObjectives(config, [SMALL, LARGE], {}).warnings() == [
        "cost_weights.auto: 0.2 is read as objective.points_per_usd.auto: 1590; write that instead"
    ]
