"""What answers requests while the server runs, put together from its services."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from highwayman.serving.auth.rate_limit import RateLimit
from highwayman.serving.completions.delegated.apprentice import Apprentice
from highwayman.serving.completions.delegated.endpoints import DelegatedEndpoints
from highwayman.serving.completions.delegated.route_view import RouteView
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.dashboard.entry import Dashboard
from highwayman.serving.feedback.endpoints import FeedbackEndpoints
from highwayman.serving.feedback.vote_page import VotePage
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.insight.kinds.reader import KindsReader
from highwayman.serving.protocols.routes import ProtocolRoutes, open_protocols
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.services import Services
from highwayman.serving.wiring.settings import Settings


@dataclass(frozen=True, slots=True)
class Handlers:
    """All that requests are handed to, but for FastAPI's routes."""

    services: Services
    completions: CompletionsEndpoint
    protocols: ProtocolRoutes
    delegated: DelegatedEndpoints
    feedback: FeedbackEndpoints
    dashboard: Dashboard
    kinds: KindsReader
    bodies: BodyReader
    feedback_rate: RateLimit

    def follow(self, live: LiveConfig) -> None:
        """Go on with a configuration that has changed."""
        config = live.config
        self.bodies.follow(config.limits.body_limits(), patience_s=config.limits.body_s)
        self.feedback_rate.follow(config.feedback.posts_per_s)
        cascades = self.services.build_cascades(config)
        self.completions.follow(cascades=cascades, body_limit_bytes=config.limits.body_bytes)
        self.protocols.follow(live.loaded.pool.named, config.limits)


@asynccontextmanager
async def open_handlers(settings: Settings, services: Services) -> AsyncIterator[Handlers]:
    """Yield them; what they hold open is closed on leaving."""
    config = settings.config
    bodies = BodyReader(config.limits.body_limits(), patience_s=config.limits.body_s)
    completions = _completions(services, bodies, body_limit_bytes=config.limits.body_bytes)
    kinds = KindsReader(services)
    feedback_rate = RateLimit(config.feedback.posts_per_s)
    try:
        async with open_protocols(
            settings,
            completions,
            bodies,
            on_error=services.metrics.on_error,
            guard=services.guard,
            quotas=services.quotas,
        ) as protocols:
            yield Handlers(
                services,
                completions,
                protocols,
                _delegated(services, completions, bodies, settings),
                _feedback(services, bodies, feedback_rate),
                Dashboard(services, completions, kinds),
                kinds,
                bodies,
                feedback_rate,
            )
    finally:
        bodies.close()


def _completions(services: Services, bodies: BodyReader, *, body_limit_bytes: int) -> CompletionsEndpoint:
    return CompletionsEndpoint(
        services.router,
        services.proxy_dependencies,
        services.feedback.links,
        services.conversations,
        tags=services.tags,
        cascades=services.cascades,
        bodies=bodies,
        body_limit_bytes=body_limit_bytes,
        answers=services.answers,
        guard=services.guard,
        quotas=services.quotas,
    )


def _delegated(
    services: Services, completions: CompletionsEndpoint, bodies: BodyReader, settings: Settings
) -> DelegatedEndpoints:
    return DelegatedEndpoints(
        completions,
        RouteView(services.router, settings.config.limits.feedback_window_s),
        Apprentice(services.router, settings.config.tournament.champion),
        services.outcomes,
        services.journal,
        services.conversations,
        services.metrics,
        bodies,
    )


def _feedback(services: Services, bodies: BodyReader, rate: RateLimit) -> FeedbackEndpoints:
    return FeedbackEndpoints(
        services.feedback.service,
        services.feedback.adapters,
        VotePage(services.ids),
        rate,
        bodies=bodies,
        clock=time.time,
        on_error=services.metrics.on_error,
    )
