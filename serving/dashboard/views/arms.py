"""Arms: what each is worth, costs and takes, how it is, and what can be done with it."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policy import Policy
from highwayman.env.cost.objective import Objective
from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Arm, Decision
from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals, Point, Scatter, Series
from highwayman.pages.palette import QUIET
from highwayman.serving.auth.admission import caller_of
from highwayman.serving.config.tenants import tenant_config
from highwayman.serving.dashboard.arms.actions import act
from highwayman.serving.dashboard.arms.predictions import LEAST_CALLS, ForetoldCall, cost_ratios, foretold_calls
from highwayman.serving.dashboard.arms.price_preview import MOST_DECISIONS, Deciders, PricePreview, preview_price
from highwayman.serving.dashboard.arms.recent_calls import RecentCalls
from highwayman.serving.dashboard.arms.rows import arm_rows
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.site import ROOT, Site, address
from highwayman.serving.dashboard.told import Told
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.reload.arm_edits import changes_view

_PATH: Final = f"{ROOT}/arms"
_PRICES: Final = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_mtok_cached_in")


def routes(site: Site) -> list[Route]:
    """Return the page's routes."""
    recent = RecentCalls(site.services.history, timer=time.monotonic)

    async def arms(request: Request) -> Response:
        return await _page(site, recent, request, None, typed={})

    async def change(request: Request) -> Response:
        form = await form_of(request)
        told = await act(site.services.reloader, form, caller_of(request))
        is_kept = told.tone == "bad" and form.get("verb") == "add"  # what was typed of an arm that was refused
        return await _page(site, recent, request, told, typed=form if is_kept else {})

    async def foretold(request: Request) -> Response:
        calls, services = await recent.all(), site.services
        arms, tally, position = tuple(services.pool.arms.values()), services.live.tally, services.live.position
        fingerprint = services.encoder.fingerprint
        made = await asyncio.to_thread(foretold_calls, calls, arms, tally, position=position, fingerprint=fingerprint)
        return site.page(request, "arms_foretold.html.j2", **_foretold(site, made))

    async def price(request: Request) -> Response:
        return await _price_page(site, recent, request)

    return [
        Route(_PATH, arms, methods=["GET"]),
        Route(_PATH, change, methods=["POST"]),
        Route(f"{_PATH}/foretold", foretold, methods=["GET"]),
        Route(f"{_PATH}/price", price, methods=["GET"]),
    ]


async def _page(
    site: Site, recent: RecentCalls, request: Request, told: Told | None, *, typed: Mapping[str, str]
) -> Response:
    rows, reloader = arm_rows(site, await recent.all()), site.services.reloader
    changes = {} if reloader is None else changes_view(reloader.running.changes)
    return site.page(
        request,
        "arms.html.j2",
        status=400 if told is not None and told.tone == "bad" else 200,
        rows=rows,
        told=told,
        typed=defaultdict(str, typed),
        removed={name: change for name, change in changes.items() if change["keys"] is None},
        can_change=reloader is not None,
        workers=await _workers(site),
        trial=site.services.settings.config.trial,
        recent=sum(row.recent for row in rows),
    )


async def _workers(site: Site) -> Mapping[str, Any]:
    """Return what each worker has taken, nothing where Redis does not tell."""
    reloader = site.services.reloader
    try:
        return {} if reloader is None else await reloader.everybody(0, within_s=0.0)
    except StoreUnavailable:
        return {}


def _foretold(site: Site, calls: Sequence[ForetoldCall]) -> dict[str, Any]:
    """Return what the section on costs foretold shows."""
    colors, ratios = site.colors(), cost_ratios(calls)
    rows = [
        IntervalRow(
            name, ratio.ratio, ratio.low, ratio.high, color=colors[name], hollow=math.isnan(ratio.low),
            note=f"{ratio.calls} calls" + (f", {LEAST_CALLS} make an interval" if math.isnan(ratio.low) else ""),
        )
        for name, ratio in sorted(ratios.items(), key=lambda item: list(colors).index(item[0]))
    ]  # fmt: skip
    axis = Axis("metered for each dollar foretold", low=0.0, high=_furthest(rows))
    alt = "Dollars metered for each dollar foretold, by arm, with 95% intervals; at 1 they agree."
    ratio_figure = Figure(Intervals(alt, axis, rows, reference=1.0, reference_label="as foretold"))
    return {"calls": len(calls), "ratios": ratio_figure, "scatter": _scatter(calls, colors)}


