import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.measures.tradeoff import aiq
from highwayman.sims.measures.two_arms import apgr, cpt, pgr, quality_by_share

GAP = {"weak": 0.4, "strong": 0.8}
NONE = np.array([])


def test_pgr_is_the_part_of_the_gap_that_is_closed() -> None:
    assert pgr(np.array([0.4, 0.5, 0.8, 1.0]), **GAP).tolist() == pytest.approx([0.0, 0.25, 1.0, 1.5])
    assert np.isnan(pgr(0.5, weak=0.6, strong=0.6))


def test_drawing_at_random_recovers_half_of_the_gap_and_needs_the_share_it_recovers() -> None:
    assert apgr(NONE, NONE, **GAP) == pytest.approx(0.5)
    assert cpt(0.8, NONE, NONE, **GAP) == pytest.approx(0.8)


def test_apgr_and_cpt_of_one_setting_by_hand() -> None:
    share, quality = np.array([0.5]), np.array([0.8])  # half of the calls recover everything
    assert apgr(share, quality, **GAP) == pytest.approx((0.1 + 0.3 + 0.5 + 0.7 + 0.9 + 5 * 1.0) / 10)
    assert cpt(0.5, share, quality, **GAP) == pytest.approx(0.25)
    assert cpt(1.0, share, quality, **GAP) == pytest.approx(0.5)
    assert cpt(0.0, share, quality, **GAP) == 0.0


def test_a_level_nobody_reaches_has_no_threshold() -> None:
    assert np.isnan(cpt(1.2, np.array([0.5]), np.array([0.8]), **GAP))


def test_of_settings_with_the_same_share_the_best_counts_in_any_order() -> None:
    one = apgr(np.array([0.5, 0.2, 0.5]), np.array([0.7, 0.5, 0.6]), **GAP)
    assert one == apgr(np.array([0.2, 0.5]), np.array([0.5, 0.7]), **GAP)


def test_without_a_gap_nothing_is_defined() -> None:
    assert np.isnan(apgr(np.array([0.5]), np.array([0.8]), weak=0.8, strong=0.8))
    assert np.isnan(cpt(0.5, np.array([0.5]), np.array([0.8]), weak=0.8, strong=0.8))


def test_a_curve_that_dips_counts_the_first_time_the_level_is_reached() -> None:
    share, quality = np.array([0.2, 0.5, 0.7]), np.array([0.6, 0.45, 0.7])  # PGR 0.5, 0.125, 0.75
    assert cpt(0.5, share, quality, **GAP) == pytest.approx(0.2)
    assert cpt(0.75, share, quality, **GAP) == pytest.approx(0.7)
    assert cpt(0.4375, share, quality, **GAP) == pytest.approx(0.175)


def test_a_router_that_is_wrong_about_prompts_recovers_less_than_drawing_at_random() -> None:
    ends, share = {"weak": 0.5, "strong": 1.0}, np.array([0.0, 0.5, 1.0])
    right, wrong = np.array([0.5, 1.0, 1.0]), np.array([0.5, 0.5, 1.0])  # quality at each share
    # half of the calls recover all of the gap, or none of it: the mean of 0.1, 0.3 ... 0.9 and five times 1, or 0
    assert apgr(share, right, **ends) == pytest.approx(0.75)
    assert apgr(share, wrong, **ends) == pytest.approx(0.25)
    assert cpt(0.8, share, right, **ends) == pytest.approx(0.4)
    assert cpt(0.8, share, wrong, **ends) == pytest.approx(0.9)


@given(st.integers(0, 2**32 - 1))
def test_no_threshold_falls_as_the_level_rises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    share, quality = rng.random(6), rng.random(6)
    found = [cpt(level, share, quality, **GAP) for level in np.linspace(0.0, 1.0, 11)]
    assert (np.diff(found) >= -1e-12).all()
    assert found[0] >= 0.0
    assert found[-1] <= 1.0


@given(st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_a_concave_curves_apgr_is_its_aiq_on_the_scale_of_the_gap(steps: list[float]) -> None:
    gains = np.sort(np.array(steps) + 0.01)[::-1]
    share, quality = np.linspace(0, 1, 11), 0.4 + 0.4 * np.concatenate([[0.0], np.cumsum(gains)]) / gains.sum()
    area = aiq(1 + 2 * share, quality, arm_cost=np.array([1.0, 3.0]), arm_quality=np.array([0.4, 0.8]))
    assert apgr(share, quality, **GAP) == pytest.approx((area - 0.4) / 0.4)


@given(st.integers(0, 2**32 - 1))
def test_a_router_that_knows_the_gain_is_never_below_one_that_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quality = rng.random((30, 2)) + np.array([0.0, 0.5])
    weak, strong = quality.mean(axis=0)
    ends, share = {"weak": float(weak), "strong": float(strong)}, np.arange(31) / 30
    gain = quality[:, 1] - quality[:, 0]

    def curve(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # prompts go to the strong arm in this order
        return share, weak + np.concatenate([[0.0], np.cumsum(gain[order])]) / 30

    knows, guesses = curve(np.argsort(-gain)), curve(rng.permutation(30))
    assert apgr(*knows, **ends) >= apgr(*guesses, **ends) - 1e-9
    assert cpt(0.5, *knows, **ends) <= cpt(0.5, *guesses, **ends) + 1e-9


def test_the_prompts_of_the_largest_gain_go_to_the_strong_arm_first() -> None:
    weak, strong = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 0.0])
    gain = np.array([0.9, 0.1, 0.5, -0.3])
    quality = quality_by_share(gain, weak, strong, np.array([0.0, 0.25, 0.375, 0.5, 0.75, 1.0]))
    assert quality.tolist() == [0.5, 0.75, 0.875, 1.0, 1.0, 0.75]


def test_foresight_on_ten_prompts_recovers_what_the_definition_says() -> None:
    weak, strong = np.zeros(10), np.array([1.0] * 5 + [0.0] * 5)  # half of the calls recover all of the gap
    shares, ends = np.linspace(0, 1, 11), {"weak": 0.0, "strong": 0.5}
    right = quality_by_share(strong - weak, weak, strong, shares)
    wrong = quality_by_share(weak - strong, weak, strong, shares)
    # the areas under min(2 c, 1) and max(2 c - 1, 0), for c from 0 to 1
    assert [apgr(shares, right, **ends), apgr(shares, wrong, **ends)] == pytest.approx([0.75, 0.25])
    assert [cpt(0.5, shares, right, **ends), cpt(0.8, shares, wrong, **ends)] == pytest.approx([0.25, 0.9])


@given(st.integers(0, 2**32 - 1))
def test_on_a_curve_between_tenths_apgr_is_the_area_under_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares, weak, strong = np.linspace(0, 1, 11), rng.random(37), rng.random(37) + 0.5
    quality = quality_by_share(rng.random(37), weak, strong, shares)
    ends = {"weak": float(weak.mean()), "strong": float(strong.mean())}
    area = float((pgr(quality, **ends)[1:] + pgr(quality, **ends)[:-1]).sum() / 20)
    assert apgr(shares, quality, **ends) == pytest.approx(area)
