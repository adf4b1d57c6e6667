"""Policies: who decides, what the others would have earned beyond, who is let in or sent back, what is gone back to."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.types import TOLD, Control, ControlKind
from highwayman.feedback.learning.version_history import VersionInfo
from highwayman.feedback.log.event_id import milliseconds_of
from highwayman.feedback.tournament.ramp import BEST_CONSTANT, Ramp
from highwayman.feedback.tournament.score import DOLLARS, FAILURES, SECONDS
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals
from highwayman.pages.palette import OTHERS, policy_colors
from highwayman.serving.auth.admission import caller_of
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.told import Told, who
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.views import tournament_view

_PATH: Final = f"{ROOT}/policies"
_POINTS: Final = 100.0  # of reward minus penalty
_PATIENCE_S: Final = 1.0
_WIDEST: Final = 50.0  # points: an interval that says nothing is cut there
_SHOWN_VERSIONS: Final = 12


@dataclass(frozen=True, slots=True)
class Standing:
    """A contender against who decides."""

    name: str
    what: str  # it is, in words
    color: str
    verdict: Mapping[str, Any] | None  # None: nothing is known against this champion
    is_barred: bool  # was sent back, and is not tried on its own
    is_trying: bool  # has a share

    @property
    def known(self) -> tuple[str, str]:
        """What is known in words, and what kind of news that is."""
        verdict = self.verdict
        if verdict is None or not verdict["rounds"]:
            return "nothing yet", ""
        if verdict["refused"]:
            return str(verdict["refused"]), ""
        if verdict["better"]:
            return "better", "good"
        return ("worse", "bad") if verdict["worse"] else ("no difference shown", "")

    def meter(self, name: str) -> tuple[str, str]:
        """Return how much more its calls take, and the interval: a share of failures in points, else in percent."""
        meter = None if self.verdict is None else self.verdict["meters"][name]
        if meter is None or meter["difference"] is None:
            return "–", ""
        unit = " points" if name == FAILURES else "%"
        difference, low, high = (_POINTS * meter[end] for end in ("difference", "low", "high"))
        return f"{difference:+.1f}{unit}", f"{low:+.0f} to {high:+.0f}"


def routes(site: Site) -> list[Route]:
    """Return the page's routes."""

    async def policies(request: Request) -> Response:
        return await _page(site, request, None)

    async def change(request: Request) -> Response:
        form = await form_of(request)
        return await _page(site, request, await _act(site, form, who(caller_of(request))))

    return [Route(_PATH, policies, methods=["GET"]), Route(_PATH, change, methods=["POST"])]


async def _act(site: Site, form: Mapping[str, str], by: str) -> Told:
    """Do what a form asks for; return what came of it, also where it could not be done. Raises BadRequest."""
    referee, name = site.services.referee, form.get("policy", "")
    try:
        match form.get("do", ""):
            case "promote":
                await referee.promote(name, at_once=False, who=by)
                return Told("good", f"{name} is let in, by the ramp.", taken="Routers follow within about a second.")
            case "promote at once":
                await referee.promote(name, at_once=True, who=by)
                return Told("good", f"{name} decides from now on.", taken="Routers follow within about a second.")
            case "roll back":
                await referee.rollback(who=by)
                return Told("good", "What was given is taken back.", taken="Routers follow within about a second.")
            case "go back":
                return await _go_back(site, form.get("version", ""), by)
    except ConfigError as error:
        return Told("bad", f"Nothing has changed: {str(error).removesuffix('.')}.")
    except StoreUnavailable:
        return Told("bad", "Nothing has changed: Redis does not answer.")
    raise BadRequest(f"{form.get('do', '')!r} is nothing that is done to a policy.")


async def _go_back(site: Site, number: str, by: str) -> Told:
    """Put on the log that a version is gone back to. Raises ConfigError, StoreUnavailable."""
    kept = {str(info.version): info for info in await site.services.versions.all()}
    info = kept.get(number)
    if info is None:
        raise ConfigError(f"version {number} is not kept; kept are {', '.join(kept) or 'none'}")
    detail = {"position": info.position, "version": info.version, "by": by}
    await site.services.store.append(Control(time.time(), ControlKind.ROLLBACK, detail))
    follows = "The rollback stands on the log, and the learner follows it: this page shows when."
    return Told("good", f"Back to version {info.version}.", taken=follows)


