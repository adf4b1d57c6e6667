import pytest

from highwayman.env.cost.efficiency import inference_efficiency


def test_a_good_answer_in_a_second_for_two_tenths_of_a_cent_by_hand() -> None:
    # (0.5 * 0.8 + 0.5 * 1 / 2) / (1000 * 0.002)
    assert inference_efficiency(0.8, 1.0, 0.002) == pytest.approx(0.325)
    assert inference_efficiency(0.8, 1.0, 0.002, alpha=1.0) == pytest.approx(0.4)


@pytest.mark.parametrize("cost_usd", [None, 0.0])
def test_what_has_no_price_has_no_efficiency(cost_usd: float | None) -> None:
    assert inference_efficiency(0.8, 1.0, cost_usd) is None


@pytest.mark.parametrize(("quality", "latency_s", "alpha"), [(1.1, 0, 0.5), (0.5, -1, 0.5), (0.5, 1, 2.0)])
def test_numbers_out_of_range_are_refused(quality: float, latency_s: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha and quality in"):
        inference_efficiency(quality, latency_s, 0.1, alpha=alpha)
