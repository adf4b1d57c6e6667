"""Which of the routes beside chat a request is for."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from highwayman.env.pool.pool_file import NamedModel
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.completions.requests.request import PARSERS
from highwayman.serving.config.resources.limits import LimitsConfig
from highwayman.serving.http.asgi import Receive, Scope, Send
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.errors import OnError
from highwayman.serving.http.routes.paths import DEPLOYMENT
from highwayman.serving.protocols.endpoint import PROTOCOLS, ProtocolEndpoint
from highwayman.serving.protocols.named_models import NamedModelEndpoint
from highwayman.serving.protocols.translated_send import ErrorSend
from highwayman.serving.wiring.routing import upstream_timeouts
from highwayman.serving.wiring.settings import Settings


@dataclass(frozen=True, slots=True)
class ProtocolMatch:
    """A request that has found its route."""

    answer: Callable[[Scope, Receive, Send, Principal], Awaitable[None]]
    send: Send  # through which errors go out as the protocol writes them, wherever they come from


class ProtocolRoutes:
    """Knows the routes."""

    def __init__(self, protocols: ProtocolEndpoint, named: NamedModelEndpoint) -> None:
        """Take what answers other protocols, and what hands requests to models that are asked by name."""
        self._protocols = protocols
        self._named = named

    def follow(self, models: Sequence[NamedModel], limits: LimitsConfig) -> None:
        """Go on with other models that are asked by name, and other limits."""
        self._protocols.follow(limits.body_bytes)
        self._named.follow(models, limits.body_bytes, upstream_timeouts(limits))

    def names(self) -> list[str]:
        """Return the names of models that are asked by name."""
        return self._named.names()

    def match(self, scope: Scope, send: Send) -> ProtocolMatch | None:
        """Return the route that a request is for, None if it is none of these."""
        protocol = PROTOCOLS.get(scope["path"])
        if protocol is not None:
            told = send if protocol.error is None else ErrorSend(send, protocol)
            return ProtocolMatch(partial(self._protocols, protocol=protocol), told)
        if DEPLOYMENT in scope and scope["path"] in PARSERS:
            return ProtocolMatch(partial(self._protocols, protocol=None), send)
        return ProtocolMatch(self._named, send) if self._named.matches(scope) else None


@asynccontextmanager
async def open_protocols(
    settings: Settings,
    completions: CompletionsEndpoint,
    bodies: BodyReader,
    *,
    on_error: OnError,
    guard: DataGuard | None,
    quotas: QuotaGate,
) -> AsyncIterator[ProtocolRoutes]:
    """Yield the routes; what they hold open is closed on leaving. `on_error` is told the codes of errors;
    `guard` knows which data may go where, None: anything goes anywhere; `quotas` counts what callers take.
    """
    limits = settings.config.limits
    protocols = ProtocolEndpoint(
        completions,
        bodies=bodies,
        body_limit_bytes=limits.body_bytes,
        drain=settings.drain,
        on_error=on_error,
    )
    named = NamedModelEndpoint(
        settings.named,
        bodies=bodies,
        body_limit_bytes=limits.body_bytes,
        limits=upstream_timeouts(limits),
        drain=settings.drain,
        on_error=on_error,
        guard=guard,
        quotas=quotas,
    )
    await named.start()
    try:
        yield ProtocolRoutes(protocols, named)
    finally:
        await named.close()
