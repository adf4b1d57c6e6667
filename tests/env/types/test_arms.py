from dataclasses import FrozenInstanceError

import pytest

from highwayman.env.types import Arm


def arm(usd_in: float | None, usd_out: float | None) -> Arm:
    return Arm("a", ("http://h:1",), "m", usd_in, usd_out, 4096)


@pytest.mark.parametrize(
    ("usd_in", "usd_out", "priced"),
    [(0.5, 1.5, True), (0.0, 0.0, True), (0.5, None, False), (None, 1.5, False), (None, None, False)],
)
def test_an_arm_is_priced_once_both_prices_are_known_be_they_zero(
    usd_in: float | None, usd_out: float | None, priced: bool
) -> None:
    assert arm(usd_in, usd_out).has_price is priced


def test_values_cannot_be_changed_in_passing() -> None:
    with pytest.raises(FrozenInstanceError):
        arm(1.0, 1.0).name = "b"  # type: ignore[misc]
