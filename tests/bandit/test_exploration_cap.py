import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.draw import draw, mix, one_hot_argmax
from highwayman.bandit.exploration_cap import ExplorationCap, mix_with_greedy

DAY_S = 86_400.0
PROBS = np.array([0.75, 0.25])
USD = np.array([0.0, 0.4])  # exploring costs 0.1 beyond the greedy arm
UTILITIES = np.array([0.6, 0.2])  # and 0.1 of quality


def test_without_a_ceiling_all_exploration_is_left() -> None:
    assert ExplorationCap().share(PROBS, 0, usd=USD, utilities=None, at=0.0) == 1.0


def test_regret_that_is_allowed_on_average_is_shared_out_and_saved() -> None:
    cap = ExplorationCap(regret_per_request=0.05)
    assert cap.share(PROBS, 0, usd=USD, utilities=UTILITIES, at=0.0) == pytest.approx(0.5)
    certain = np.array([1.0, 0.0])
    assert cap.share(certain, 0, usd=USD, utilities=UTILITIES, at=0.0) == 1.0  # costs nothing: 0.05 are saved
    assert cap.share(PROBS, 0, usd=USD, utilities=UTILITIES, at=0.0) == pytest.approx(1.0)  # 0.05 + 0.05


def test_a_days_dollars_drip_in_over_the_day_and_begin_anew_at_midnight() -> None:
    cap = ExplorationCap(usd_per_day=2.4)  # 0.1 an hour, the first at once
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=0.0) == pytest.approx(1.0)
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=0.0) == 0.0
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=1800.0) == pytest.approx(0.5)
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=DAY_S) == pytest.approx(1.0)


def test_a_days_dollars_are_those_of_its_own_date() -> None:
    cap, midnight = ExplorationCap(usd_per_day=2.4), 1_700_006_400.0  # of 15 November 2023
    assert midnight % DAY_S == 0
    for since_midnight_s, share in [(0.0, 1.0), (0.0, 0.0), (5400.0, 1.0), (5400.0, 0.5), (5400.0, 0.0)]:
        assert cap.share(PROBS, 0, usd=USD, utilities=None, at=midnight + since_midnight_s) == pytest.approx(share)
    granted = sum(cap.share(PROBS, 0, usd=USD, utilities=None, at=midnight + DAY_S - 1.0) for _ in range(50))
    assert granted == pytest.approx(24 - 2.5, abs=0.1)  # what is left of the day, the hour ahead included
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=midnight + DAY_S) == pytest.approx(1.0)
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=midnight + DAY_S) == 0.0


def test_what_exploring_costs_is_counted_from_the_greedy_arm_wherever_it_stands() -> None:
    greedy_second = {"probs": PROBS[::-1], "usd": USD[::-1], "utilities": UTILITIES[::-1]}
    assert ExplorationCap(usd_per_day=1.2).share(greedy=1, at=0.0, **greedy_second) == pytest.approx(0.5)
    assert ExplorationCap(regret_per_request=0.05).share(greedy=1, at=0.0, **greedy_second) == pytest.approx(0.5)
    dear_greedy = ExplorationCap(usd_per_day=0.0)  # the others are cheaper than it
    assert dear_greedy.share(PROBS[::-1], 1, usd=USD, utilities=None, at=0.0) == 1.0


def test_what_is_saved_of_regret_is_that_of_five_hundred_requests_at_most() -> None:
    cap, certain = ExplorationCap(regret_per_request=0.01), np.array([1.0, 0.0])
    for _ in range(2000):
        cap.share(certain, 0, usd=USD, utilities=UTILITIES, at=0.0)
    shares = [cap.share(PROBS, 0, usd=USD, utilities=UTILITIES, at=0.0) for _ in range(100)]
    assert sum(shares) == pytest.approx(500 * 0.01 / 0.1 + 99 * 0.01 / 0.1, abs=1.0)


