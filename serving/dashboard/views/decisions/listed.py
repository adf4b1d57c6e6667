"""The list: decisions newest first, filtered by what stands in the address, a page at a time."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from highwayman.env.encoder.features.tags import Tag
from highwayman.env.types import Mode, Status
from highwayman.feedback.log.record import Record
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.views.decisions.rows import by_day, rows
from highwayman.serving.decisions.filters import DecisionFilter, parse_filter
from highwayman.serving.decisions.listing import newest_decisions
from highwayman.serving.http.validation import BadRequest

_LIMIT: Final = "30"
_PLACES: Final = frozenset({"after", "limit", "tenant"})  # parts of the address that choose among nothing


async def decisions(site: Site, request: Request) -> Response:
    """Return the page. Raises StoreUnavailable."""
    parts = {name: value for name, value in request.query_params.items() if value}
    tags = {tag.name: tag for tag in site.services.tags.declared}
    wanted, wrong = DecisionFilter(site.tenant(request)), ""
    records: Sequence[Record] = ()
    place = None
    try:
        wanted = parse_filter({"limit": _LIMIT, **parts}, wanted.tenant, tags)
        records, place = await newest_decisions(site.services.history, site.services.store, wanted)
    except BadRequest as error:
        wrong = str(error)
    return site.page(
        request,
        "decisions/list.html.j2",
        status=400 if wrong else 200,
        wrong=wrong,
        parts=parts,
        query=f"?{urlencode({'tenant': parts['tenant']})}" if "tenant" in parts else "",
        is_narrowed=not _PLACES.issuperset(parts),
        times={"since": _moment(wanted.since), "until": _moment(wanted.until)},
        choices=_choices(site, tags),
        days=by_day(rows(records, site.services.spec)),
        colors=site.colors(),
        older=None if place is None else _address({**parts, "after": place}),
        newest=_address({name: value for name, value in parts.items() if name != "after"}),
        everything=_address({name: value for name, value in parts.items() if name == "tenant"}),
    )


def _address(parts: Mapping[str, str]) -> str:
    return f"{ROOT}/decisions" + (f"?{urlencode(parts)}" if parts else "")


def _moment(at: float) -> str:
    """Return a time as a field for a date and a time has it, empty where there is none."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M}" if math.isfinite(at) else ""


def _choices(site: Site, tags: Mapping[str, Tag]) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return what each field offers: what stands in the address, and what is read."""
    statuses = [*(status.value for status in Status), "under_way"]
    return {
        "arm": [(name, name) for name in site.arm_names()],
        "mode": [(mode.value, mode.value) for mode in Mode],
        "status": [(status, status.replace("_", " ")) for status in statuses],
        "tag": [
            (f"{tag.name}:{level}" if level else tag.name, f"{tag.name}: {level or 'any'}")
            for tag in tags.values()
            for level in ("", *tag.levels)
        ],
        "feedback": [("true", "with some"), ("false", "without")],
    }
