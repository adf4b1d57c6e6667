import numpy as np
import pytest

from highwayman.sims.simulation.worlds.confidence import Confidence
from highwayman.sims.simulation.worlds.quality_drop import QualityDrop
from tests.sims.simulation.courses import course


def test_the_further_apart_the_more_the_signal_tells() -> None:
    tells = []
    for separation in (0.0, 1.0, 4.0):
        met = course(Confidence(separation))
        tells.append(np.corrcoef(met.signals["verified"].ravel(), met.quality.ravel())[0, 1])
    assert tells[0] == pytest.approx(0.0, abs=0.03)
    assert tells[0] < tells[1] < tells[2]


def test_signals_are_of_the_quality_after_a_drop_whichever_is_named_first() -> None:
    met = course(Confidence(20.0), QualityDrop(arm="large", factor=0.1, from_share=0.5))
    signals = met.signals["verified"][:, 2]
    assert signals[: met.n // 2].mean() > 0.9
    assert signals[met.n // 2 :].mean() < 0.1


def test_several_signals_stand_beside_each_other_by_name() -> None:
    met = course(Confidence(1.0), Confidence(1.0, signal="margin", bias={"small": 50.0}))
    assert set(met.signals) == {"verified", "margin"}
    assert not np.array_equal(met.signals["verified"], met.signals["margin"])
    assert met.signals["margin"][:, 0].min() > 0.99
    assert met.signals["margin"][:, 1].mean() < 0.6
    assert all(values.min() >= 0.0 and values.max() <= 1.0 for values in met.signals.values())


def test_a_separation_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="separation must be a number in \\[0, 100\\]"):
        Confidence(-1.0)
