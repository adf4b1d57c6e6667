"""A challenger learns from the log and is scored on it: before it learns, over revisions, restarts and champions."""

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.control_slice import ControlSlice
from highwayman.bandit.decision import ExplorationRules, decide
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.snapshot import unpack
from highwayman.env.cost.objective import Objective
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Arm, Control, ControlKind, Decision, Feedback, Mode
from highwayman.feedback.fold.learner import LogEntry
from highwayman.feedback.fold.log_fold import LogFold
from highwayman.feedback.log.events import Event, encode
from highwayman.feedback.tournament.contenders import ConstantContender, PolicyContender, PolicyDial
from highwayman.feedback.tournament.scored_learner import ScoredLearner, Scoring
from tests.feedback.worlds import FINGERPRINT, decision, make_learner, outcome, policy_sums, thumb

RULES = ExplorationRules(0.1)


def challenger(*, window: int = 1000, dial: PolicyDial | None = None) -> ScoredLearner:
    scoring = Scoring(PolicyContender(RULES, dial), window=window)
    policy = LinTS(d=3, fingerprint=FINGERPRINT)
    return ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)


def constant() -> ScoredLearner:
    scoring = Scoring(ConstantContender(), window=1000)
    policy = Fixed(d=3, fingerprint=FINGERPRINT)
    return ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)


def fold(learner: ScoredLearner, events: Iterable[Event], *, start: int = 1) -> ScoredLearner:
    page = [(f"{number}-0", encode(event), False) for number, event in enumerate(events, start=start)]
    LogFold(learner, kept_s=1e6).feed(page)
    return learner


def verdict(learner: ScoredLearner) -> dict[str, Any]:
    return dict(json.loads(learner.snapshot().verdict))


def log(n: int, *, good: str = "b") -> list[Event]:
    """Decisions that are drawn evenly, and a thumb on each: up for one arm."""
    made = (("a", "b")[k % 2] for k in itertools.count())
    return [
        event
        for number, arm in zip(range(n), made, strict=False)
        for event in (decision(f"d{number}", arm=arm), outcome(f"d{number}", arm=arm), thumb(f"d{number}", arm == good))
    ]


def test_a_decision_is_scored_by_what_the_challenger_knew_before_it() -> None:
    learner, seen = challenger(), challenger()
    fold(learner, [decision("d"), thumb("d", 1.0)])
    fold(seen, [decision("d")])
    line, prior = learner.score._recent.get("d"), seen.score._recent.get("d")
    assert line == prior


