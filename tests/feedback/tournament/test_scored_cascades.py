"""What a log of cascades tells of challengers that go on as they did, and of those that would not: a known truth."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.fixed import Fixed
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.feedback.fold.log_fold import LogFold
from highwayman.feedback.log.events import Event, encode
from highwayman.feedback.tournament.contenders import ConstantContender, PolicyContender
from highwayman.feedback.tournament.score import DOLLARS
from highwayman.feedback.tournament.scored_learner import ScoredLearner, Scoring
from tests.feedback.cascades import CHAMPION, TRUE, answered, cascades
from tests.feedback.worlds import FINGERPRINT, decision, thumb


def scored(contender: PolicyContender | ConstantContender, arm: str = "") -> ScoredLearner:
    policy = Fixed(d=3, fingerprint=FINGERPRINT, arm=arm or None)
    scoring = Scoring(contender, window=5_000)
    return ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)


def verdict(learner: ScoredLearner, events: list[Event]) -> dict[str, Any]:
    page = [(f"{number}-0", encode(event), False) for number, event in enumerate(events, start=1)]
    LogFold(learner, kept_s=1e6).feed(page)
    return dict(json.loads(learner.snapshot().verdict))


@pytest.mark.parametrize(("arm", "goes_on"), list(TRUE))
def test_a_challenger_is_scored_by_what_cascades_begun_with_its_arm_or_that_arm_alone_would_have_earned(
    arm: str, goes_on: bool
) -> None:
    told = verdict(scored(PolicyContender(ExplorationRules(0.0), cascades=goes_on), arm), cascades(2))
    assert told["rounds"] == 400
    assert told["difference"] == pytest.approx(TRUE[arm, goes_on], abs=0.012)
    assert told["low"] <= TRUE[arm, goes_on] <= told["high"]
    assert told["unsupported"] == 0.0


def test_the_best_constant_arm_is_scored_without_going_on() -> None:
    learner = scored(ConstantContender())
    told = verdict(learner, cascades(3))
    assert learner.policy.probs(decision("d").context, ("a", "b"), np.zeros(2)).tolist() == [0.0, 1.0]  # .7 for .6
    assert told["difference"] == pytest.approx(0.7 - CHAMPION, abs=0.03)


def test_who_would_not_go_on_is_told_to_save_what_later_answers_cost() -> None:
    dear, cheap = (
        verdict(scored(PolicyContender(ExplorationRules(0.0), cascades=goes_on), "a"), cascades(2))["meters"][DOLLARS]
        for goes_on in (True, False)
    )
    mean = 0.7 * 0.003 + 0.3 * 0.004
    assert dear["difference"] == pytest.approx(0.003 / mean - 1, abs=0.06)
    assert cheap["difference"] == pytest.approx(0.001 / mean - 1, abs=0.06)


def test_cascades_of_before_option_values_were_logged_and_answers_of_others_are_no_rounds() -> None:
    made, ended, said = answered("d", "a", 0, True)
    old = replace(made, context=replace(made.context, flags=frozenset()))
    other = replace(ended, stages=(replace(ended.stages[0], arm="b"),))
    for events in ([old, ended, said], [made, other, said]):
        assert verdict(scored(PolicyContender(ExplorationRules(0.0)), "a"), events)["rounds"] == 0


def test_an_answer_that_could_not_have_been_kept_tells_nothing_of_who_would_have_kept_it() -> None:
    made, ended, said = answered("d", "a", 0, True)
    certain = replace(ended, stages=(replace(ended.stages[0], goes_on=1.0), *ended.stages[1:]))
    for goes_on, unsupported in ((True, 0.0), (False, 1.0)):
        learner = scored(PolicyContender(ExplorationRules(0.0), cascades=goes_on), "a")
        assert verdict(learner, [made, certain, said])["unsupported"] == unsupported


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_flipped_thumb_on_a_cascade_counts_as_it_stands_in_the_end_whenever_its_outcome_comes(goes_on: bool) -> None:
    def told(events: list[Event]) -> dict[str, Any]:
        return verdict(scored(PolicyContender(ExplorationRules(0.0), cascades=goes_on), "a"), events)

    made, ended, said = answered("d", "a", 1, False)
    plain = told([made, ended, said])
    for events in ([made, ended, thumb("d", 0.0), said], [made, said, ended]):
        assert told(events)["difference"] == pytest.approx(plain["difference"], abs=1e-6)
        assert told(events)["mean_ratio"] == pytest.approx(plain["mean_ratio"])
