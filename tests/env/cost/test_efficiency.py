import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.efficiency import inference_efficiencies, inference_efficiency


def test_a_good_answer_in_a_second_for_two_tenths_of_a_cent_by_hand() -> None:
    # (0.5 * 0.8 + 0.5 * 1 / 2) / (1000 * 0.002)
    assert inference_efficiency(0.8, 1.0, 0.002) == pytest.approx(0.325)
    assert inference_efficiency(0.8, 1.0, 0.002, alpha=1.0) == pytest.approx(0.4)


@pytest.mark.parametrize("cost_usd", [None, 0.0])
def test_what_has_no_price_has_no_efficiency(cost_usd: float | None) -> None:
    assert inference_efficiency(0.8, 1.0, cost_usd) is None


@pytest.mark.parametrize(
    ("quality", "latency_s", "alpha", "message"),
    [
        (1.1, 0, 0.5, "alpha and quality in"),
        (0.5, 1, 2.0, "alpha and quality in"),
        (0.5, -1, 0.5, "latency_s >= 0"),
        (0.5, math.nan, 0.5, "latency_s >= 0"),
    ],
)
def test_numbers_out_of_range_are_refused(quality: float, latency_s: float, alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inference_efficiency(quality, latency_s, 0.1, alpha=alpha)


def test_many_calls_have_their_own_scores_and_what_has_no_price_has_none() -> None:
    quality, latency_s = np.array([1.0, 0.5, 0.5, 0.5]), np.array([0.0, 1.0, 1.0, 1.0])
    scores = inference_efficiencies(quality, latency_s, np.array([0.001, 0.002, 0.0, math.nan]), alpha=0.75)
    assert scores[:2] == pytest.approx([(0.75 + 0.25) / 1.0, (0.375 + 0.125) / 2.0])
    assert np.isnan(scores[2:]).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
def test_the_score_rises_with_quality_and_speed_and_falls_with_cost(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    quality, latency_s, cost = rng.uniform(0.0, 0.9, 5), rng.uniform(0.0, 30.0, 5), rng.uniform(0.1, 2.0, 5)
    scores = inference_efficiencies(quality, latency_s, cost, alpha=alpha)
    assert (inference_efficiencies(quality + 0.1, latency_s, cost, alpha=alpha) > scores).all()
    assert (inference_efficiencies(quality, latency_s * 2, cost, alpha=alpha) <= scores).all()
    assert inference_efficiencies(quality, latency_s, cost * 4, alpha=alpha) == pytest.approx(scores / 4)


def test_without_latencies_the_score_is_quality_per_cost() -> None:
    scores = inference_efficiencies(np.array([1.0, 0.5]), None, np.array([0.002, 0.002]), alpha=1.0)
    assert scores.mean() == pytest.approx(0.375)
    with pytest.raises(ValueError, match="alpha must be 1"):
        inference_efficiencies(np.ones(1), None, np.ones(1))
