"""Who is scored: a policy with its floor and dial, or the arm that has been best so far, whoever asks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, cast

import msgpack
import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.returns import options_of
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.bandit.policy import PredictsQuality
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Arm, Context, Decision, Floats
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.fold.tally_quotes import TallyQuotes

_NOTHING = (0.0, 0.0)
_LEAST_WEIGHT = 1.0  # inverse propensities that an arm's mean takes to count


class Contender(Protocol):
    """Somebody who could have decided."""

    @property
    def reads_calls(self) -> bool:
        """Whether it reads in the learner's tally what calls took; rewards are there for everybody."""

    @property
    def cascades(self) -> bool:
        """Whether its arms' answers may be gone on from, as those on the log were; else they are served."""

    def on_decision(self, decision: Decision, context: Context, learner: Learner) -> tuple[Floats, Floats]:
        """Return the probabilities for the decision's arms, (K,), and the quality expected of each, (K,)."""

    def on_reward(
        self, decision: Decision, before: float | None, after: float | None, *, shares: tuple[float, float]
    ) -> bytes | None:
        """Take what an event changed of a reward, which counts so many times for it, before and after.

        Returns the policy's state from here on, None if that is its own.
        """

    def state(self) -> bytes:
        """Return what is known beside the learner."""

    def restore(self, state: bytes) -> None:
        """Go on from what `state` returned."""


@dataclass(frozen=True, slots=True)
class PolicyDial:
    """What a challenger counts dollars, seconds and energy for, and the pool's prices."""

    objective: Objective
    arms: Sequence[Arm]


class PolicyContender:
    """The learner's own policy, by the decision core: with the penalties on the log, or by a dial of its own.

    Whatever it decides by, it is scored with the penalties on the log: those are what the operator counts.
    """

    def __init__(self, rules: ExplorationRules, dial: PolicyDial | None = None, *, cascades: bool = True) -> None:
        """Take its floor, its dial (None: that of the champion, as logged), and whether the plan may go on from it."""
        self.cascades = cascades
        self._rules = rules
        self._dial = dial
        self._quotes = TallyQuotes(dial.arms) if dial is not None else None
        self._places = {arm.name: place for place, arm in enumerate(dial.arms)} if dial is not None else {}

    @property
    def reads_calls(self) -> bool:
        """Whether it has a dial of its own, and so prices calls itself."""
        return self._dial is not None

    def on_decision(self, decision: Decision, context: Context, learner: Learner) -> tuple[Floats, Floats]:
        """Return what the policy would have drawn from, the floor and all, and what it expects."""
        policy = learner.policy_for(decision.tenant)
        unknown_usd = np.full(len(decision.arms), np.nan)
        penalties, chances = self._priced(decision, context, learner)
        candidates = Candidates(decision.arms, unknown_usd, penalties, chances=chances)
        probs = decision_probs(policy, context, candidates, self._rules, explores=True, at=decision.at)
        if _predicts_quality(type(policy)):
            expected = cast(PredictsQuality, policy).expected_quality(context, decision.arms)
            return probs, expected.clip(0.0, 1.0)
        return probs, mean_qualities(decision.arms, learner)

    def _priced(self, decision: Decision, context: Context, learner: Learner) -> tuple[Floats, Floats | None]:
        """Return the penalty of each arm, (K,), and its chance to answer, where the penalties do not have that yet."""
        dial, quotes = self._dial, self._quotes
        if dial is None or quotes is None or not self._places.keys() >= set(decision.arms):
            return decision.penalties, None
        options = options_of(decision) if self.cascades else None
        quotes.follow(learner.tally)
        estimates = quotes.estimates(context, queue=(lambda arm: None) if dial.objective.points_per_s > 0 else None)
        places = [self._places[arm] for arm in decision.arms]
        chances = quotes.chances(decision.at)
        penalties = estimates.penalties(dial.objective)[places]
        return penalties if options is None else penalties - options, None if chances is None else chances[places]

    def on_reward(
        self, decision: Decision, before: float | None, after: float | None, *, shares: tuple[float, float]
    ) -> bytes | None:
        """Return nothing: the learner teaches the policy."""

    def state(self) -> bytes:
        """Return nothing."""
        return b""

    def restore(self, state: bytes) -> None:
        """Do nothing."""