def _furthest(rows: Sequence[IntervalRow]) -> float:
    ends = [end for row in rows for end in (row.value, row.high) if math.isfinite(end)]
    return max([2.0, *(1.05 * end for end in ends)])


def _scatter(calls: Sequence[ForetoldCall], colors: Mapping[str, str]) -> Figure:
    shown = [call for call in calls if call.foretold_usd > 0 and call.metered_usd > 0]
    points = [
        Point(
            1000 * call.foretold_usd, 1000 * call.metered_usd, call.arm, colors[call.arm], labelled=False,
            href=address(f"/decisions/{call.decision}", call.tenant),
        )
        for call in shown
    ]  # fmt: skip
    ends = [1000 * usd for call in shown for usd in (call.foretold_usd, call.metered_usd)] or [1e-3, 1.0]
    low, high = min(ends) / 1.3, max(ends) * 1.3
    line = Series("as foretold", QUIET, (low, high), (low, high), dashed=True)
    chart = Scatter(
        "Dollars metered by dollars foretold, per 1,000 such calls, a dot each; on the dashed line they are the same.",
        Axis("foretold, per 1,000 such calls", "usd", "log", low, high),
        Axis("metered, per 1,000 such calls", "usd", "log", low, high),
        points,
        [line],
        height=320,
    )
    arms = dict.fromkeys(call.arm for call in shown)
    return Figure(chart, legend={name: color for name, color in colors.items() if name in arms})


async def _price_page(site: Site, recent: RecentCalls, request: Request) -> Response:
    arm = site.services.pool.arm(request.query_params.get("arm", ""))
    asked = {name: request.query_params.get(name, "").strip() for name in _PRICES}
    preview, wrong = None, ""
    if any(asked.values()):
        try:
            preview = await _preview(site, recent, _at_price(arm, asked))
        except BadRequest as error:
            wrong = str(error)
    now = {name: getattr(arm, name) for name in _PRICES}
    return site.page(
        request, "arm_price.html.j2", status=400 if wrong else 200, arm=arm, asked=asked, now_in_force=now,
        preview=preview, wrong=wrong, colors=site.colors(), can_change=site.services.reloader is not None,
        most=MOST_DECISIONS, pressed=site.services.router.funds.spend_tracker.rule is not None,
    )  # fmt: skip


def _at_price(arm: Arm, asked: Mapping[str, str]) -> Arm:
    """Return an arm at other prices. Raises BadRequest for what is none."""
    prices: dict[str, float | None] = {}
    for name, text in asked.items():
        try:
            prices[name] = float(text) if text else None
        except ValueError:
            raise BadRequest(f"{name} takes dollars per million tokens, got {text!r}.") from None
        price = prices[name]
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise BadRequest(f"{name} must be a number >= 0, got {text!r}.")
    if prices["usd_per_mtok_in"] is None or prices["usd_per_mtok_out"] is None:
        raise BadRequest("Give both prices, of tokens read and of tokens written.")
    return replace(arm, **prices)  # type: ignore[arg-type]


async def _preview(site: Site, recent: RecentCalls, changed: Arm) -> PricePreview:
    """Return what would have been, reckoned beside the requests on copies of what decides them."""
    services = site.services
    decisions = [call.decision for call in await recent.all()][-MOST_DECISIONS:]
    tenants = {decision.tenant for decision in decisions}
    arms, tally = tuple(services.pool.arms.values()), services.live.tally
    deciders = _deciders(site, tenants)
    return await asyncio.to_thread(preview_price, decisions, arms, changed, tally, deciders=deciders)


def _deciders(site: Site, tenants: set[str]) -> Deciders:
    """Return copies of what decides for tenants now; nothing that is granted or counted there counts here."""
    router = site.services.router
    policies: dict[str, Policy] = {}
    rules: dict[str, ExplorationRules] = {}
    for tenant in tenants:
        policies[tenant] = deepcopy(router.ramp.champion_for(tenant) or router.live.policy_for(tenant))
        own = router.ramp.rules_for(tenant, replace(router.rules, cap=None, control=None))
        challenger = own.challenger
        if challenger is not None:
            own = replace(own, challenger=replace(challenger, policy=deepcopy(challenger.policy)))
        rules[tenant] = own

    def objective_for(decision: Decision) -> Objective | None:
        objective = router.objectives.get(decision.objective)
        own = tenant_config(router.tenants, decision.tenant)
        return objective if objective is None or own is None else own.priced(objective)

    return Deciders(policies.__getitem__, rules.__getitem__, objective_for, site.services.encoder.fingerprint)