def test_exploring_cheaper_or_unpriced_arms_costs_no_dollars() -> None:
    cap = ExplorationCap(usd_per_day=0.0)
    assert cap.share(PROBS, 0, usd=np.array([0.4, 0.0]), utilities=None, at=0.0) == 1.0
    assert cap.share(PROBS, 0, usd=np.array([0.0, np.nan]), utilities=None, at=0.0) == 1.0
    assert cap.share(PROBS, 0, usd=USD, utilities=None, at=0.0) == 0.0


def test_a_share_too_small_for_any_estimate_is_saved_up_instead() -> None:
    cap = ExplorationCap(regret_per_request=0.002)  # 2% of what it costs
    shares = [cap.share(PROBS, 0, usd=USD, utilities=UTILITIES, at=0.0) for _ in range(6)]
    assert shares == pytest.approx([0.0, 0.0, 0.06, 0.0, 0.0, 0.06])


@given(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 3.0), st.floats(0.0, 3 * DAY_S)), max_size=80),
    st.floats(0.0, 2.0),
    st.floats(0.0, 0.5),
)
def test_neither_sum_ever_exceeds_its_ceiling(
    decisions: list[tuple[float, float, float]], usd_per_day: float, regret: float
) -> None:
    cap = ExplorationCap(usd_per_day=usd_per_day, regret_per_request=regret)
    days: dict[int, float] = {}
    total = 0.0
    for number, (prob, usd, at) in enumerate(sorted(decisions, key=lambda one: one[2]), start=1):
        probs = np.array([1.0 - prob, prob])
        share = cap.share(probs, 0, usd=np.array([0.0, usd]), utilities=np.array([1.0, 0.0]), at=at)
        assert 0.0 <= share <= 1.0
        day = int(at // DAY_S)
        days[day] = days.get(day, 0.0) + share * prob * usd
        total += share * prob
        assert total <= number * regret + 1e-9
    assert all(spent <= usd_per_day + 1e-9 for spent in days.values())


@given(
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.integers(0, 2**32),
)
def test_what_is_drawn_from_is_exactly_the_mixture_and_keeps_a_share_of_the_floor(
    weights: list[float], floor: float, share: float, seed: int
) -> None:
    probs = np.array(weights) / sum(weights)
    mixed, left = mix_with_greedy(probs, one_hot_argmax(probs), floor=floor, share=share)
    drawn = draw(mixed, floor=left, rng=np.random.default_rng(seed))
    assert drawn.probs == pytest.approx(
        share * mix(probs, floor=floor) + (1.0 - share) * one_hot_argmax(probs), abs=1e-12
    )
    assert drawn.probs.min() >= share * floor / len(probs)
    assert drawn.propensity == drawn.probs[drawn.action]


def test_without_exploration_the_other_arms_have_no_probability() -> None:
    mixed, left = mix_with_greedy(PROBS, one_hot_argmax(PROBS), floor=0.1, share=0.0)
    drawn = draw(mixed, floor=left, rng=np.random.default_rng(0))
    assert (drawn.propensity, drawn.probs.tolist()) == (1.0, [1.0, 0.0])


@pytest.mark.parametrize("name", ["usd_per_day", "regret_per_request"])
def test_a_ceiling_below_zero_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number >= 0 or None, got -0.1"):
        ExplorationCap(**{name: -0.1})


def test_a_cap_that_takes_anothers_place_goes_on_from_what_that_one_has_spent_and_saved() -> None:
    before, after = ExplorationCap(usd_per_day=2.4), ExplorationCap(usd_per_day=3.6)
    assert before.share(PROBS, 0, usd=USD, utilities=None, at=0.0) == pytest.approx(1.0)
    after.go_on_from(before)
    assert after.share(PROBS, 0, usd=USD, utilities=None, at=0.0) == pytest.approx(0.5)  # 0.15 less 0.1
    saved, after = ExplorationCap(regret_per_request=0.1), ExplorationCap(regret_per_request=0.01)
    for _ in range(9):
        saved.share(np.array([1.0, 0.0]), 0, usd=USD, utilities=UTILITIES, at=0.0)
    after.go_on_from(saved)
    assert after.share(PROBS, 0, usd=USD, utilities=UTILITIES, at=0.0) == pytest.approx(1.0)