async def _page(site: Site, request: Request, told: Told | None) -> Response:
    services, rules = site.services, site.services.settings.config.tournament.rules()
    ramp, verdicts, versions, waiting_s = services.router.ramp.ramp, {}, [], None
    is_known = True
    try:
        async with asyncio.timeout(_PATIENCE_S):
            ramp = Ramp.from_json(await services.store.ramp(), first=rules.first)
            verdicts = dict(await services.referee.verdicts())
            versions = await services.versions.all()
            waiting_s = await _waiting_s(site)
    except (StoreUnavailable, TimeoutError):
        is_known = False
    standings = _standings(site, ramp, tournament_view(ramp, verdicts, rules)["contenders"])
    trying = verdicts.get(ramp.challenger, {})
    return site.page(
        request,
        "policies.html.j2",
        status=400 if told is not None and told.tone == "bad" else 200,
        told=told,
        ramp=ramp,
        champion=_in_words(site, ramp.champion),
        previous=_in_words(site, ramp.previous) if ramp.previous else "",
        standings=standings,
        intervals=_intervals(standings),
        meters={"failures": FAILURES, "seconds": SECONDS, "dollars": DOLLARS},
        rules=rules,
        rules_alpha=services.settings.config.tournament.alpha,
        on_share=max(int(trying.get("decisions", 0)) - ramp.decisions, 0) if ramp.challenger else 0,
        has_challengers=bool(services.settings.config.tournament.challengers),
        live=services.live,
        waiting_s=waiting_s,
        is_known=is_known,
        versions=_newest(versions),
        older=_newest(versions)[_SHOWN_VERSIONS:],
        shown=_SHOWN_VERSIONS,
        has_notes=any(info.note for info in versions),
    )


def _newest(versions: list[VersionInfo]) -> list[VersionInfo]:
    return versions[::-1]


async def _waiting_s(site: Site) -> float:
    """Return for how long the oldest event that the version in force does not know has waited; 0: none does."""
    services = site.services
    first = await services.history.first_after(services.live.position)
    return 0.0 if first is None else max(time.time() - milliseconds_of(first) / 1000, 0.0)


def _in_words(site: Site, name: str) -> str:
    """Return what a policy of a name is."""
    config = site.services.settings.config
    if name == TOLD:
        return "another router, as it tells"
    if name == BEST_CONSTANT:
        return "the arm that has been best so far, whatever is asked"
    challenger = config.tournament.challenger(name)
    policy = config.policy if challenger is None else challenger.policy
    return f"{policy.name}, as configured" if name == CONFIGURED else policy.name


def _standings(site: Site, ramp: Ramp, contenders: Mapping[str, Mapping[str, Any] | None]) -> list[Standing]:
    colors = policy_colors([ramp.champion, *site.services.settings.config.tournament.rules().known])
    return [
        Standing(
            name=name,
            what=_in_words(site, name),
            color=colors.get(name, OTHERS),
            verdict=verdict,
            is_barred=name in ramp.barred,
            is_trying=name == ramp.challenger,
        )
        for name, verdict in contenders.items()
    ]


def _intervals(standings: list[Standing]) -> Figure | None:
    """Return the differences to who decides, in points; None where nothing is known of any."""
    rows = []
    for standing in standings:
        verdict = standing.verdict
        if verdict is None or verdict["difference"] is None:
            continue
        ends = (_POINTS * verdict[end] for end in ("difference", "low", "high"))
        value, low, high = ends
        rows.append(
            IntervalRow(
                standing.name, value, low, high, color=standing.color,
                hollow=not (verdict["better"] or verdict["worse"]), note=standing.known[0],
            )
        )  # fmt: skip
    if not rows:
        return None
    reach = max(
        5.0, *(min(abs(end), _WIDEST) for row in rows for end in (row.value, row.low, row.high) if math.isfinite(end))
    )
    axis = Axis("points a round", low=-1.05 * reach, high=1.05 * reach)
    alt = (
        "What each contender would have earned a round beyond who decides, in points, with its anytime-valid interval."
    )
    caption = (
        "One point is .01 of reward minus penalty. Lines are intervals that hold at every look; hollow: no difference "
        "is shown."
    )
    return Figure(Intervals(alt, axis, rows, reference=0.0, reference_label="who decides"), caption=caption)
