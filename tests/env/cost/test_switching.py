"""What a conversation gives up with its prompt cache."""

from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import estimate_usage
from highwayman.env.cost.prefill_fit import PrefillFit
from highwayman.env.cost.switching import cache_saving, cache_saving_usd, switch_penalties
from highwayman.env.cost.usage import TokenUse
from highwayman.env.types import Arm, Floats

SMALL = Arm("small", ("http://s",), "s", 1.0, 2.0, 100_000, usd_per_mtok_cached_in=0.1)
LARGE = Arm("large", ("http://l",), "l", 10.0, 20.0, 100_000, usd_per_mtok_cached_in=1.0)
NAMES = ("small", "large")
AUTO = Objective("auto", 300.0)


def penalties(holder: Arm, cached_tokens: float, objective: Objective = AUTO, *, turns: float = 1.0) -> Floats:
    arms = [holder if arm.name == holder.name else arm for arm in (SMALL, LARGE)]
    estimates = estimate_usage(arms, lambda name: TokenUse(), prompt_tokens=10_000)
    savings = {arm.name: cache_saving(arm, TokenUse(), cached_tokens) for arm in arms}
    return switch_penalties(NAMES, estimates, objective, holder=holder.name, savings=savings, turns=turns)


def test_a_cache_saves_the_difference_of_the_two_prices_and_never_less_than_nothing() -> None:
    assert cache_saving_usd(LARGE, 10_000) == pytest.approx(0.09)
    assert cache_saving_usd(replace(LARGE, usd_per_mtok_cached_in=None), 10_000) == 0.0
    assert cache_saving_usd(replace(LARGE, usd_per_mtok_cached_in=11.0), 10_000) == 0.0


@pytest.mark.parametrize(("holder", "other"), [(SMALL, 1), (LARGE, 0)])
def test_the_other_arm_carries_what_the_holders_cache_saves_and_the_more_the_longer_the_prompt(
    holder: Arm, other: int
) -> None:
    short, long = penalties(holder, 2_000), penalties(holder, 9_000)
    assert 0 < short[other] < long[other]
    assert short[1 - other] == long[1 - other] == 0.0


def test_what_the_other_carries_is_by_how_much_less_the_holder_would() -> None:
    assert penalties(LARGE, 5_000)[0] == pytest.approx(0.01 * 300.0 * 0.045)


@pytest.mark.parametrize(
    ("holder", "tokens", "objective"),
    [
        (replace(LARGE, usd_per_mtok_cached_in=None), 9_000, AUTO),
        (LARGE, 0, AUTO),
        (LARGE, 9_000, Objective("auto-quality", 0.0)),
    ],
)
def test_without_a_price_a_cache_or_points_for_dollars_a_switch_is_free(
    holder: Arm, tokens: float, objective: Objective
) -> None:
    assert np.array_equal(penalties(holder, tokens, objective), np.zeros(2))


def measured(seconds_per_ktok: float) -> TokenUse:
    """Ten answered calls, a second each, whose first tokens came so much later for every thousand tokens."""
    prefill = PrefillFit()
    for tokens in (100, 4_000) * 100:
        prefill = prefill.plus(tokens, 0.2 + seconds_per_ktok * tokens / 1_000)
    return TokenUse(calls=10, latency_s=10.0, prefill=prefill)


def test_seconds_are_saved_as_they_were_measured_and_none_where_nothing_was() -> None:
    assert cache_saving(LARGE, measured(0.1), 5_000).seconds == pytest.approx(0.5, rel=0.05)
    assert cache_saving(LARGE, TokenUse(), 5_000).seconds == 0.0


@pytest.mark.parametrize("cached_usd", [None, 1.0])
def test_the_seconds_of_a_cold_prompt_count_by_the_weight_of_latency_and_beside_its_dollars(
    cached_usd: float | None,
) -> None:
    holder = replace(LARGE, usd_per_mtok_cached_in=cached_usd)
    uses = {"small": TokenUse(calls=10, latency_s=2.0), "large": measured(0.1)}
    estimates = estimate_usage([SMALL, holder], uses.__getitem__, prompt_tokens=10_000)

    def carried(objective: Objective) -> float:
        savings = {arm.name: cache_saving(arm, uses[arm.name], 5_000) for arm in (SMALL, holder)}
        price = switch_penalties(NAMES, estimates, objective, holder="large", savings=savings, turns=1.0)
        assert price[1] == 0.0
        return float(price[0])

    dollars, seconds = carried(AUTO), carried(replace(AUTO, points_per_usd=0.0, points_per_s=10.0))
    assert (dollars > 0) == (cached_usd is not None)
    # Half of the holder's second is what reading the prompt takes, and a second is worth ten points.
    assert seconds == pytest.approx(0.1 * 0.5, rel=0.1)
    assert carried(replace(AUTO, points_per_s=10.0)) == pytest.approx(dollars + seconds)


def test_an_arm_that_will_save_on_its_own_later_turns_carries_so_much_less() -> None:
    once, twice = penalties(LARGE, 5_000), penalties(LARGE, 5_000, turns=2.0)
    back = penalties(SMALL, 5_000)[1]  # what the small arm's cache saves, on the same scale
    assert 0 < twice[0] == pytest.approx(once[0] - back / 2)
    assert twice[1] == 0.0


def test_a_switch_is_never_rewarded_for_itself() -> None:
    without_a_cache = replace(LARGE, usd_per_mtok_cached_in=None)
    assert np.array_equal(penalties(without_a_cache, 5_000, turns=10.0), np.zeros(2))
