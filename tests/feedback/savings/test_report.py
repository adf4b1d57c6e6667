import math

import numpy as np
import pytest

from highwayman.env.types import ControlDraw
from highwayman.feedback.fold.tallies.control_tally import ControlTally
from highwayman.feedback.savings.difference import difference_interval
from highwayman.feedback.savings.report import MeanDifference, savings_report

DAY_S = 86_400.0


def tally(*, control: int = 100, policy: int = 900, judge_usd: float = 0.0) -> ControlTally:
    """A day on which the baseline cost about $4 a request, the policy about $1; the quality .8 and .9."""
    known = ControlTally()
    own = known._own("default")
    rng = np.random.default_rng(1)
    for n in range(control + policy):
        is_control = n < control
        draw = ControlDraw(0.1, float(is_control), is_control=is_control)
        propensity = 0.1 if is_control else 0.9
        own.cost.add(draw, propensity, (4.0 if is_control else 1.0) * rng.exponential())
        own.quality.add(draw, propensity, float(rng.random() < (0.8 if is_control else 0.9)))
        own.drawn += is_control
    own.since, own.until, own.judge_usd = 0.5, 0.5 + DAY_S, judge_usd
    return known


def test_what_is_saved_is_the_baselines_cost_less_the_routers_and_all_that_it_costs_itself() -> None:
    plain = savings_report(tally(), tenant="default")
    assert plain.baseline_usd is not None
    assert plain.router_usd is not None
    assert plain.saving_usd is not None
    assert plain.saving_usd.value == pytest.approx(plain.baseline_usd - plain.router_usd)
    assert plain.saving_usd.low is not None
    assert 0.0 < plain.saving_usd.low < 3.0 < (plain.saving_usd.high or 0.0)
    dear = savings_report(tally(judge_usd=60.0), tenant="default", router_usd_per_day=40.0)
    assert dear.overhead_usd == pytest.approx(100.0)
    assert dear.saving_usd is not None
    assert dear.saving_usd.value == pytest.approx(plain.saving_usd.value - 0.1)


def test_in_all_is_saved_what_the_policys_requests_did_once_overhead_is_paid() -> None:
    report = savings_report(tally(judge_usd=100.0), tenant="default")
    assert report.total_usd is not None
    assert report.baseline_usd is not None
    assert report.router_usd is not None
    assert report.total_usd.value == pytest.approx(900 * (report.baseline_usd - report.router_usd) - 100.0)


def test_quality_gained_has_the_intervals_ends_in_order() -> None:
    quality = savings_report(tally(), tenant="default").quality
    assert quality is not None
    assert quality.low is not None
    assert quality.high is not None
    assert quality.low < quality.value < quality.high
    assert quality.value == pytest.approx(0.1, abs=0.1)


def test_too_few_draws_of_the_slice_give_a_difference_without_an_interval() -> None:
    saving = savings_report(tally(control=19), tenant="default").saving_usd
    assert saving is not None
    assert (saving.low, saving.high) == (None, None)


def test_of_a_tenant_without_a_slice_nothing_is_known() -> None:
    report = savings_report(ControlTally(), tenant="nobody")
    assert report.requests == report.rated == 0
    assert report.saving_usd is report.total_usd is report.quality is report.since is None


def test_the_interval_covers_at_every_look_where_one_for_a_single_look_does_not() -> None:
    """Forty runs that save nothing, looked at after every fiftieth request; costs have heavy tails."""
    covered = fixed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        known, always, always_fixed = ControlTally()._own("t"), True, True
        usd, taken = np.exp(rng.normal(-0.5, 1.0, 1500)), rng.random(1500) < 0.1
        for n, (cost, is_control) in enumerate(zip(usd.tolist(), taken.tolist(), strict=True), start=1):
            draw = ControlDraw(0.1, float(is_control), is_control=is_control)
            known.cost.add(draw, 0.1 if is_control else 0.9, cost)
            if n % 50:
                continue
            contrast = known.cost.contrast()
            interval = None if contrast is None else difference_interval(contrast)
            if contrast is not None and interval is not None:
                always &= interval[0] <= 0.0 <= interval[1]
                always_fixed &= abs(contrast.baseline - contrast.policy) <= 1.96 * contrast.stderr
        covered, fixed = covered + always, fixed + always_fixed
    assert covered >= 38
    assert fixed < 36


def test_moving_a_difference_moves_its_interval() -> None:
    assert MeanDifference(1.0, 0.5, 1.5).moved(-1.0, 10.0) == MeanDifference(0.0, -5.0, 5.0)
    assert math.isclose(MeanDifference(1.0).moved(2.0).value, 3.0)
