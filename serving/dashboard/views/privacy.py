"""Privacy: which class of data may go to which arms, what may be kept, and what came of late under which rule."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.env.data_class import DataClass, told_by
from highwayman.env.types import Decision
from highwayman.pages.charts import Axis, Bar, Bars, Figure
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.dashboard.recent_log import RecentLog
from highwayman.serving.dashboard.site import ROOT, Site

_ALL: Final = ""  # among the counts of who says so: requests


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What holds for a class of data, and how much of it came of late."""

    name: str
    rule: str  # the configuration's key; empty: none speaks of it
    zones: Sequence[str] | None  # None: anywhere
    arms: Sequence[str]  # that may have it
    is_stored: bool
    is_redacted: bool
    requests: int
    origins: Sequence[tuple[str, int]]  # who said so, or what a detector saw


def routes(site: Site, recent: RecentLog) -> list[Route]:
    """Return the page's route."""

    async def show(request: Request) -> Response:
        guard, events = site.services.guard, await recent.events()
        tenant = site.tenant(request)
        own = [decision for decision in events.decisions.values() if decision.tenant == tenant]
        rows = [] if guard is None else class_rows(guard, site, own)
        return site.page(
            request,
            "privacy.html.j2",
            rows=rows,
            rules=_rules_hit(own),
            looked_at=len(own),
            detector=site.services.settings.config.privacy,
            kinds=_kinds(rows),
        )

    return [Route(f"{ROOT}/privacy", show)]


def class_rows(guard: DataGuard, site: Site, decisions: Iterable[Decision]) -> list[ClassRow]:
    """Return a row for each class, the freest first."""
    told: dict[str, Counter[str]] = {member.label: Counter() for member in DataClass}
    for decision in decisions:
        flags = told_by(decision.context.flags) or {"class": DataClass.PUBLIC.label, "classed_by": []}
        told[str(flags["class"])].update([_ALL, *(str(origin) for origin in _listed(flags["classed_by"]))])
    rows = []
    for member in DataClass:
        clearance, counts = guard.rules.clearance(member), told[member.label]
        arms = [
            arm.name
            for arm in site.services.pool.arms.values()
            if clearance.zones is None or arm.zone in clearance.zones
        ]
        rows.append(
            ClassRow(
                member.label,
                clearance.rule,
                None if clearance.zones is None else sorted(clearance.zones),
                arms,
                clearance.is_stored,
                member in guard.redacted,
                counts.pop(_ALL, 0),
                counts.most_common(4),
            )
        )
    return rows


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _rules_hit(decisions: Iterable[Decision]) -> list[tuple[str, int, int]]:
    """Return each rule of the configuration, with how many requests it was asked for, and kept an arm from."""
    asked: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for decision in decisions:
        flags = told_by(decision.context.flags)
        if flags is not None and flags["rule"]:
            rule = str(flags["rule"])
            asked[rule] += 1
            kept[rule] += bool(flags["masked"])
    return [(rule, count, kept[rule]) for rule, count in asked.most_common()]


def _kinds(rows: Sequence[ClassRow]) -> Figure | None:
    """Return how many requests came of each class, None where none did."""
    if not any(row.requests for row in rows):
        return None
    bars = [Bar(row.name, float(row.requests), "var(--accent)") for row in rows]
    alt = f"Requests of late by the class of their data: {', '.join(f'{row.name} {row.requests}' for row in rows)}."
    return Figure(Bars(alt, Axis("requests", unit="count"), bars))
