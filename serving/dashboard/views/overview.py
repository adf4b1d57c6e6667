"""Overview: whether the router earns its keep, in ten seconds."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.pages.charts import Axis, Figure, Interval, Intervals
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.views import savings_view


def routes(site: Site) -> list[Route]:
    """Return the page's route."""

    async def overview(request: Request) -> Response:
        return site.page(
            request,
            "overview.html.j2",
            totals=site.services.live.tally.totals(),
            quality=_quality(site),
            savings=savings_view(site.services, site.tenant(request)),
        )

    return [Route(ROOT, overview), Route(f"{ROOT}/", overview)]


def _quality(site: Site) -> Figure:
    """Return every arm's quality over the whole log, with its interval."""
    colors, rows = site.colors(), []
    for name in site.arm_names():
        mean, low, high = site.services.live.tally.arm(name).quality()
        value = float("nan") if mean is None else mean
        rows.append(Interval(name, value, low, high, color=colors[name], hollow=mean is None))
    alt = "Quality of each arm's rated answers with its 95% interval."
    return Figure(Intervals(alt, Axis("quality", low=0.0, high=1.0), rows), caption="Lines are 95% intervals.")
