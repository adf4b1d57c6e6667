"""A desk where feedback is taken in, with a real log behind it, and what is asked of it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.metric import boolean_metric
from highwayman.env.reward import reward_spec
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Decision, Feedback
from highwayman.feedback.calibration.calibrator import CalibrationSettings, Calibrator
from highwayman.feedback.fold.tallies.calibration_counts import CalibrationCounts
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending import PendingFeedback
from highwayman.feedback.intake.retraction import FiledStatements
from highwayman.feedback.intake.service import FeedbackReceipt, FeedbackService
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.intake.targets import TargetResolver
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter
from highwayman.feedback.trust.principal import Principal
from tests.feedback.intake.tenants import OTHERS, OURS, Clock, decided, decision_ids

WINDOW_S, HOLD_S = 600.0, 60.0
SPEC = reward_spec([boolean_metric("graded", senders="grader")])
_TARGETS = [field.name for field in fields(FeedbackTarget)]
WE, THEY = Principal(OURS, key_id="k-1"), Principal(OTHERS)


@dataclass(frozen=True, slots=True)
class Intake:
    """A service, and what stands behind it."""

    service: FeedbackService
    store: Store
    clock: Clock
    filed: list[Feedback]  # what the service told of

    async def decide(self, *, request: str = "", conversation: str = "", tenant: str = OURS) -> Decision:
        """A decision on the log, under ids that the client sent along."""
        ids = self.service.targets.ids
        named = (("request", request), ("conversation", conversation))
        made = decided(ids, *(ids.link(kind, name, tenant) for kind, name in named if name), tenant=tenant)
        await self.store.put(made)
        return made

    async def say(
        self, value: Any = True, *, principal: Principal = WE, metric: str = "thumbs", **more: Any
    ) -> FeedbackReceipt:
        """Submit a statement; what names its target is told from the rest."""
        about = {name: more.pop(name) for name in _TARGETS if name in more}
        self.clock.now += 1.0
        return await self.service.submit(FeedbackSubmission(FeedbackTarget(**about), metric, value, **more), principal)

    async def retract(self, feedback_id: str, *, principal: Principal = WE, source: str | None = None) -> Any:
        self.clock.now += 1.0
        return await self.service.retract(feedback_id, principal, source=source)

    async def statements(self, decision_id: str) -> list[Feedback]:
        """What the record holds of a decision, in log order."""
        return list((await self.store.record(decision_id)).feedback.values())

    async def standing(self, decision_id: str) -> list[float]:
        """The values that count for a decision's reward."""
        contributions = SPEC.contributions(await self.statements(decision_id))
        return [part.feedback.value for part in contributions if part.weight and part.feedback.value is not None]


@asynccontextmanager
async def intake(
    client: aioredis.Redis, namespace: str, folder: Path, *, caps: InfluenceCaps | None = None
) -> AsyncIterator[Intake]:
    clock, filed = Clock(), list[Feedback]()
    store, ids = Store(client, namespace), decision_ids(clock)
    journal = Journal(
        store,
        claim_spools(folder / "spools", limit_bytes=1 << 20),
        writer=secrets.token_hex(4),
        clock=time.monotonic,
        patience_s=10.0,  # a machine that is busy is no Redis that is away
        on_delivery_outcome=lambda fate, kind: None,
    )
    calibrator = Calibrator(SPEC, CalibrationCounts, CalibrationSettings())
    service = FeedbackService(
        spec=SPEC,
        targets=TargetResolver(ids, store.linked_decisions, clock, WINDOW_S, store.linked_decisions_of, store.records),
        statements=StatementBuilder(ids, SPEC, store.record, clock),
        influence_weights=InfluenceWeights(InfluenceLimiter(caps or InfluenceCaps())),
        calibration=StatementCalibration(calibrator, store.records),
        filed=FiledStatements(ids, store.linked_decisions, store.records),
        journal=journal,
        pending=PendingFeedback(client, namespace, store, keep_s=HOLD_S),
        clock=clock,
        on_feedback=filed.append,
    )
    running = asyncio.create_task(journal.run())
    try:
        yield Intake(service, store, clock, filed)
    finally:
        await cancel_and_wait(running)
        await store.close()


def ids_of(decisions: Sequence[Decision]) -> tuple[str, ...]:
    return tuple(made.id for made in decisions)
