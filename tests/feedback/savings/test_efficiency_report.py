"""Two tenants, two policies, two arms: half a second an answer, $0.002, and half a watt-hour where it is known."""

from dataclasses import replace

import pytest

from highwayman.env.cost.efficiency import inference_efficiency
from highwayman.env.types import Decision, Mode, Outcome, Status
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.tallies.efficiency_tally import EfficiencyTally
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.savings.efficiency_report import efficiency_report
from tests.feedback.worlds import decision, fold, outcome, thumb


def made(name: str, *, tenant: str = "default", policy: str = "Old", mode: Mode = Mode.ROUTE) -> Decision:
    return replace(decision(name, mode=mode), tenant=tenant, policy=policy)


def ended(name: str, *, arm: str = "a", wh: float | None = 0.5, cost_usd: float | None = 0.002) -> Outcome:
    return replace(outcome(name, arm=arm, cost_usd=cost_usd), wh=wh)


@pytest.fixture(scope="module")
def learner() -> Learner:
    return fold(
        made("d"), ended("d"), thumb("d", 1.0),
        made("e", policy="New"), ended("e", arm="b", wh=None, cost_usd=0.004), thumb("e", 0.0),
        made("f", tenant="acme"), ended("f"), thumb("f", 0.0), thumb("f", 1.0),
        made("g", mode=Mode.FORCED), ended("g"), thumb("g", 0.0),
        made("h"), replace(ended("h"), status=Status.FAILED),
    )  # fmt: skip


def test_a_group_has_the_score_of_an_answer_that_is_worth_and_takes_what_its_own_do_on_average(
    learner: Learner,
) -> None:
    a, b = efficiency_report(learner.tally.efficiency, by="arm")
    assert (a.name, a.calls, a.quality, a.latency_s, a.cost_usd, a.wh) == ("a", 2, 1.0, 0.5, 0.002, 0.5)
    assert a.efficiency == inference_efficiency(1.0, 0.5, 0.002)
    assert (b.name, b.calls, b.quality, b.wh) == ("b", 1, 0.0, None)
    assert b.efficiency == inference_efficiency(0.0, 0.5, 0.004)


def test_policies_and_tenants_are_groups_likewise(learner: Learner) -> None:
    policies = {group.name: group.calls for group in efficiency_report(learner.tally.efficiency, by="policy")}
    assert policies == {"Old": 2, "New": 1}
    tenants = {group.name: group.calls for group in efficiency_report(learner.tally.efficiency, by="tenant")}
    assert tenants == {"default": 2, "acme": 1}
    (alone,) = efficiency_report(learner.tally.efficiency, by="arm", tenant="acme")
    assert (alone.name, alone.calls) == ("a", 1)


def test_without_a_price_or_a_rating_there_is_no_score_and_the_group_comes_last() -> None:
    unrated = fold(made("d"), ended("d"), made("e"), ended("e", arm="b", cost_usd=None), thumb("e", 1.0))
    assert [group.efficiency for group in efficiency_report(unrated.tally.efficiency, by="arm")] == [None, None]


def test_the_sums_survive_the_tally_and_one_of_before_has_none(learner: Learner) -> None:
    kept = Tally.from_json(learner.tally.to_json()).efficiency
    assert kept.groups == learner.tally.efficiency.groups
    assert kept.distance(learner.tally.efficiency) == 0.0
    assert kept.distance(EfficiencyTally()) > 0.0
    assert Tally.from_json(b"{}").efficiency.groups == {}