class ConstantContender:
    """The one arm whose answers, minus its penalties, have been worth most so far; who decided where it may not answer.

    Means are weighed by inverse propensity (self-normalised, Swaminathan & Joachims, NeurIPS 2015), as arms answer
    other queries than the average one. Which arm leads is settled before each query, so that what its choice earns
    needs no correction for having been the best of several.
    """

    cascades = False

    def __init__(self) -> None:
        """Start with nothing known: who decided is followed."""
        self._sums: dict[str, list[float]] = {}  # by arm: inverse propensities, and those times reward minus penalty
        self._standing: _Standing | None = None  # as of the last decision

    @property
    def reads_calls(self) -> bool:
        """It reads none: it goes by the penalties on the log."""
        return False

    @property
    def leader(self) -> str:
        """The arm that leads, empty before there is any."""
        return self._best(tuple(self._sums))

    def _best(self, arms: Sequence[str]) -> str:
        best, most = "", -math.inf
        for arm in arms:
            weight, worth = self._sums.get(arm, _NOTHING)
            if weight >= _LEAST_WEIGHT and worth / weight > most:
                best, most = arm, worth / weight
        return best

    def on_decision(self, decision: Decision, context: Context, learner: Learner) -> tuple[Floats, Floats]:
        """Return 1 for the best of the arms that could be drawn, and each arm's mean quality."""
        standing = self._standing
        if standing is None or not standing.holds(decision.arms, learner.tally):
            standing = self._standing = self._standing_of(decision.arms, learner)
        if standing.place is None:
            return decision.probs, standing.quality
        if decision.probs[standing.place] > 0:
            return standing.chosen, standing.quality
        able = [arm for arm, prob in zip(decision.arms, decision.probs.tolist(), strict=True) if prob > 0]
        best = self._best(able)
        return (_all_at(decision.arms, best) if best else decision.probs), standing.quality

    def _standing_of(self, arms: tuple[str, ...], learner: Learner) -> "_Standing":
        best, tally = self._best(arms), learner.tally
        place = arms.index(best) if best else None
        return _Standing(arms, tally, tally.rewards_revision, place, _all_at(arms, best), mean_qualities(arms, learner))

    def on_reward(
        self, decision: Decision, before: float | None, after: float | None, *, shares: tuple[float, float]
    ) -> bytes | None:
        """Count a reward of the arm drawn; return the state of a policy that takes the new leader, if there is one."""
        leader, self._standing = self.leader, None
        sums = self._sums.setdefault(decision.arm, [0.0, 0.0])
        dearer = min(float(decision.penalties[decision.action] - decision.penalties.min()), 1.0)
        for reward, share, sign in zip((before, after), shares, (-1.0, 1.0), strict=True):
            if reward is not None:
                sums[0] += sign * share / decision.propensity
                sums[1] += sign * share * (reward - dearer) / decision.propensity
        changed = self.leader != leader and self.leader
        return snapshot.pack({"kind": "fixed", "arm": self.leader}, {}) if changed else None

    def state(self) -> bytes:
        """Return the sums."""
        packed: bytes = msgpack.packb(self._sums)
        return packed

    def restore(self, state: bytes) -> None:
        """Go on from them."""
        self._sums, self._standing = msgpack.unpackb(state) if state else {}, None


@dataclass(frozen=True, slots=True, eq=False)
class _Standing:
    """Which of K arms leads, as long as no reward changes."""

    arms: tuple[str, ...]
    tally: Tally
    rewards_revision: int  # of the tally
    place: int | None  # of the best; None: nothing is known of any
    chosen: Floats  # (K,) 1 at the best
    quality: Floats  # (K,) mean of each

    def holds(self, arms: tuple[str, ...], tally: Tally) -> bool:
        """Return whether it is still so."""
        return self.tally is tally and self.rewards_revision == tally.rewards_revision and self.arms == arms


def _all_at(arms: Sequence[str], best: str) -> Floats:
    return np.array([float(arm == best) for arm in arms])


def mean_qualities(arms: Sequence[str], learner: Learner) -> Floats:
    """Return the mean quality of each arm's answers, shape (K,); one half where there is none."""
    tallies = [learner.tally.arms.get(arm) for arm in arms]
    return np.array(
        [
            0.5 if tally is None or tally.weight <= 0 else min(max(tally.weighted / tally.weight, 0.0), 1.0)
            for tally in tallies
        ]
    )


@cache
def _predicts_quality(kind: type) -> bool:
    """Return whether policies of a class do: to look through a protocol takes long."""
    return issubclass(kind, PredictsQuality)
