"""What stands beside an answer: how it was decided, a thumb, and how the beliefs of its query move."""

from starlette.requests import Request
from starlette.responses import Response

from highwayman.bandit.policy import LearnsPreferences
from highwayman.env.errors import UnknownDecision
from highwayman.env.types import Decision
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.log.event_id import sort_key
from highwayman.feedback.log.record import Record
from highwayman.feedback.trust.principal import FEEDBACK
from highwayman.serving.auth.admission import caller_of
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.site import Site
from highwayman.serving.dashboard.views.decisions.candidates import draw_shown
from highwayman.serving.dashboard.views.decisions.course import steps
from highwayman.serving.dashboard.views.decisions.detail import record_of
from highwayman.serving.dashboard.views.decisions.operator import SOURCE, say, say_thumb, thumb_of
from highwayman.serving.dashboard.views.playground.movement import QueryBeliefs, movements
from highwayman.serving.decisions.explanation import believed_quality, explained
from highwayman.serving.http.validation import BadRequest

_PREFERENCES = {"this": 1.0, "neither": 0.5, "other": 0.0}


async def about(site: Site, request: Request, before: QueryBeliefs | None = None) -> Response:
    """Return the part of the page; `before` is what was believed before a thumb, as the address says if not given.

    Raises UnknownDecision, StoreUnavailable.
    """
    record = await record_of(site, request)
    if record.decision is None or record.erased_id is not None:
        raise UnknownDecision("This decision is not known any more.")
    now = _beliefs(site, record.decision)
    arms = list(site.services.pool.arms)
    before = before or QueryBeliefs.from_text(request.query_params.get("before", ""), len(arms))
    colors, is_learned = site.colors(), _is_learned(site, record)
    return site.page(
        request,
        "playground/about.html.j2",
        decision=record.decision,
        outcome=record.outcome,
        served=record.served_arm(),
        explained=explained(record, site.services),
        steps=steps(record.outcome),
        draw=draw_shown(record.decision, colors),
        colors=colors,
        movements=movements(arms, now, before),
        before=before,
        is_learned=is_learned,
        waits=record.outcome is None or (before is not None and not is_learned),
        thumb=thumb_of(site, request, record),
        may_say=FEEDBACK in caller_of(request).scopes,
    )


async def thumb(site: Site, request: Request) -> Response:
    """File a thumb, and return the part of the page. Raises what `say_thumb` raises."""
    form = await form_of(request)
    decision = (await record_of(site, request)).decision
    before = None if decision is None else _beliefs(site, decision)
    await say_thumb(site, request, request.path_params["decision_id"], form.get("value", ""))
    return await about(site, request, before)


async def prefer(site: Site, request: Request) -> Response:
    """File which of two answers is better, and return what it does. Raises BadRequest, and what `say` raises."""
    form = await form_of(request)
    value = _PREFERENCES.get(form.get("value", ""))
    if value is None:
        raise BadRequest(f"value: must be one of {', '.join(_PREFERENCES)}.", param="value", status=422)
    target = FeedbackTarget(form.get("decision_id", ""))
    await say(site, request, FeedbackSubmission(target, "preference", value, compared_decision_id=form.get("other")))
    live = site.services.live
    learns = isinstance(live.policy_for(site.tenant(request)), LearnsPreferences)
    return site.page(request, "playground/preferred.html.j2", learns=learns, policy=site.services.router.policy_name)


def _beliefs(site: Site, decision: Decision) -> QueryBeliefs:
    """Return what the version in force expects of each arm of the pool, candidate or not, for a decision's query."""
    services = site.services
    return QueryBeliefs(services.live.version, *believed_quality(decision, list(services.pool.arms), services))


def _is_learned(site: Site, record: Record) -> bool:
    """Return whether the version in force has what the operator said last of an answer."""
    said = [event_id for event_id, feedback in record.feedback.items() if feedback.source == SOURCE]
    return not said or max(map(sort_key, said)) <= sort_key(site.services.live.position)
