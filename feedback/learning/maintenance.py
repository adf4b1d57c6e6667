"""What the holder of the learner's lease does beside learning: give lost calls up, file what was held, trim the log."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from highwayman.env.types import Outcome, Status
from highwayman.feedback.intake.pending import PendingFeedback
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.trust.abuse_monitor import AbuseMonitor

_TRIM_EVERY_S = 60.0
_LOST_AT_ONCE = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MaintenanceLimits:
    """How long things last, in seconds."""

    outcome_s: float  # a decision without an outcome is given up after this
    keep_s: float | None  # events stay on the log at least this long; None: for ever
    exported_only: bool  # events leave the log only once they are in an archive


class LogMaintenance:
    """Callable about once a second."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        limits: MaintenanceLimits,
        *,
        lineage: str,
        clock: Callable[[], float],
        pending: PendingFeedback | None = None,
        abuse_monitor: AbuseMonitor | None = None,
    ) -> None:
        """Take the log, the limits, the lineage whose state trimming waits for, a clock (s, epoch), and the rest."""
        self._store = store
        self._retention = retention
        self._limits = limits
        self._lineage = lineage
        self._clock = clock
        self._pending = pending
        self._abuse_monitor = abuse_monitor
        self._trimmed_at = 0.0

    async def __call__(self) -> None:
        """Do what is due. Raises StoreUnavailable."""
        await self._give_up_lost()
        if self._pending is not None:
            await self._pending.release(now=self._clock())
        if self._abuse_monitor is not None:
            await self._abuse_monitor.sweep()
        now = self._clock()
        if self._limits.keep_s is not None and now - self._trimmed_at >= _TRIM_EVERY_S:
            self._trimmed_at = now
            trimmed = await self._retention.trim(
                keep_s=self._limits.keep_s, now=now, exported_only=self._limits.exported_only, lineage=self._lineage
            )
            if trimmed:
                log.info("%d events left the log", trimmed)

    async def _give_up_lost(self) -> None:
        """Put an outcome on the log for calls whose own will not come any more: their router died."""
        now = self._clock()
        names = await self._store.decisions_without_outcome(now - self._limits.outcome_s, count=_LOST_AT_ONCE)
        records = await self._store.records(names)
        decisions = [record.decision for record in records.values() if record.decision is not None]
        lost = [
            Outcome(decision.id, now, decision.arm, Status.LOST, decision.context.prompt_tokens, attempts=0)
            for decision in decisions
        ]
        if lost:
            await self._store.put_all(lost)
            log.warning("%d calls given up as lost: no outcome within %g s", len(lost), self._limits.outcome_s)
