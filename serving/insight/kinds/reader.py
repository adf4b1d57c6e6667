"""Looks at a tenant's newest decisions on the log, once for all who ask within a minute, off the event loop."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from highwayman.serving.insight.kinds.clustering import FeatureColumns
from highwayman.serving.insight.kinds.exploration import exploration_view
from highwayman.serving.insight.kinds.names import WordTable
from highwayman.serving.insight.kinds.sample import Sample, make_sample
from highwayman.serving.insight.kinds.views import ExpectedQuality, kinds_by_tag, kinds_by_words, kinds_view, map_view
from highwayman.serving.insight.recent_log import recent_records
from highwayman.serving.insight.shared_answers import SharedAnswers
from highwayman.serving.scrape import usd_per_call
from highwayman.serving.services import Services

DECISIONS: Final = 4_000  # that are looked at
MOST_POINTS: Final = 2_000  # on the map
_log = logging.getLogger(__name__)
_FRESH_S: Final = 60.0  # to look takes a third of a second of one core
_ASKED: Final = 200  # decisions about which the policy is asked at once, between which requests go on


@dataclass(frozen=True, slots=True)
class TrafficLook:
    """What one look came to, as JSON has it."""

    kinds: dict[str, Any]
    map: dict[str, Any]


class KindsReader:
    """Tells of kinds of query, and where they lie."""

    def __init__(self, services: Services) -> None:
        """Take the running services."""
        self._services = services
        self._looks: SharedAnswers[TrafficLook] = SharedAnswers(_FRESH_S, time.monotonic)
        self._table: WordTable | None = None

    async def look(self, tenant: str) -> TrafficLook:
        """Return what a tenant's newest decisions come to, not older than a minute. Raises StoreUnavailable."""
        return await self._looks.get(tenant, lambda: self._fresh(tenant))

    async def _fresh(self, tenant: str) -> TrafficLook:
        services = self._services
        pool = list(services.pool.arms)
        records = await recent_records(services.history, tenant=tenant, count=DECISIONS)
        sample = await asyncio.to_thread(
            make_sample, records, services.spec, pool=pool, fingerprint=services.encoder.fingerprint
        )
        beliefs = await self._beliefs(sample, tenant, pool)
        return await asyncio.to_thread(self._looked, sample, beliefs, tenant)

    async def _beliefs(self, sample: Sample, tenant: str, pool: Sequence[str]) -> ExpectedQuality:
        """Return what is believed by whoever decides for the tenant now; policies are asked on the event loop alone."""
        services = self._services
        policy = services.router.ramp.champion_for(tenant) or services.live.policy_for(tenant)
        parts = []
        for start in range(0, max(sample.n, 1), _ASKED):
            parts.append(sample.beliefs(policy, pool, start=start, end=start + _ASKED))
            await asyncio.sleep(0)
        quality, deviations = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return ExpectedQuality(quality, deviations, sample.latest_penalties())

    def _looked(self, sample: Sample, beliefs: ExpectedQuality, tenant: str) -> TrafficLook:
        encoder, tags = self._services.encoder, self._services.tags.declared
        columns = FeatureColumns.of(encoder.names, own=encoder.tags.width)
        by_words = kinds_by_words(sample, columns, self._words)
        groups = {tag.name: kinds_by_tag(sample, tag) for tag in tags}
        groups = {name: kinds for name, kinds in groups.items() if kinds}
        changes = [
            change
            for change in self._services.live.tally.history.changes
            if change.detail.get("tenant", tenant) == tenant
        ]
        return TrafficLook(
            {
                **kinds_view(sample, {**groups, "words": by_words}, beliefs, changes),
                "exploration": exploration_view(sample, beliefs, usd_per_call(self._services.live.tally)),
                "tenant": tenant,
            },
            {**map_view(sample, columns, by_words, beliefs, limit=MOST_POINTS), "tenant": tenant},
        )

    def _words(self) -> WordTable | None:
        """Return the words that kinds may be named by; None where the engine cannot tell of them now."""
        if self._table is None:
            try:
                self._table = WordTable(self._services.encoder)
            except Exception as error:  # whatever an engine may raise: kinds are told without names then
                _log.warning("kinds are not named: the encoder's engine failed with %s", type(error).__name__)
        return self._table