@pytest.mark.parametrize("make", [challenger, constant])
def test_who_reads_no_calls_counts_none_and_is_scored_as_if_it_had(
    make: Callable[[], ScoredLearner], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, counting = fold(make(), log(60)), make()
    contender = type(counting._scoring.contender)
    monkeypatch.setattr(contender, "reads_calls", property(lambda self: True))
    fold(counting, log(60))
    assert (plain.tally.totals().calls, counting.tally.totals().calls) == (0, 60)
    assert plain.snapshot().verdict == counting.snapshot().verdict
    assert (plain.snapshot().score, plain.snapshot().policy) == (counting.snapshot().score, counting.snapshot().policy)


def test_a_flipped_thumb_counts_as_it_stands_in_the_end() -> None:
    events = log(20)
    flipped = [thumb(f"d{number}", 1.0) for number in range(20)]
    back = [thumb(f"d{number}", number % 2 == 1) for number in range(20)]
    changed, plain = constant(), constant()
    fold(changed, [*events, *flipped, *back])
    fold(plain, events)
    assert verdict(changed)["difference"] == pytest.approx(verdict(plain)["difference"], abs=1e-9)
    assert verdict(changed)["rounds"] == verdict(plain)["rounds"] == 20


def test_unlabelled_sticky_and_failed_over_answers_are_no_rounds() -> None:
    events = [
        decision("unlabelled"), decision("sticky", mode=Mode.STICKY), thumb("sticky", 1.0),
        decision("moved"), outcome("moved", arm="b"), thumb("moved", 1.0), decision("plain"), thumb("plain", 1.0),
    ]  # fmt: skip
    assert verdict(fold(challenger(), events))["rounds"] == 1


def test_a_learner_that_goes_on_from_a_snapshot_comes_to_the_same_score() -> None:
    events = log(30)
    whole, first, resumed = challenger(), challenger(), challenger()
    fold(whole, events)
    fold(first, events[:45])
    resumed.restore(first.snapshot())
    fold(resumed, events[45:], start=46)
    assert verdict(resumed) == verdict(whole)
    assert resumed.snapshot().score == whole.snapshot().score


def test_a_snapshot_without_a_score_is_refused() -> None:
    with pytest.raises(SnapshotError):
        challenger().restore(make_learner().snapshot())


def test_a_challenger_learns_what_a_learner_without_a_score_learns() -> None:
    scored, plain = challenger(), make_learner()
    fold(scored, log(20))
    page = [(f"{number}-0", encode(event), False) for number, event in enumerate(log(20), start=1)]
    LogFold(plain, kept_s=1e6).feed(page)
    ours, theirs = policy_sums(scored), policy_sums(plain)
    assert all(np.allclose(ours[name], theirs[name]) for name in theirs)


def test_the_best_constant_arm_is_found_and_told_to_beat_an_even_split() -> None:
    learner = fold(constant(), log(400))
    assert unpack(learner.snapshot().policy)[0]["arm"] == "b"
    assert verdict(learner)["better"]
    assert verdict(learner)["low"] > 0.2


def test_another_champion_begins_the_score_anew_and_the_level_is_watched() -> None:
    learner = fold(constant(), log(300))
    promoted = Control(2.0, ControlKind.TOURNAMENT, {"step": "promote", "champion": "x", "challenger": ""})
    fold(learner, [promoted], start=10_000)
    assert verdict(learner)["rounds"] == 0
    assert learner.score.watch.frozen
    bad = [event for n in range(300) for event in (decision(f"e{n}"), thumb(f"e{n}", 0.0))]
    fold(learner, bad, start=20_000)
    assert verdict(learner)["fell"]


def test_a_dial_of_its_own_changes_what_a_challenger_would_have_done() -> None:
    arms = [Arm("a", ("http://a",), "a", 1.0, 1.0, 4096), Arm("b", ("http://b",), "b", 1000.0, 1000.0, 4096)]
    dial = PolicyDial(Objective("cheap", 1e6), arms)
    learner, event = challenger(dial=dial), replace(decision("d"), penalties=np.zeros(2))
    probs, _ = PolicyContender(RULES, dial).on_decision(event, event.context, learner)
    even, _ = PolicyContender(RULES).on_decision(event, event.context, learner)
    assert probs[0] > 0.9 > even[0]


def with_control(n: int, baseline: dict[str, float]) -> list[Event]:
    """Draws that `Fixed` on a, with a floor of .1 and a control slice of .2, makes; b is always good, a never."""
    policy, rng = Fixed(d=3, fingerprint=FINGERPRINT, arm="a"), np.random.default_rng(0)
    rules = ExplorationRules(0.1, control=ControlSlice(0.2, baseline))
    events: list[Event] = []
    for number in range(n):
        made = decision(f"d{number}")
        candidates = Candidates(("a", "b"), np.zeros(2), np.zeros(2))
        choice = decide(policy, made.context, candidates, rules, limits=Objective("auto"), at=0.0, rng=rng)
        assert choice.control is not None
        context = replace(made.context, flags=made.context.flags | choice.control.flags)
        drawn = choice.draw
        made = replace(made, context=context, probs=drawn.probs, action=drawn.action, propensity=drawn.propensity,
                       penalties=np.zeros(2))  # fmt: skip
        events += [made, thumb(made.id, float(made.arm == "b"))]
    return events


@pytest.mark.parametrize("baseline", [{"b": 1.0}, {"a": 1.0, "b": 3.0}])
def test_a_challenger_that_decides_as_the_champion_is_no_better_for_not_having_a_control_slice(
    baseline: dict[str, float],
) -> None:
    scoring = Scoring(PolicyContender(RULES), window=1000)
    policy = Fixed(d=3, fingerprint=FINGERPRINT, arm="a")
    same = ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)
    events = with_control(600, baseline)
    fold(same, events[:200])
    resumed = ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)
    resumed.restore(same.snapshot())
    fold(resumed, events[200:], start=201)
    assert verdict(resumed)["difference"] == pytest.approx(0.0, abs=0.002)
    assert not verdict(resumed)["worse"]


@pytest.mark.parametrize(("champion", "counted"), [("configured", 20), ("told", 10)])
def test_only_decisions_of_the_champion_are_rounds_be_it_the_router_or_another_one(champion: str, counted: int) -> None:
    scoring = Scoring(ConstantContender(), window=1000, champion=champion)
    policy = Fixed(d=3, fingerprint=FINGERPRINT)
    learner = ScoredLearner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), scoring=scoring)
    told = [replace(event, policy="told") if isinstance(event, Decision) else event for event in log(40)[90:]]
    fold(learner, [*log(20), *told])
    known = verdict(learner)
    assert (known["rounds"], known["champion"]) == (counted, champion)


def test_an_answer_given_by_another_arm_tells_nothing_of_what_the_drawn_one_takes() -> None:
    learner = fold(constant(), [decision("d", arm="a"), outcome("d", arm="b")])
    assert learner.score.verdict(0.05).meters["failures"].difference is None


def test_events_read_again_change_no_score() -> None:
    learner, made = challenger(), decision("d")
    said = thumb("d", 1.0)
    assert isinstance(made, Decision)
    assert isinstance(said, Feedback)
    fold(learner, [made, said])
    before = learner.snapshot().score
    learner.step([LogEntry("1-0", made)])
    assert learner.snapshot().score == before
