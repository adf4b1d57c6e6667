"""Overview: whether the router earns its keep, in ten seconds; and why traffic moved, on one time axis."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.env.encoder.features.tags import translated
from highwayman.env.types import Decision
from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals, Lines, Marker, Series, Shares
from highwayman.pages.formats import percent
from highwayman.serving.dashboard.recent_log import RecentLog
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.insight.history_view import history_view
from highwayman.serving.scrape import usd_per_call
from highwayman.serving.telemetry.beliefs import Beliefs, beliefs_of
from highwayman.serving.views import savings_view

SPANS_S: Final[Mapping[str, float]] = {"hour": 3600.0, "day": 86400.0, "week": 7 * 86400.0, "all": math.inf}
_USUAL: Final = "day"
_TIME: Final = Axis(unit="time")
_CHANGES: Final = 12
_LATEST: Final = 200  # requests that beliefs are asked about: a hundredth of a second of a core
_STRETCHES: Final = 40  # of a time axis, at most


def routes(site: Site, recent: RecentLog) -> list[Route]:
    """Return the page's route."""

    async def overview(request: Request) -> Response:
        tenant, span = site.tenant(request), request.query_params.get("span", _USUAL)
        span = span if span in SPANS_S else _USUAL
        history = history_view(
            site.services.live.tally.history,
            tenant=tenant,
            since=max(time.time() - SPANS_S[span], 0.0),
            arms=list(site.services.pool.arms),
            most=_STRETCHES,
        )
        # Those of this process are at hand; the log is read where it has just started.
        latest = site.services.metrics.latest or (await recent.events()).decisions.values()
        markers = [Marker(change["at"], change["words"]) for change in history["changes"]]
        return site.page(
            request,
            "overview.html.j2",
            span=span,
            spans=list(SPANS_S),
            history=history,
            spent=_spent(history),
            beliefs=_beliefs(site, [decision for decision in latest if decision.tenant == tenant]),
            savings=savings_view(site.services, tenant),
            shares=_shares(site, history, markers),
            reward=_reward(history, markers),
            quality=_quality(site, history),
            changes=history["changes"][: -_CHANGES - 1 : -1],
        )

    return [Route(ROOT, overview), Route(f"{ROOT}/", overview)]


def _beliefs(site: Site, latest: Sequence[Decision]) -> Beliefs:
    """Return what the policy in force believes of a tenant's latest requests, and what exploring was to cost.

    Those of before another tag was declared are asked about without it, those of another encoder not at all. It takes
    some milliseconds, on the event loop: policies are asked nowhere else.
    """
    services = site.services
    told = ((decision, translated(decision.context, services.encoder.fingerprint)) for decision in latest[:_LATEST])
    asked = [replace(decision, context=context) for decision, context in told if context is not None]
    return beliefs_of(asked, services.live.policy_for, usd_per_call(services.live.tally))


def _spent(history: Mapping[str, Any]) -> float:
    return math.fsum(arm["cost_usd"] for bucket in history["buckets"] for arm in bucket["arms"].values())


def _shares(site: Site, history: Mapping[str, Any], markers: Sequence[Marker]) -> Figure | None:
    """Return which arms the requests were routed to, over time; None without any."""
    buckets, colors = history["buckets"], site.colors()
    if not buckets:
        return None
    names = [name for name in site.arm_names() if any(name in bucket["arms"] for bucket in buckets)]
    at = [bucket["begin"] for bucket in buckets] + [buckets[-1]["end"]]
    parts = {}
    for name in names:
        counts = [float(bucket["arms"].get(name, {}).get("routed", 0)) for bucket in buckets]
        parts[name] = [*counts, counts[-1]]  # a step ends where its stretch of time does
    of_names = {name: colors[name] for name in names}
    alt = f"Share of routed requests by arm over time: at the end {_last(parts)}."
    return Figure(Shares(alt, _TIME, at, parts, of_names, markers), legend=of_names)


def _last(parts: Mapping[str, Sequence[float]]) -> str:
    whole = sum(part[-1] for part in parts.values())
    shares = {name: part[-1] / whole for name, part in parts.items()} if whole else {}
    return ", ".join(f"{name} {percent(share)}" for name, share in sorted(shares.items(), key=lambda item: -item[1]))


def _reward(history: Mapping[str, Any], markers: Sequence[Marker]) -> Figure | None:
    """Return the mean reward so far with its band, and that of each stretch; None where nothing is rated."""
    rated = [bucket for bucket in history["buckets"] if bucket["reward"]["mean"] is not None]
    if not rated:
        return None
    at = [bucket["end"] for bucket in rated]
    bands = [bucket["reward"] for bucket in rated]
    ends = {end: [math.nan if band[end] is None else band[end] for band in bands] for end in ("low", "high")}
    mean = Series("mean so far", "var(--accent)", at, [band["mean"] for band in bands], ends["low"], ends["high"])
    each = Series("of each stretch", "var(--others)", at, [_stretch(bucket) for bucket in rated])
    now, legend = history["reward"], {"mean so far, with its band": "var(--accent)", "each stretch": "var(--others)"}
    between = "" if now["low"] is None else f", between {now['low']:.3f} and {now['high']:.3f}"
    alt = f"Mean reward of rated answers: {now['mean']:.3f} of {now['rated']}{between}."
    caption = (
        f"{alt} The band holds at every look at once ({history['level']:.0%}), for what the rated answers were "
        "expected to earn; who rates is not drawn at random."
    )
    axis = Axis("reward", low=0.0, high=1.0)
    return Figure(Lines(alt, _TIME, axis, [each, mean], markers), caption, legend=legend)


def _stretch(bucket: Mapping[str, Any]) -> float:
    """Return the mean reward of one stretch's answers, NaN where none is rated."""
    told = [(arm["rated"], arm["quality"]) for arm in bucket["arms"].values() if arm["quality"] is not None]
    count = sum(rated for rated, _ in told)
    return math.fsum(rated * quality for rated, quality in told) / count if count else math.nan


def _quality(site: Site, history: Mapping[str, Any]) -> Figure:
    """Return every arm's mean reward over the span, with its band."""
    colors, rows = site.colors(), []
    for name in site.arm_names():
        band = history["arm_rewards"].get(name) or {"mean": None, "low": None, "high": None, "rated": 0}
        value, low, high = (math.nan if band[end] is None else band[end] for end in ("mean", "low", "high"))
        rows.append(IntervalRow(name, value, low, high, colors[name], note=f"{band['rated']} rated answers"))
    alt = "Mean reward of each arm's rated answers with its band."
    caption = "Of the queries each arm was chosen for, which are not the same: an arm can be best where it is sent."
    return Figure(Intervals(alt, Axis("reward", low=0.0, high=1.0), rows), caption)
