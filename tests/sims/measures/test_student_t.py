import math
import sys

import pytest

from highwayman.env.errors import ConfigError
from highwayman.sims.measures.student_t import student_t


@pytest.mark.parametrize(
    ("degrees", "confidence", "quantile"),  # two-sided, from printed tables
    [
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (3, 0.95, 3.182),
        (4, 0.95, 2.776),
        (7, 0.95, 2.365),
        (9, 0.95, 2.262),
        (19, 0.95, 2.093),
        (30, 0.95, 2.042),
        (120, 0.95, 1.980),
        (1, 0.99, 63.657),
        (5, 0.99, 4.032),
        (10, 0.90, 1.812),
    ],
)
def test_quantiles_are_those_of_the_tables(degrees: int, confidence: float, quantile: float) -> None:
    assert student_t(degrees, confidence) == pytest.approx(quantile, abs=6e-4)


def test_quantiles_fall_to_the_normal_distributions() -> None:
    found = [student_t(degrees) for degrees in (1, 2, 3, 10, 11, 100, 2_000)]
    assert found == sorted(found, reverse=True)
    assert student_t(20_000) == pytest.approx(1.95996, abs=2e-4)


@pytest.mark.parametrize(("degrees", "confidence"), [(0, 0.95), (3, 0.0), (3, 1.0), (3, math.nan)])
def test_there_is_no_quantile_of_nonsense(degrees: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="degrees >= 1"):
        student_t(degrees, confidence)


def test_without_scipy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ConfigError, match=r"pip install 'highwayman\[sims\]'"):
        student_t(3)
