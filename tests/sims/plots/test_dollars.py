import math

import pytest

from highwayman.sims.plots.dollars import usd


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.234, "$1.23"), (0.000456, "$0.000456"), (1234.5, "$1,234.50"), (0.0, "$0"), (math.nan, "unknown")],
)
def test_dollars_have_three_significant_digits(value: float, said: str) -> None:
    assert usd(value) == said
