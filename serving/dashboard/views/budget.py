"""Budget: what is spent, of which ceilings, by whom and for what; and what happens when a ceiling is near."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.env.cost.budget import BudgetStanding
from highwayman.env.cost.spend_ledger import DAY_S, NO_SPEND, Spend, day_of
from highwayman.env.types import ControlKind
from highwayman.pages.charts import Axis, Bar, Bars, Figure, Lines, Marker, Series
from highwayman.pages.palette import GOOD, INK, OTHERS, QUIET
from highwayman.serving.config.config import Config
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.spending.limits import limits_used
from highwayman.serving.dashboard.spending.over_time import HOUR_S, INTERNAL, SpentSince, by_hour, spent_since
from highwayman.serving.insight.change_words import change_words

_HOURS: Final = 48


@dataclass(frozen=True, slots=True)
class TenantSpend:
    """A tenant's dollars of the last three days of UTC, today's first."""

    name: str
    days: tuple[Spend, Spend, Spend]


def routes(site: Site) -> list[Route]:
    """Return the page's route."""

    async def budget(request: Request) -> Response:
        return await _page(site, request)

    return [Route(f"{ROOT}/budget", budget)]


async def _page(site: Site, request: Request) -> Response:
    services, now = site.services, time.time()
    tracker = services.router.funds.spend_tracker
    tracker.on_published(services.live.tally, services.live.position)
    midnight, config = DAY_S * day_of(now), _config(site)
    limits, standing, history = config.budget.limits(), tracker.standing(), services.live.tally.history
    today = spent_since(history.buckets(since=midnight), midnight)
    claims = services.router.funds.claims
    left_usd = await claims.left_usd() if claims is not None and limits.hard else math.inf
    return site.page(
        request,
        "budget.html.j2",
        limits=limits,
        standing=standing,
        claimed_usd=None if math.isinf(left_usd) or limits.usd_per_day is None else limits.usd_per_day - left_usd,
        is_set=limits.usd_per_day is not None or limits.usd_per_request is not None,
        exploration=config.exploration,
        spent=_spent(today, limits.usd_per_day, midnight, now),
        hourly=_hourly(site, now),
        pressure=_pressure(tracker.standings()),
        arms=_by_arm(site, today),
        tenants=_tenants(site, now),
        pool=services.pool.arms.values(),
        tally=services.live.tally,
        colors=site.colors(),
        used=await limits_used(site),
    )


def _config(site: Site) -> Config:
    """Return the configuration in force, with what has changed of it since the start."""
    reloader = site.services.reloader
    return site.services.settings.config if reloader is None else reloader.running.config


def _spent(today: SpentSince, ceiling_usd: float | None, midnight: float, now: float) -> Figure:
    """Return what was spent since midnight, beside an even pace to the day's ceiling."""
    series, end = [Series("spent", INK, [*today.at, now], [*today.usd, today.usd[-1]])], now
    if ceiling_usd is not None:
        end = midnight + DAY_S
        series.append(Series("an even pace to the ceiling", QUIET, (midnight, end), (0.0, ceiling_usd), dashed=True))
    alt = "Dollars spent since midnight (UTC)" + (
        "." if ceiling_usd is None else ", beside an even pace to the ceiling."
    )
    chart = Lines(alt, Axis("", "time", low=midnight, high=end), Axis("", "usd", low=0.0, high=_top(series)), series)
    return Figure(chart, legend={line.name: line.color for line in series})


def _top(series: Sequence[Series]) -> float:
    return 1.06 * max([*(max(line.y, default=0.0) for line in series), 1e-6])


def _hourly(site: Site, now: float) -> Figure | None:
    """Return each arm's dollars by the hour, and the prices that changed meanwhile; None where nothing was spent."""
    history, colors = site.services.live.tally.history, {**site.colors(), INTERNAL: OTHERS}
    end = HOUR_S * math.ceil(now / HOUR_S)
    begin = end - _HOURS * HOUR_S
    hours, arms = by_hour(history.buckets(since=begin), begin, end)
    series = [
        Series(name, colors.get(name, OTHERS), [hour + HOUR_S / 2 for hour in hours], arms[name])
        for name in colors
        if any(arms.get(name, ()))
    ]
    if not series:
        return None
    markers = [
        Marker(change.at, change_words(change))
        for change in history.changes
        if change.kind is ControlKind.PRICE_CHANGED and change.at >= begin
    ]
    alt = f"Dollars by the hour and arm, the last {_HOURS} hours."
    chart = Lines(
        alt, Axis("", "time", low=begin, high=end), Axis("", "usd", low=0.0, high=_top(series)), series, markers
    )
    return Figure(
        chart,
        legend={line.name: line.color for line in series},
        caption=f"The last {_HOURS} hours." + (" Dotted: a price changed." if markers else ""),
    )


def _pressure(standings: Sequence[tuple[float, BudgetStanding]]) -> Figure | None:
    """Return the points that the budget added to a dollar over time; None where fewer than two are known."""
    ceilings = {
        "mean per request": (GOOD, [standing.request_points_per_usd for _, standing in standings]),
        "day": (INK, [standing.day_points_per_usd for _, standing in standings]),
    }
    at = [moment for moment, _ in standings]
    series = [
        Series(name, color, at, [math.nan if value is None else value for value in points])
        for name, (color, points) in ceilings.items()
        if any(value is not None for value in points)
    ]
    if len(at) < 2 or not series:
        return None
    alt = "Points of quality that each ceiling added to what a dollar counts, over time."
    known = [points for line in series for points in line.y if points > 0]
    chart = Lines(alt, Axis("", "time"), Axis("", "count", "log", min(known) / 1.5, max(known) * 1.5), series)
    legend = {line.name: line.color for line in series}
    return Figure(chart, legend=legend, caption="Of this worker, since it started.")


def _by_arm(site: Site, today: SpentSince) -> Figure | None:
    """Return what each arm's calls cost today, None where nothing was spent."""
    colors = {**site.colors(), INTERNAL: OTHERS}
    bars = [Bar(name, usd, colors.get(name, OTHERS)) for name, usd in _ordered(today.by_arm, colors) if usd > 0]
    if not bars:
        return None
    axis = Axis("", "usd", low=0.0, high=1.1 * max(bar.value for bar in bars))
    return Figure(Bars("Dollars of each arm's calls today.", axis, bars))


def _ordered(by_arm: Mapping[str, float], colors: Mapping[str, str]) -> list[tuple[str, float]]:
    return [(name, by_arm[name]) for name in dict.fromkeys([*colors, *by_arm]) if name in by_arm]


def _tenants(site: Site, now: float) -> list[TenantSpend]:
    """Return who spent what in the last three days, who spent most today first."""
    tally, day = site.services.live.tally, day_of(now)
    rows = []
    for name in tally.spending_tenants:
        today, yesterday, before = (tally.spent(name).get(day - ago, NO_SPEND) for ago in range(3))
        rows.append(TenantSpend(name, (today, yesterday, before)))
    return sorted(rows, key=lambda row: -row.days[0].usd)
