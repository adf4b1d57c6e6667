"""A learner that is scored while it learns: each decision before anything of it is learned."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import msgpack

from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import RewardSpec
from highwayman.env.types import NO_EXPLORATION, TOLD, Control, ControlKind, Decision, Mode, Outcome
from highwayman.feedback.fold.join import AttributedReward
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
    not. Whenever somebody else becomes champion, as the log says, the score begins anew.
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
        context = self.context_of(decision)
        if context is None or not self._is_scored(decision) or NO_EXPLORATION in decision.context.flags:
            return
        for arm in decision.arms:
            if arm not in self.tally.arms:  # a pool file may have brought it without a word on the log
                self.add_arm(arm)
        probs, quality = self._scoring.contender.on_decision(decision, context, self)
        if probs is not decision.probs:  # else it follows who decided, control slice and all
            probs = self._baseline.mixed(decision, probs)
        self._baseline.observe(decision)
        self.score.on_decision(decision, probs, quality)

    def _is_scored(self, decision: Decision) -> bool:
        """Return whether a decision was drawn, and by the champion: another router's say nothing of this one."""
        is_told = decision.policy.partition("+")[0] == TOLD
        drawn = decision.mode is Mode.ROUTE and decision.propensity < _CERTAIN
        return drawn and is_told == (self._champion == TOLD)

    def on_reward(self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None) -> None:
        """Take what an event changed of the reward of the arm drawn."""
        old, new = _reward_of(decision, before), _reward_of(decision, after)
        if old == new or not self._is_scored(decision):
            return
        self.score.on_reward(decision, old, new)
        state = self._scoring.contender.on_reward(decision, old, new)
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
        if outcome.tried or outcome.arm == decision.arm:
            self.score.on_outcome(outcome)

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


def _reward_of(decision: Decision, credit: AttributedReward | None) -> float | None:
    """Return the reward of the arm drawn, None where nothing is known of it."""
    if credit is None or credit.arm != decision.arm or not credit.reward.weight > 0:
        return None
    return min(max(credit.reward.quality, 0.0), 1.0)
