"""What every page of the dashboard is made with: the running services, the templates, and the frame around it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse

from highwayman import __version__
from highwayman.pages.assets import Assets
from highwayman.pages.document import environment
from highwayman.pages.palette import arm_colors
from highwayman.serving.auth.admission import caller_of, tenant_of
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.dashboard.security import HEADERS
from highwayman.serving.services import Services

ROOT: Final = "/dashboard"
PACKAGE: Final = "highwayman.serving.dashboard"

# The pages in the order of the rail: path and name.
PAGES: Final[Mapping[str, str]] = {
    "": "Overview",
    "why": "Why",
    "arms": "Arms",
    "map": "Map",
    "decisions": "Decisions",
    "policies": "Policies",
    "budget": "Budget",
    "feedback": "Feedback",
    "privacy": "Privacy",
    "audit": "Audit",
    "playground": "Playground",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Makes pages."""

    services: Services
    completions: CompletionsEndpoint
    assets: Assets
    templates: Environment

    def page(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page within the frame; `context` is what its template names beside what the frame needs.

        What is live on it is fetched as the whole page, too, and picked out by the browser.
        """
        path = request.url.path.removeprefix(ROOT).strip("/")
        rendered = self.templates.get_template(template).render(
            root=ROOT,
            pages=PAGES,
            current=path.partition("/")[0],
            address=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            version=__version__,
            caller=caller_of(request),
            tenant=self.tenant(request),
            to=lambda path="", **parts: address(path, self.tenant_named(request), **parts),
            needs_key=not self.services.authenticator.is_open,
            now=time.time(),
            **context,
        )
        return HTMLResponse(rendered, status_code=status, headers=HEADERS)

    def tenant(self, request: Request) -> str:
        """Return whose decisions and numbers are shown. Raises Forbidden."""
        return tenant_of(request)

    def tenant_named(self, request: Request) -> str:
        """Return whose decisions and numbers are shown where they are not the caller's own, else nothing."""
        tenant = self.tenant(request)
        return "" if tenant == caller_of(request).tenant else tenant

    def arm_names(self) -> list[str]:
        """Return the arms in the pool's order, then those that only the log knows: the order everywhere."""
        return list(dict.fromkeys([*self.services.pool.arms, *self.services.live.tally.arms]))

    def colors(self) -> Mapping[str, str]:
        """Return each arm's color."""
        return arm_colors(self.arm_names())


def address(path: str, tenant: str = "", **parts: str) -> str:
    """Return where a page of the dashboard is; a tenant that is named stays so on all that is gone to."""
    query = urlencode({**parts, "tenant": tenant} if tenant else parts)
    return f"{ROOT}{path}" + (f"?{query}" if query else "")


def build_site(services: Services, completions: CompletionsEndpoint) -> Site:
    """Return the site, its files read."""
    assets = Assets(PACKAGE)
    return Site(services, completions, assets, environment(assets, PACKAGE, static=f"{ROOT}/static"))
