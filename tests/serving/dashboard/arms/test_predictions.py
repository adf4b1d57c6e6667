"""What calls were foretold to cost, on calls made by hand."""

from dataclasses import replace

import pytest

from highwayman.feedback.fold.tally import Tally
from highwayman.serving.dashboard.arms.predictions import ForetoldCall, cost_ratios, foretold_calls
from highwayman.serving.dashboard.arms.recent_calls import LoggedCall
from tests.feedback.worlds import FINGERPRINT, decision, outcome
from tests.serving.running_router import arm


def test_a_call_is_foretold_by_those_before_it_and_never_by_itself() -> None:
    tally, calls = Tally(), []
    for n, tokens in enumerate((40, 40, 40, 400)):
        call = LoggedCall(
            f"{2 * n + 1}-0", decision(f"d{n}"), f"{2 * n + 2}-0", replace(outcome(f"d{n}"), tokens_out=tokens)
        )
        tally.amounts.on_answer(call.decision, call.outcome or outcome("d"))
        calls.append(call)
    before = tally.amounts.to_json()
    foretold = foretold_calls(calls, [arm("a"), arm("b")], tally, position="8-0", fingerprint=FINGERPRINT)
    usd = [call.foretold_usd for call in foretold]
    assert usd[0] == pytest.approx(268e-6, rel=0.01)  # 12 tokens read, and 256 are guessed of an arm without calls
    assert usd[0] >= usd[1] > usd[2] > usd[3]  # it nears 40; the last one's 400 are not known before it is over
    assert [call.metered_usd for call in foretold] == pytest.approx([60e-6, 60e-6, 60e-6, 420e-6])
    assert tally.amounts.to_json() == before


def test_the_ratio_of_dollars_has_an_interval_once_there_are_calls_enough() -> None:
    even = [ForetoldCall(f"d{n}", 0.0, "a", 1.0, 1.5 if n % 2 else 0.5) for n in range(100)]
    ratios = cost_ratios([*even, ForetoldCall("d", 0.0, "b", 1.0, 2.0)])
    assert ratios["a"].ratio == pytest.approx(1.0)
    assert ratios["a"].low == pytest.approx(1 - 1.96 * 0.5 / 99**0.5, rel=1e-3)  # the standard error of a mean
    assert (ratios["b"].ratio, ratios["b"].low != ratios["b"].low) == (2.0, True)
