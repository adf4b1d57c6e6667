"""An event log replayed under another policy, by the very fold that production runs.

At each decision the policy has learned the log up to it, and gives the probabilities it would have drawn from; the
reward is what the whole log holds of the answer. Together they are a bandit log with the probabilities of the policy in
question beside it, from which an estimator tells what that policy would have earned.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from highwayman.env.encoder.features.tags import TagColumns, base_fingerprint, tag_width
from highwayman.env.types import Control, Decision, Feedback, Mode
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.log_fold import LogFold, Page
from highwayman.feedback.fold.rollbacks import VoidedRange, voided_range
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, decode
from highwayman.sims.replay.conversations import SessionAssigner, SharedStatements
from highwayman.sims.replay.rounds import Counterfactual, CounterfactualObserver, ReplayChunk, ReplayCounts

ROWS = 20_000  # rounds in a chunk

Pages = Callable[[], Iterator[Page]]


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What must be known of a log before it is folded."""

    arms: tuple[str, ...]  # of all routed decisions, as they come
    rollbacks: tuple[VoidedRange, ...]  # they take back feedback that had counted before
    encoder: str = ""  # fingerprint of the newest routed decision's features
    d: int = 0  # their number; 0: there is no routed decision
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # decisions of statements on more than one

    def with_tags(self, columns: TagColumns) -> Self:
        """Return the summary of the log as a router with these tags reads it, whatever was declared before."""
        d = self.d - tag_width(self.encoder) + columns.width
        return replace(self, encoder=columns.fingerprint(base_fingerprint(self.encoder)), d=d)


def summarise_log(pages: Pages) -> LogSummary:
    """Return what one reading of the log in `pages` finds."""
    arms: dict[str, None] = {}
    rollbacks: list[VoidedRange] = []
    encoder, d = "", 0
    statements = SharedStatements()
    for page in pages():
        for event_id, data, _ in page:
            try:
                event = decode(data)
            except BadEvent:
                continue
            if isinstance(event, Decision) and event.mode in (Mode.ROUTE, Mode.CASCADE):
                arms.update(dict.fromkeys(event.arms))
                encoder, d = event.context.fingerprint, len(event.context.features)
            elif isinstance(event, Control):
                rollbacks += _void(event, event_id)
            elif isinstance(event, Feedback):
                statements.add(event)
    return LogSummary(tuple(arms), tuple(rollbacks), encoder, d, statements.decisions)


def _void(event: Control, event_id: EventId) -> list[VoidedRange]:
    try:
        span = voided_range(event, event_id)
    except (KeyError, ValueError):
        return []  # no fold follows a rollback to nowhere
    return [span] if span is not None else []


class Replay:
    """Replays a log; `learner` and `counts` are whole when all chunks have been taken."""

    def __init__(
        self,
        make_learner: Callable[[], Learner],
        counterfactual: Counterfactual,
        *,
        kept_s: float,
        turn_links: bool = False,
    ) -> None:
        """Take what to replay with.

        Args:
            make_learner: returns a learner at the log's start, with the policy in question.
            counterfactual: the circumstances.
            kept_s: how long a decision's record is kept, in seconds of the log, as production has it.
            turn_links: whether a decision's last link names its turn, as where implicit signals are listened to.
        """
        self._turn_links = turn_links
        self._make_learner = make_learner
        self._counterfactual = counterfactual
        self._kept_s = kept_s
        self.learner = make_learner()
        self.counts = ReplayCounts()

    def chunks(self, pages: Pages, log_summary: LogSummary | None = None) -> Iterator[ReplayChunk]:
        """Yield the rounds of the log in `pages` in the order of their decisions.

        The log is read twice; once, where somebody has surveyed it already.
        """
        log_summary = summarise_log(pages) if log_summary is None else log_summary
        self.learner, self.counts = self._make_learner(), ReplayCounts()
        self.learner.set_rollbacks(log_summary.rollbacks)
        conversations = SessionAssigner(log_summary.shared, kept_s=self._kept_s, turn_links=self._turn_links)
        rounds = CounterfactualObserver(self.learner, self._counterfactual, self.counts, conversations)
        fold = LogFold(self.learner, kept_s=self._kept_s, observer=rounds)
        for page in pages():
            fold.feed(page)
            if len(rounds.ready) >= ROWS:
                yield rounds.take_ready(log_summary.arms)
        fold.finish()
        if rounds.ready:
            yield rounds.take_ready(log_summary.arms)
