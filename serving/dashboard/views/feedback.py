"""Feedback: who says what, how late, who is not believed for now, and how the judge compares with people."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.calibrator import tenant_flip_rate
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.judge.report import JudgeCalls, JudgeReport, judge_report
from highwayman.feedback.trust.api_keys import KeyState, UnknownKey
from highwayman.pages.charts import Axis, Bar, Bars, Figure, IntervalRow, Intervals
from highwayman.pages.formats import FORMATS, seconds
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.recent_log import RecentEvents, RecentLog
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.views import pending_counts

_SHOWN: Final = 25
_DELAYS_S: Final = (0.0, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86400.0)
_BY_HAND: Final = "by hand, on the dashboard"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What one source says by one metric, of the newest statements."""

    source: str
    metric: str
    count: int
    retracted: int
    mean: float  # of the values
    weight: float  # in all
    held_back: int  # quarantined
    last_at: float


@dataclass(frozen=True, slots=True)
class JudgeSection:
    """A weak metric beside thumbs."""

    metric: str
    report: JudgeReport
    figure: Figure


def routes(site: Site, recent: RecentLog) -> list[Route]:
    """Return the page's routes."""

    async def show(request: Request) -> Response:
        events, keys = await asyncio.gather(recent.events(), site.services.keys.all())
        tenant = site.tenant(request)
        own = [told for told in events.feedback if _tenant(told, events) in (tenant, None)]
        return site.page(
            request,
            "feedback.html.j2",
            totals=site.services.live.tally.totals(),
            sources=source_rows(own),
            delays=_delays(own, events),
            latest=[(told, events.decisions.get(told.decision_id)) for told in own[:_SHOWN]],
            judges=_judges(site, tenant),
            quarantined=[key for key in keys if key.state is KeyState.QUARANTINED],
            believed=[key for key in keys if key.state is KeyState.ACTIVE and "feedback" in key.scopes],
            pending=await pending_counts(site.services),
        )

    async def change(request: Request) -> Response:
        """Put a key in quarantine or release it, and what came with it, while the page goes on."""
        key_id = (await form_of(request)).get("key", "")
        quarantined = request.url.path.endswith("/quarantine")
        state = KeyState.QUARANTINED if quarantined else KeyState.ACTIVE
        try:
            key = await site.services.keys.set_state(key_id, state, why=_BY_HAND if quarantined else "")
        except (UnknownKey, ValueError) as error:
            raise BadRequest(str(error)) from None
        site.services.proxy_dependencies.background.spawn(_follow(site, key.id, quarantined=quarantined))
        return RedirectResponse(f"{ROOT}/feedback", 303)

    return [
        Route(f"{ROOT}/feedback", show),
        *(Route(f"{ROOT}/feedback/{verb}", change, methods=["POST"]) for verb in ("quarantine", "release")),
    ]


async def _follow(site: Site, key_id: str, *, quarantined: bool) -> None:
    """Turn what came with a key, while its page has gone on."""
    try:
        await site.services.quarantine.follow_key(key_id, quarantined=quarantined, clock=time.time)
    except StoreUnavailable:
        log.error("what came with %s is not turned yet: do it again when Redis answers", key_id)


def source_rows(statements: Sequence[Feedback]) -> list[SourceRow]:
    """Return a row for each source and metric, the busiest first; `statements` are newest first."""
    groups: dict[tuple[str, str], list[Feedback]] = {}
    for told in statements:
        groups.setdefault((told.source, told.metric), []).append(told)
    rows = []
    for (source, metric), group in groups.items():
        values = [told.value for told in group if told.value is not None]
        rows.append(
            SourceRow(
                source,
                metric,
                len(group),
                len(group) - len(values),
                sum(values) / len(values) if values else math.nan,
                sum(told.weight for told in group if told.value is not None and not told.quarantined),
                sum(told.quarantined for told in group),
                group[0].at,
            )
        )
    return sorted(rows, key=lambda row: -row.count)


def _tenant(told: Feedback, events: RecentEvents) -> str | None:
    """Return whose decision a statement is about, None where that is older than what was read."""
    decision = events.decisions.get(told.decision_id)
    return None if decision is None else decision.tenant


def _delays(statements: Sequence[Feedback], events: RecentEvents) -> Figure | None:
    """Return how long after its decision a statement came; None where nobody can tell."""
    delays = [
        told.at - decision.at
        for told in statements
        if (decision := events.decisions.get(told.decision_id)) is not None and told.at >= decision.at
    ]
    if not delays:
        return None
    edges = [*_DELAYS_S, max(*delays, 2 * _DELAYS_S[-1])]
    counts = np.histogram(delays, edges)[0]
    bars = [
        Bar(f"up to {FORMATS['seconds'](high)}" if high < edges[-1] else "later", float(count), "var(--accent)")
        for high, count in zip(edges[1:], counts, strict=True)
        if count
    ]
    half = seconds(float(np.median(delays)))
    alt = f"Delay of {len(delays)} statements behind their decisions; half came within {half}."
    return Figure(Bars(alt, Axis("statements", unit="count"), bars), caption=alt)


def _judges(site: Site, tenant: str) -> list[JudgeSection]:
    """Return each metric that is corrected by thumbs, beside them."""
    counts = site.services.live.tally.calibration_counts
    cells = list(counts.cells())
    names = sorted(
        {cell.metric for cell, _ in cells if cell.tenant == tenant and cell.metric in site.services.spec.metrics}
    )
    flip = tenant_flip_rate(counts, tenant, otherwise=site.services.settings.config.feedback.calibration.flip_rate)
    sections = []
    for name in names:
        report = judge_report(CountTable.from_counts(cells, tenant=tenant, metric=name), JudgeCalls(), flip=flip)
        sections.append(JudgeSection(name, report, _calibrated(site, report)))
    return sections


def _calibrated(site: Site, report: JudgeReport) -> Figure:
    """Return each arm's calibrated mean with its interval, and where the source's own mean lies."""
    colors, rows = site.colors(), []
    for arm in sorted(report.arms, key=lambda arm: site.arm_names().index(arm.arm)):
        color = colors[arm.arm]
        rows.append(IntervalRow(f"{arm.arm}, as scored", arm.score, color=color, hollow=True))
        if arm.quality is not None and arm.low is not None and arm.high is not None:
            rows.append(IntervalRow(f"{arm.arm}, by thumbs", arm.quality, arm.low, arm.high, color))
    alt = "Each arm's mean as it was scored, and corrected by thumbs with its 95% interval."
    return Figure(Intervals(alt, Axis("quality", low=0.0, high=1.0), rows), caption=alt)
