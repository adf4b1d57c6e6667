"""Has stored answers forgotten that somebody found bad: the next who asks is given a new one."""

from collections.abc import Sequence
from dataclasses import dataclass

from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.reward import RewardSpec
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Feedback
from highwayman.feedback.log.store import Store
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache

_BAD = 0.5  # quality below which an answer is


@dataclass(frozen=True, slots=True)
class BadAnswers:
    """Hears every statement that is filed; what comes of it happens beside the requests."""

    answers: AnswerCache
    spec: RewardSpec
    log: Store
    background: BackgroundTasks

    def on_filed(self, shares: Sequence[Feedback]) -> None:
        """Have an answer forgotten if a statement on it alone says that it is bad; a weak signal does not."""
        if len(shares) == 1 and self._is_bad(shares[0]):
            self.background.spawn(self._forget(shares[0].decision_id))

    async def on_stored(self, decision_id: str) -> None:
        """Have an answer forgotten whose person was erased, or that was found bad, before it was stored."""
        try:
            record = (await self.log.records([decision_id])).get(decision_id)
        except StoreUnavailable:
            return
        if record is not None and (record.erased_id is not None or any(map(self._is_bad, record.feedback.values()))):
            await self.answers.forget(decision_id)

    def _is_bad(self, feedback: Feedback) -> bool:
        if feedback.value is None or feedback.quarantined:
            return False
        metric = self.spec.metric(feedback.metric)
        return metric.affects_reward and not metric.weak and metric.quality(feedback.value) < _BAD

    async def _forget(self, decision_id: str) -> None:
        try:
            record = await self.log.record(decision_id)
        except (StoreUnavailable, UnknownDecision):
            return
        origin = decision_id
        if record.decision is not None and record.served_arm() in CACHED_ARMS:
            origin = record.decision.context.stored_from
        if origin:
            await self.answers.forget(origin)
