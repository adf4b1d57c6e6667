"""What a log of cascades tells of other policies, going on as it did or not at all: a known truth."""

from dataclasses import replace
from functools import partial

import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.fixed import Fixed
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.log.events import Event
from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.replay.comparison import EstimationMethod, compare_policies, logged_policy_value
from highwayman.sims.replay.event_log import Replay
from highwayman.sims.replay.rounds import Counterfactual
from tests.feedback.cascades import BEGUN_WITH_A, CHAMPION, TRUE, answered, cascades
from tests.feedback.worlds import FINGERPRINT
from tests.sims.replay.test_event_log import pages


def learner(arm: str) -> Learner:
    policy = Fixed(d=3, fingerprint=FINGERPRINT, arm=arm)
    return Learner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))


def replayed(arm: str, events: list[Event], what_if: Counterfactual) -> tuple[Replay, LogWithTargets]:
    replay = Replay(partial(learner, arm), what_if, kept_s=1e6)
    (chunk,) = replay.chunks(pages(*events, size=1_000))
    return replay, LogWithTargets.from_log(chunk.log, [chunk.target], [chunk.others], chunk.draws)


@pytest.mark.parametrize(("arm", "goes_on"), list(TRUE))
def test_another_policy_earns_what_cascades_begun_with_its_arm_or_that_arm_alone_earn(arm: str, goes_on: bool) -> None:
    what_if = Counterfactual(ExplorationRules(0.0), cascade=goes_on)
    replay, chunk = replayed(arm, cascades(), what_if)
    method, chunks = EstimationMethod(), lambda: [chunk]
    logged = logged_policy_value(chunks, method.interval)
    assert replay.counts.rounds == 200
    assert logged.means["utility"].value == pytest.approx(CHAMPION)
    (estimate,) = compare_policies(chunks, [arm], method, known=logged)
    assert estimate.values["utility"].value == pytest.approx(CHAMPION + TRUE[arm, goes_on])
    if arm == "a":
        assert estimate.values["cost_usd"].value == pytest.approx(0.003 if goes_on else 0.001)


def test_rewards_are_of_the_answer_served_and_penalties_of_all_that_were_asked() -> None:
    _, chunk = replayed("a", list(answered("d", "a", 0, True)), Counterfactual(ExplorationRules(0.0)))
    assert (chunk.rewards[0], chunk.penalties[0].tolist()) == (0.9, pytest.approx([0.2, 0.2]))
    assert chunk.utilities()[0] == pytest.approx(0.7)
    assert pytest.approx(0.77) == BEGUN_WITH_A


def test_cascades_whose_plan_is_not_known_are_counted_and_left_out() -> None:
    made, ended, said = answered("d", "a", 0, True)
    (kept, *more) = answered("e", "b", 1, False)
    old = replace(made, context=replace(made.context, flags=frozenset()))
    certain = replace(ended, stages=(replace(ended.stages[0], goes_on=1.0), *ended.stages[1:]))
    rules = ExplorationRules(0.0)
    for events, what_if, left_out in (
        ([old, ended, said], Counterfactual(rules), 1),
        ([made, ended, said], Counterfactual(rules, without=frozenset({"b"})), 2),
        ([made, certain, said], Counterfactual(rules, cascade=False), 1),
        ([made, certain, said], Counterfactual(rules), 0),
    ):
        replay = Replay(partial(learner, "a"), what_if, kept_s=1e6)
        list(replay.chunks(pages(*events, kept, *more)))
        assert replay.counts.cascades == left_out
        assert any("cascades" in words for words in replay.counts.left_out()) == bool(left_out)
