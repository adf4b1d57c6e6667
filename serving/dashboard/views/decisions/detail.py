"""One decision with all that is known of it, and the operator's own word on its answer."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from highwayman.env.data_class import told_by
from highwayman.env.encoder.features.tags import tag_places
from highwayman.env.errors import UnknownDecision
from highwayman.env.types import Decision
from highwayman.feedback.fold.join import attribute_reward
from highwayman.feedback.intake.decision_ids import without_prefix
from highwayman.feedback.log.record import Record
from highwayman.feedback.trust.principal import FEEDBACK
from highwayman.pages.palette import INK
from highwayman.serving.auth.admission import caller_of
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.views.decisions.candidates import beliefs_figure, draw_shown
from highwayman.serving.dashboard.views.decisions.course import steps
from highwayman.serving.dashboard.views.decisions.operator import say_thumb, thumb_of
from highwayman.serving.dashboard.views.decisions.rows import by_day, rows
from highwayman.serving.dashboard.views.decisions.statements import reward_figure, statements
from highwayman.serving.decisions.explanation import explained

_MOST_TURNS: Final = 50  # that are shown of a conversation, the latest


async def decision(site: Site, request: Request) -> Response:
    """Return the page. Raises UnknownDecision, StoreUnavailable."""
    record = await record_of(site, request)
    attributed = attribute_reward(record, site.services.spec)
    if record.decision is None or attributed is None:
        raise UnknownDecision("This decision is not known any more.")
    said = statements(record, site.services.spec)
    numbers = explained(record, site.services)
    colors = site.colors()
    return site.page(
        request,
        "decisions/decision.html.j2",
        decision=record.decision,
        outcome=record.outcome,
        served=record.served_arm(),
        colors=colors,
        explained=numbers,
        left_out=_by_reason(numbers["left_out"]),
        draw=draw_shown(record.decision, colors),
        beliefs=beliefs_figure(numbers, colors),
        steps=steps(record.outcome),
        said=said,
        reward=attributed.reward if attributed.reward.weight else None,
        rewards=reward_figure(said, colors.get(record.served_arm(), INK)),
        turns=by_day(rows(await _turns(site, record.decision), site.services.spec)),
        thumb=thumb_of(site, request, record),
        may_say=FEEDBACK in caller_of(request).scopes,
        privacy=told_by(record.decision.context.flags),
        tags=_tags(site, record.decision),
        query=f"?{request.url.query}" if request.url.query else "",
    )


async def thumb(site: Site, request: Request) -> Response:
    """File the thumb that a form sends, and return to the page. Raises what `say_thumb` raises."""
    form = await form_of(request)
    decision_id = request.path_params["decision_id"]
    await say_thumb(site, request, decision_id, form.get("value", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{ROOT}/decisions/{decision_id}{query}#said", 303)


async def record_of(site: Site, request: Request) -> Record:
    """Return the record of the decision that a path names. Raises UnknownDecision, StoreUnavailable."""
    decision_id = without_prefix(request.path_params["decision_id"])
    site.services.ids.verify(decision_id, site.tenant(request))
    return await site.services.store.record(decision_id)


async def _turns(site: Site, decision: Decision) -> list[Record]:
    """Return the records of other decisions that share an id which the client gave, oldest first."""
    store = site.services.store
    linked = await store.linked_decisions_of(decision.links)
    names = dict.fromkeys(name for names in linked.values() for name in names if name != decision.id)
    records = (await store.records([*names][-_MOST_TURNS:])).values()
    known = [(record.decision.at, record) for record in records if record.decision and record.erased_id is None]
    return [record for _, record in sorted(known, key=lambda pair: pair[0])]


def _by_reason(left_out: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Return the arms that were left out, by why."""
    arms: dict[str, list[str]] = {}
    for arm, why in left_out.items():
        arms.setdefault(why, []).append(arm)
    return arms


def _tags(site: Site, decision: Decision) -> Mapping[str, Any]:
    """Return each tag's level: by name where levels are declared, else by its column."""
    levels = {tag.name: (*tag.levels, "another") for tag in site.services.tags.declared if tag.levels}
    return {
        name: levels[name][place] if place < len(levels.get(name, ())) else f"column {place}"
        for name, place in tag_places(decision.context).items()
    }
