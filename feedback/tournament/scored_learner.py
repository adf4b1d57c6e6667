"""A learner that is scored while it learns: each decision before anything of it is learned."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

import msgpack
import numpy as np

from highwayman.bandit.cascade.returns import cascade_return, charged_penalties, options_of
from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import RewardSpec
from highwayman.env.types import NO_EXPLORATION, TOLD, Control, ControlKind, Decision, Mode, Outcome
from highwayman.feedback.fold.cascade_gates import Credit
from highwayman.feedback.fold.learner import Learner, LogEntry, Snapshot
from highwayman.feedback.tournament.contenders import Contender
from highwayman.feedback.tournament.remembered_baseline import RememberedBaseline
from highwayman.feedback.tournament.score import WINDOW, ChallengerScore

CONFIGURED = "configured"  # who decides as long as nobody else was promoted
_CERTAIN = 1.0 - 1e-9  # a propensity that leaves other arms nothing


@dataclass(frozen=True, slots=True)
class Scoring:
    """Who is scored, and how."""

    contender: Contender
    alpha: float = 0.05  # of either end of its interval
    window: int = WINDOW
    champion: str = CONFIGURED  # who decides as long as nobody was promoted: the configured policy, or another router


class ScoredLearner(Learner):
    """A challenger's learner, with what it would have earned beyond the policy that decided.

    Scored are decisions that were drawn, on features that it learns from; what another arm answered after a failover is
    not. Of a cascade the draw of the first arm counts, and what all its stages came to; for a challenger that would not
    go on, also the draws that kept the first answer. Whenever somebody else becomes champion, as the log says, the
    score begins anew.
    """

    def __init__(
        self,
        policy: Policy,
        spec: RewardSpec,
        *,
        fingerprint: str,
        arms: Iterable[str],
        scoring: Scoring,
        make: Callable[[], Policy] | None = None,
    ) -> None:
        """Take what a learner takes, and how it is scored."""
        super().__init__(policy, spec, fingerprint=fingerprint, arms=arms, make=make)
        self._scoring = scoring
        self.score = ChallengerScore(window=scoring.window)
        self._baseline = RememberedBaseline()
        self._champion = scoring.champion
        self._replaced = False  # whether the policy was replaced by its contender

    def on_decision(self, decision: Decision) -> None:
        """Score a decision that was drawn."""
        context, flags = self.context_of(decision), decision.context.flags
        if context is None or NO_EXPLORATION in flags or not self._is_scored(decision):
            return
        for arm in decision.arms:
            if arm not in self.tally.arms:  # a pool file may have brought it without a word on the log
                self.add_arm(arm)
        contender, options = self._scoring.contender, options_of(decision) if flags else None
        priced = decision if options is None else replace(decision, penalties=decision.penalties + options)
        probs, quality = contender.on_decision(decision if contender.cascades else priced, context, self)
        if flags:
            if probs is not decision.probs:  # else it follows who decided, control slice and all
                probs = self._baseline.mixed(decision, probs)
            self._baseline.observe(decision)
        returns = None
        if options is not None:
            expected = np.clip(quality + options, 0.0, 1.0)
            if contender.cascades:
                quality = expected
            else:
                pairs = zip(expected.tolist(), options.tolist(), strict=True)
                returns = [value if option > 0.0 else None for value, option in pairs]
        self.score.on_decision(priced, probs, quality, returns=returns)

    def _is_scored(self, decision: Decision) -> bool:
        """Return whether a decision was drawn, and by the champion: another router's say nothing of this one."""
        is_told = decision.policy.partition("+")[0] == TOLD
        return _is_drawn(decision) and is_told == (self._champion == TOLD)

    def on_reward(self, decision: Decision, before: Credit, after: Credit) -> None:
        """Take what an event changed of the reward of the arm drawn."""
        if not self._is_scored(decision):
            return
        old, new = _round_of(decision, before), _round_of(decision, after)
        if old == new:
            return
        contender = self._scoring.contender
        rewards = (old.reward if old else None), (new.reward if new else None)
        shares = (1.0, 1.0) if contender.cascades else (old.kept_ratio if old else 1.0, new.kept_ratio if new else 1.0)
        self.score.on_reward(decision, *rewards, shares=shares)
        if new is not None and new.is_certain and old is None and not contender.cascades:
            self.score.on_unsupported()
        state = contender.on_reward(_priced(decision), *rewards, shares=shares)
        if state is not None:
            self._policies.restore(state)
            self._replaced = True

    def _count(self, entry: LogEntry) -> None:
        """Count decisions and calls where they are asked about: a whole tally takes as long as all of the scoring."""
        if self._scoring.contender.reads_calls:
            super()._count(entry)

    def _fold(self, entry: LogEntry) -> bool:
        self._replaced = False
        event, record = entry.event, entry.record
        learned = super()._fold(entry)
        if isinstance(event, Outcome) and record is not None and record.decision is not None:
            self._on_outcome(record.decision, event)
        if isinstance(event, Control) and event.kind is ControlKind.TOURNAMENT:
            self._follow(event)
        return learned or self._replaced

    def _on_outcome(self, decision: Decision, outcome: Outcome) -> None:
        """Count what a call took; where another arm answered, and not after a failure, nothing is known of this one."""
        if outcome.tried or outcome.stages or outcome.arm == decision.arm:
            self.score.on_outcome(outcome, goes_on=self._scoring.contender.cascades)

    def _follow(self, event: Control) -> None:
        """Begin anew where the champion is another one from here on."""
        champion = str(event.detail["champion"])
        if champion == self._champion:
            return
        self._champion = champion
        self.score.restart()
        if event.detail.get("step") == "promote":
            self.score.watch.freeze()
        else:
            self.score.watch.thaw()

    def snapshot(self, *, with_policy: bool = True) -> Snapshot:
        """Return the state as it stands, with the score and what it comes to."""
        state = super().snapshot(with_policy=with_policy)
        states = self.score.state(), self._scoring.contender.state(), self._baseline.state()
        score: bytes = msgpack.packb([self._champion, *states])
        verdict = json.dumps({"champion": self._champion, **asdict(self.score.verdict(self._scoring.alpha))})
        return Snapshot(state.position, state.policy, state.tally, state.rollbacks, score, verdict)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`. Raises SnapshotError, and goes on with nothing, for one without a score."""
        try:
            self._champion, score, contender, *baseline = msgpack.unpackb(snapshot.score)
        except (ValueError, msgpack.UnpackException) as error:
            raise SnapshotError("snapshot has no score") from error
        self.score.restore(score)
        self._scoring.contender.restore(contender)
        self._baseline.restore(baseline[0] if baseline else [])
        super().restore(snapshot)


@dataclass(frozen=True, slots=True)
class _ScoredRound:
    """What a decision came to."""

    reward: float  # in [0, 1]: of the answer served, less what it took to go on to it
    kept_ratio: float = 1.0  # as in `CascadeReturn`
    is_certain: bool = False


def _is_drawn(decision: Decision) -> bool:
    """Return whether another arm could have been drawn, with what is known of what each would have led to."""
    is_known = decision.mode is Mode.ROUTE or (decision.mode is Mode.CASCADE and options_of(decision) is not None)
    return is_known and decision.propensity < _CERTAIN


def _priced(decision: Decision) -> Decision:
    """Return a decision with the penalties that were charged: without what it was worth to go on."""
    penalties = charged_penalties(decision)
    return decision if penalties is decision.penalties else replace(decision, penalties=penalties)


def _round_of(decision: Decision, credit: Credit) -> _ScoredRound | None:
    """Return what a drawn decision came to, None where nothing is known of it."""
    attributed, stages = credit
    if attributed is None or not attributed.reward.weight > 0:
        return None
    quality, options = min(max(attributed.reward.quality, 0.0), 1.0), options_of(decision)
    if options is None or not stages:
        return _ScoredRound(quality) if attributed.arm == decision.arm else None
    if stages[0].arm != decision.arm:  # it failed
        return None
    penalties = dict(zip(decision.arms, charged_penalties(decision).tolist(), strict=True))
    result = cascade_return(stages, penalties)
    return _ScoredRound(min(max(quality - result.further_penalty, 0.0), 1.0), result.kept_ratio, result.is_certain)
