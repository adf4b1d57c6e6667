"""Why: what kinds of query there are, who gets them, what is expected of whom, and what moved it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals, Marker, Shares
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.insight.kinds.reader import KindsReader

_Z95: Final = 1.959963984540054
_WORDS: Final = "words"
_LEAST: Final = 30  # decisions, before which kinds are chance


@dataclass(frozen=True, slots=True)
class KindSection:
    """A kind of query as the page shows it."""

    kind: Mapping[str, Any]
    leader: str  # the arm that gets most of it now
    shares: Figure
    expected: Figure


def routes(site: Site, reader: KindsReader) -> list[Route]:
    """Return the page's route."""

    async def show(request: Request) -> Response:
        told = (await reader.look(site.tenant(request))).kinds
        groups = {group["by"]: group["kinds"] for group in told["groups"]}
        by = request.query_params.get("by", "")
        by = by if by in groups else next((name for name in (_WORDS, *groups) if name in groups), "")
        sections = [_section(site, kind) for kind in groups.get(by, ()) if told["decisions"] >= _LEAST]
        return site.page(
            request,
            "why.html.j2",
            told=told,
            by=by,
            groups=list(groups),
            sections=sections,
            colors=site.colors(),
            least=_LEAST,
        )

    return [Route(f"{ROOT}/why", show)]


def _section(site: Site, kind: Mapping[str, Any]) -> KindSection:
    arms = {name: kind["arms"][name] for name in site.arm_names() if name in kind["arms"]}
    leader = max(arms, key=lambda name: arms[name]["share_now"] or 0.0, default="")
    return KindSection(kind, leader, _shares(site, kind, list(arms)), _expected(site, kind, arms))


def _shares(site: Site, kind: Mapping[str, Any], names: Sequence[str]) -> Figure:
    """Return who got it over time, with what happened meanwhile."""
    spans, colors = kind["over_time"], site.colors()
    at = [span["begin"] for span in spans] + [span["end"] for span in spans[-1:]]
    parts = {}
    for name in names:
        counts = [float(span["arms"].get(name, 0)) for span in spans]
        parts[name] = [*counts, *counts[-1:]]
    markers = [Marker(event["at"], event["words"]) for event in kind["moved"]["events"]]
    alt = f"{kind['name']}: share of each arm over time. {kind['moved']['words']}"
    shown = {name: colors[name] for name in names}
    return Figure(Shares(alt, Axis(unit="time"), at, parts, shown, markers, height=170), legend=shown)


def _expected(site: Site, kind: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return what quality the policy in force expects of each arm here."""
    rows, colors = [], site.colors()
    for name, arm in arms.items():
        mean, deviation = (math.nan if arm[key] is None else arm[key] for key in ("expected_quality", "deviation"))
        low, high = max(mean - _Z95 * deviation, 0.0), min(mean + _Z95 * deviation, 1.0)
        preferred = name == kind["preferred"]
        note = "preferred here, after what it costs" if preferred else ""
        mean = min(max(mean, 0.0), 1.0)  # a belief may lie outside, where quality does not: the table says where
        rows.append(IntervalRow(name, mean, low, high, colors[name], hollow=not preferred, note=note))
    alt = f"{kind['name']}: quality expected of each arm by the policy in force, with its 95% interval."
    return Figure(Intervals(alt, Axis("expected quality", low=0.0, high=1.0), rows))
