import pytest

from highwayman.sims.simulation.worlds.price_change import PriceChange
from highwayman.sims.simulation.worlds.stale_prices import StalePrices
from tests.sims.simulation.courses import course

CHANGE = PriceChange(arm="small", factor=10.0, from_share=0.5)


@pytest.mark.parametrize("worlds", [(CHANGE, StalePrices(lag_share=0.1)), (StalePrices(lag_share=0.1), CHANGE)])
def test_the_list_follows_the_meter_a_share_of_the_run_later(worlds: tuple[PriceChange, StalePrices]) -> None:
    met = course(*worlds, rounds=100)
    assert (met.cost_usd[:, 0] > 0.005).tolist() == [t >= 50 for t in range(100)]
    assert (met.price_usd[:, 0] > 0.005).tolist() == [t >= 60 for t in range(100)]


def test_a_lag_longer_than_the_run_is_refused() -> None:
    with pytest.raises(ValueError, match="lag_share"):
        StalePrices(lag_share=1.1)
