import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policy import Policy
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Decision, Feedback
from highwayman.feedback.log.events import Event
from highwayman.sims.logs.judged import LogWithTargets, TargetStore
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.replay.comparison import EstimationMethod, PolicyEstimate, compare_policies, logged_policy_value
from highwayman.sims.replay.conversations import SharedStatements
from highwayman.sims.replay.event_log import summarise_log
from highwayman.sims.replay.rounds import Counterfactual, ReplayCounts
from highwayman.sims.replay.targets import EventLog
from tests.sims.replay.test_targets import pages

GOOD = np.array([0.9, 0.5])  # quality of the answers of a and b


def decision(name: str, talk: str, arm: int, *, p: float = 0.5, at: float) -> Decision:
    probs = np.array([p, 1 - p]) if arm == 0 else np.array([1 - p, p])
    context = Context(np.array([0.5, 1.0]), "f", prompt_tokens=5)
    return Decision(name, "default", at, context, ("a", "b"), np.zeros(2), probs, arm, p, "t", 1, "auto", links=(talk,))


def talks(n: int, *, turns: int, certain_after: int = 9) -> list[Event]:
    """n conversations; at its end, of each is said how good its answers were on the whole, shared by all its turns."""
    rng, log = np.random.default_rng(0), list[Event]()
    for talk in range(n):
        arms, at = rng.integers(0, 2, turns), 100.0 * talk
        arms[certain_after:] = arms[0]
        names = [f"d{talk}-{turn}" for turn in range(turns)]
        log += [
            decision(name, f"talk{talk}", int(arm), p=0.5 if turn < certain_after else 1.0, at=at + turn)
            for turn, (name, arm) in enumerate(zip(names, arms, strict=True))
        ]
        value, shared = float(GOOD[arms].mean()), f"talk{talk}.x"
        log += [Feedback(shared, name, at + 50, "user", "quality", value, weight=1 / turns) for name in names]
    return log


def always(arm: str) -> Policy:
    return Fixed(d=2, fingerprint="f", arm=arm)


def estimated(log: list[Event], method: EstimationMethod) -> tuple[PolicyEstimate, LogWithTargets, ReplayCounts]:
    read, counts = pages(log), ReplayCounts()
    event_log = EventLog(read, summarise_log(read), DEFAULT_SPEC, kept_s=1e6)
    with TargetStore(1) as store:
        circumstances = Counterfactual(ExplorationRules(0.0))
        store.fill(event_log.targets([lambda d, fingerprint: always("a")], circumstances, counts))
        logged = logged_policy_value(store.chunks, method.interval)
        (estimate,) = compare_policies(store.chunks, ["a"], method, known=logged)
        return estimate, LogWithTargets.joined(list(store.chunks())), counts


def test_a_statement_on_a_conversation_takes_the_ratios_of_all_its_draws() -> None:
    estimate, rounds, counts = estimated(talks(500, turns=3), EstimationMethod(interval=Normal()))
    quality = estimate.values["quality"]
    assert quality.value == pytest.approx(0.9), "with each turn's own ratio it would be (.9 + 2 * .7) / 3"
    assert quality.support.ess == pytest.approx(500 / 8, rel=0.3), "conversations that took a at every turn, not turns"
    assert quality.support.mean_ratio == pytest.approx(1.0, abs=0.4)
    assert estimate.gain.value == pytest.approx(0.9 - (rounds.rewards @ rounds.weights) / rounds.weights.sum())
    assert counts.conversational == rounds.n == 1500
    assert len(np.unique(rounds.sessions)) == 500


def test_turns_that_were_not_drawn_follow_as_they_did_and_the_statement_is_the_draws_alone() -> None:
    estimate, rounds, counts = estimated(talks(300, turns=3, certain_after=1), EstimationMethod(interval=Normal()))
    assert (rounds.n, counts.unexplored, counts.conversational) == (300, 600, 0)
    assert estimate.values["quality"].value == pytest.approx(0.9)


def test_an_anytime_interval_does_without_what_was_said_of_several_draws() -> None:
    estimate, _, _ = estimated(talks(100, turns=2), EstimationMethod(interval=ConfidenceSequence()))
    assert estimate.gain.refused == ("the log holds no round with a reward",)


def test_only_statements_on_several_decisions_are_shared() -> None:
    found = SharedStatements()
    for statement, about in (("x.1", "d"), ("y", "d"), ("x.1", "e"), ("x.1", "e"), ("z", "f"), ("x.1", "g")):
        found.add(Feedback(statement, about, 1.0, "user", "thumbs", 1.0))
    assert found.decisions == {"x.1": ("d", "e", "g")}
