"""Rounds with what the policies in question would have done in them: from an event log, or from a bandit log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from highwayman.bandit.policy import Policy
from highwayman.env.reward import RewardSpec
from highwayman.feedback.fold.learner import Learner
from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.replay.event_log import LogSummary, Pages, Replay
from highwayman.sims.replay.progressive import ProgressiveValidation
from highwayman.sims.replay.rounds import Counterfactual, ReplayCounts, was_drawn

PolicyFactory = Callable[[int, str], Policy]  # number of features and their encoder's fingerprint -> at the prior


@dataclass(frozen=True, slots=True)
class EventLog:
    """An event log to be replayed, as production folds it."""

    pages: Pages
    summary: LogSummary
    spec: RewardSpec
    kept_s: float
    arms: tuple[str, ...] = ()  # of the pool, beside those on the log
    turn_links: bool = False  # whether a decision's last link names its turn

    def targets(
        self, policies: Sequence[PolicyFactory], counterfactual: Counterfactual, counts: ReplayCounts
    ) -> Iterator[LogWithTargets]:
        """Yield the rounds in the order of their decisions; `counts` is filled when all have been taken.

        Each policy folds the log for itself, all of them side by side.
        """
        replays = [
            Replay(self._learner(make), counterfactual, kept_s=self.kept_s, turn_links=self.turn_links)
            for make in policies
        ]
        for chunks in zip(*(replay.chunks(self.pages, self.summary) for replay in replays), strict=True):
            targets, others = [chunk.target for chunk in chunks], [chunk.others for chunk in chunks]
            yield LogWithTargets.from_log(chunks[0].log, targets, others, chunks[0].draws)
        counts.add(replays[0].counts)

    def _learner(self, make: PolicyFactory) -> Callable[[], Learner]:
        summary = self.summary

        def learner() -> Learner:
            return Learner(make(summary.d, summary.encoder), self.spec, fingerprint=summary.encoder, arms=self.arms)

        return learner


def progressive_targets(
    chunks: Iterable[LoggedData],
    policies: Sequence[PolicyFactory],
    *,
    floor: float,
    floor_loss: float | None = None,
    frozen_for: int,
    counts: ReplayCounts | None = None,
) -> Iterator[LogWithTargets]:
    """Yield a bandit log's rounds; the policies learn from what was logged as it comes.

    Rounds without exploration teach, and are left out: they tell nothing of what another arm would have earned.

    Args:
        chunks: the log.
        policies: are made when the first chunk says how many features there are.
        floor: the exploration floor of all of them.
        floor_loss: what that may lose a round; None: it is spread evenly.
        frozen_for: rounds between two updates.
        counts: is filled when all have been taken.
    """
    counts = ReplayCounts() if counts is None else counts
    validations: list[ProgressiveValidation] = []
    for chunk in chunks:
        if not validations:
            validations = [
                ProgressiveValidation(
                    make(chunk.d, chunk.encoder), floor=floor, floor_loss=floor_loss, frozen_for=frozen_for
                )
                for make in policies
            ]
        drawn = was_drawn(chunk.propensities)
        rounds = LogWithTargets.from_log(chunk, [validation(chunk) for validation in validations])
        kept = rounds if drawn.all() else rounds.take(drawn)
        counts.add(ReplayCounts(decisions=chunk.n, rounds=kept.n, unexplored=chunk.n - kept.n))
        yield kept
