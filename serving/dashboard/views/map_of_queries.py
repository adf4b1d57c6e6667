"""Map: where queries lie, and which arm is preferred there."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.pages.charts import Axis, Figure, Point, Scatter
from highwayman.pages.formats import number
from highwayman.pages.palette import INK, OTHERS
from highwayman.serving.dashboard.site import ROOT, Site, address
from highwayman.serving.insight.kinds.reader import KindsReader

_POINTS: Final = 1_000
_SHOWN: Final = 160  # letters of a prompt, where prompts are stored


def routes(site: Site, reader: KindsReader) -> list[Route]:
    """Return the page's route."""

    async def show(request: Request) -> Response:
        told = (await reader.look(site.tenant(request))).map
        points = told["points"][-_POINTS:]
        by_drawn = request.query_params.get("by") == "drawn"
        stored = any(point["prompt"] for point in points)
        shown, by = {**told, "points": points}, "arm" if by_drawn else "preferred"
        figure = _map(site, shown, by, tenant=site.tenant_named(request)) if points else None
        return site.page(request, "map.html.j2", map=figure, by_drawn=by_drawn, stored=stored, kinds=told["kinds"])

    return [Route(f"{ROOT}/map", show)]


def _map(site: Site, told: Mapping[str, Any], by: str, *, tenant: str) -> Figure:
    """Return the map, its dots colored by the arm preferred or drawn, each kind named at its middle.

    Dots lead to their decisions, of the `tenant` if one is named.
    """
    colors, names = site.colors(), {kind["id"]: kind["name"] for kind in told["kinds"]}
    dots = [
        Point(
            point["x"],
            point["y"],
            f"{point[by]}{'' if point['quality'] is None else ', rated ' + number(point['quality'])}",
            colors.get(point[by], OTHERS),
            group="\n".join(filter(None, (names.get(point["kind"], ""), (point["prompt"] or "")[:_SHOWN]))),
            href=address(f"/decisions/{point['id']}", tenant),
            labelled=False,
        )
        for point in told["points"]
    ]
    middles = [point for kind, name in names.items() if (point := _middle(told, kind, name)) is not None]
    shown = {name: colors[name] for name in site.arm_names() if any(point[by] == name for point in told["points"])}
    alt = f"{len(dots)} queries in two dimensions, near where they are alike, colored by the arm {_SAID[by]}."
    return Figure(Scatter(alt, Axis(), Axis(), [*dots, *middles], height=560, bare=True), legend=shown)


_SAID: Final = {"preferred": "preferred by now", "arm": "that was drawn"}


def _middle(told: Mapping[str, Any], kind: str, name: str) -> Point | None:
    own = [point for point in told["points"] if point["kind"] == kind]
    if not own:
        return None
    x, y = (sum(point[axis] for point in own) / len(own) for axis in ("x", "y"))
    return Point(x, y, name, INK, shape="cross", group=f"{len(own)} queries")
