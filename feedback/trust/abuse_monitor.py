"""Watches for keys that flood or lie, and quarantines them; run by the holder of the learner's lease."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.record import Record
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.trust.anomaly_detector import AnomalyDetector, SuspectedKey
from highwayman.feedback.trust.quarantine import Quarantine

_LATELY_S = 60.0
_HUSH_S = 10.0  # longer than a notice that an arm has changed waits to go on the log

log = logging.getLogger(__name__)


class QuarantineRegistry(Protocol):
    """Knows which keys are in quarantine."""

    async def quarantined(self) -> Mapping[str, float | None]:
        """Return the keys in quarantine, each with the time since when (seconds since the epoch; None: always)."""

    async def quarantine_if_active(self, suspect: SuspectedKey) -> None:
        """Put a key in quarantine."""


class AbuseMonitor:
    """Observes feedback as it is folded; a sweep quarantines suspects, and quarantines what came with their keys.

    Routers learn of a quarantine about a second late: what they let through meanwhile is quarantined by the next sweep.
    """

    def __init__(
        self,
        detector: AnomalyDetector | None,
        quarantine: Quarantine,
        retention: Retention,
        book: QuarantineRegistry,
        *,
        spec: RewardSpec,
        clock: Callable[[], float],
    ) -> None:
        """Take the detector (None: nobody is suspected), the quarantine, the log, and the registry of keys."""
        self._detector = detector
        self._quarantine = quarantine
        self._retention = retention
        self._registry = book
        self._spec = spec
        self._clock = clock
        self._suspicions: list[SuspectedKey] = []
        self._suspected: dict[str, float] = {}  # when last, seconds since the epoch, by tenant
        self._tenants: dict[str, str] = {}  # of suspects, by key
        self._swept: dict[str, EventId] = {}  # up to where, by key

    def suspected_tenants(self) -> frozenset[str]:
        """Return the tenants of whose keys some were suspected or swept lately."""
        lately = self._clock() - _HUSH_S
        return frozenset(tenant for tenant, at in self._suspected.items() if at > lately)

    def observe(self, feedback: Feedback, record: Record) -> None:
        """Observe a statement on a decision; those without a key, or quarantined, are passed over."""
        if self._detector is None or not feedback.key or feedback.quarantined or record.decision is None:
            return
        metric = self._spec.metrics.get(feedback.metric)
        has_quality = metric is not None and metric.affects_reward and feedback.value is not None
        suspect = self._detector.observe(
            feedback.key,
            tenant=record.decision.tenant,
            arm=record.served_arm(),
            quality=metric.quality(feedback.value)
            if has_quality and metric is not None and feedback.value is not None
            else None,
            at=feedback.at,
        )
        if suspect is not None:
            log.warning("key %s is suspected (%s): %s", suspect.key, suspect.why, suspect.detail)
            self._suspicions.append(suspect)
            self._tenants[feedback.key] = tenant = record.decision.tenant
            self._suspected[tenant] = self._clock()

    async def sweep(self) -> None:
        """Do what is due. Raises StoreUnavailable; what was not done then is done the next time."""
        while self._suspicions:
            await self._registry.quarantine_if_active(self._suspicions[0])
            self._suspicions.pop(0)
        since = await self._registry.quarantined()
        for key in self._swept.keys() - since.keys():
            del self._swept[key]
            if self._detector is not None:
                self._detector.clear(key)
        for key, at in since.items():
            # What came before was turned by whoever put the key there without saying since when.
            begin = f"{max(int((self._clock() - _LATELY_S if at is None else at) * 1000) - 1, 0)}-0"
            reached = await self._retention.last()
            after = self._swept.get(key, begin)
            turned = await self._quarantine.set_quarantined([key], quarantined=True, at=self._clock(), after=after)
            self._swept[key] = reached
            if turned:
                if key in self._tenants:
                    self._suspected[self._tenants[key]] = self._clock()
                await self._quarantine.withdraw_change_notices([key], at=self._clock(), after=begin)
                log.warning("%d statements that came with key %s are quarantined", turned, key)
