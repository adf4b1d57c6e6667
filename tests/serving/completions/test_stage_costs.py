from dataclasses import replace

import pytest

from highwayman.bandit.cascade.plan import StageChoice
from highwayman.env.types import Usage
from highwayman.serving.completions.stage_costs import StageCosts
from tests.serving.running_router import arm

SMALL = replace(arm("small", "http://127.0.0.1:9", price=1.0), wh_per_mtok=100.0)
LARGE = replace(arm("large", "http://127.0.0.1:9", price=10.0), wh_per_mtok=None)
USAGE = Usage(1_000_000, 0)


def test_dollars_of_answers_that_nobody_saw_and_of_looking_at_them_are_among_those_of_a_request() -> None:
    costs = StageCosts(look_usd=[0.5, None], lost_usd=[2.0])
    choice = StageChoice(signals={}, good=0.2, goes_on=1.0, went_on=True, next_arm="large")
    stage = costs.stage(choice, SMALL, USAGE, seconds=1.0)
    assert (stage.arm, stage.cost_usd, stage.tokens_in) == ("small", 1.5, 1_000_000)
    costs.stages.append(stage)
    costs.look_usd = []
    assert costs.spent_usd(LARGE, USAGE) == pytest.approx(10.0 + 1.5 + 2.0)
    assert costs.energy_wh(LARGE, USAGE, asked=[SMALL, LARGE]) == pytest.approx(100.0), "of the large one nobody knows"
    assert StageCosts().spent_usd(replace(LARGE, usd_per_mtok_in=None, usd_per_mtok_out=None), USAGE) is None
