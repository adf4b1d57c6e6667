"""`/v1/route` and `/v1/outcomes` as bare ASGI, for those who call models themselves."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pydantic_core

from highwayman.env.errors import HighwaymanError, UnknownArm
from highwayman.env.types import JsonObject
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.trust.principal import ANSWERS, Principal
from highwayman.serving.completions.conversations.conversations import ConversationTracker, Turn
from highwayman.serving.completions.delegated.apprentice import Apprentice
from highwayman.serving.completions.delegated.outcomes import OutcomeService, delegated, parse_outcome
from highwayman.serving.completions.delegated.route_view import OUTCOMES_PATH, RouteView
from highwayman.serving.completions.delegated.told import ToldChoice, as_drawn, parse_told, without_draw
from highwayman.serving.completions.endpoint import QUOTA_HEADERS, CompletionsEndpoint
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from highwayman.serving.completions.routing.route import Route
from highwayman.serving.http.asgi import JSON, ClientDisconnected, Receive, Scope, Send, send_response
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.errors import Forbidden, RouteNotFound, send_error, send_fault
from highwayman.serving.metrics import Metrics

ROUTE_PATH = "/v1/route"

_Decide = Callable[[CompletionRequest, RoutingOptions], Awaitable[tuple[Route, Turn]]]


@dataclass(frozen=True, slots=True)
class DelegatedEndpoints:
    """Decides without calling, and takes in what came of it."""

    completions: CompletionsEndpoint
    view: RouteView
    apprentice: Apprentice
    outcomes: OutcomeService
    journal: Journal
    conversations: ConversationTracker
    metrics: Metrics
    bodies: BodyReader

    @staticmethod
    def matches(scope: Scope) -> bool:
        """Return whether the request is for one of its paths."""
        return scope["type"] == "http" and scope["path"] in (ROUTE_PATH, OUTCOMES_PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        """Answer one request."""
        handle = self._route if scope["path"] == ROUTE_PATH else self._complete
        try:
            await handle(scope, receive, send, principal)
        except ClientDisconnected:
            return
        except HighwaymanError as error:
            await send_error(send, error, self.metrics.on_error)
        except Exception as error:  # a client gets an answer, whatever it is
            await send_fault(send, error, self.metrics.on_error, doing=f"answer {scope['path']}")

    async def _route(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        request, options, started = await self.completions.read(scope, receive, principal, parse_chat)
        told = parse_told(request.body)

        async def decide(request: CompletionRequest, options: RoutingOptions) -> tuple[Route, Turn]:
            route, turn, _ = await self.completions.decide(
                scope, request, options, principal=principal, started=started, delegated=True
            )
            self.view.router.funds.give_back(route.decision)
            return route, turn

        route, turn = await (decide(request, options) if told is None else self._told(told, request, options, decide))
        decision, guard = delegated(route.decision), self.outcomes.guard
        if guard is not None and guard.redacted:  # nobody has put placeholders into it: the caller sends it as it is
            decision = replace(decision, prompt=None)
        route = replace(route, decision=decision)
        await self.journal.submit(decision)
        shown: JsonObject = self.view(route, request)
        headers = (
            *JSON,
            (b"x-highwayman-decision", decision.id.encode()),
            (b"x-highwayman-arm", decision.arm.encode()),
            *scope.get(QUOTA_HEADERS, ()),
        )
        # Who holds the conversation from here on is remembered as for an answer of the router's.
        sending = self.conversations.recording(turn, send, decision.id)
        await send_response(sending, 200, pydantic_core.to_json(shown), headers)

    async def _told(
        self, told: ToldChoice, request: CompletionRequest, options: RoutingOptions, decide: _Decide
    ) -> tuple[Route, Turn]:
        """Return what another router decided as a decision here, drawn as it was drawn there, or else named."""
        known = self.view.router.pool.arms
        unknown = [arm for arm in (told.arm, *(told.probabilities or ())) if arm not in known]
        if unknown:
            raise UnknownArm(f"The arm {unknown[0]!r} is not in the pool. Known here: {', '.join(known)}.")
        if self.apprentice.decides:
            return await decide(request, options)
        if told.propensity is not None and request.model not in known:
            route, turn = await decide(request, replace(options, explore=False))
            drawn = as_drawn(route.decision, told)
            if drawn is not None:
                return replace(route, decision=self.apprentice.shared(drawn)), turn
        route, turn = await decide(replace(request, model=told.arm), options)
        return replace(route, decision=without_draw(route.decision)), turn

    async def _complete(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        if ANSWERS not in principal.scopes:
            raise Forbidden("This API key may not ask for answers, nor say what came of them.")
        if scope["method"] != "POST":
            raise RouteNotFound(f"{scope['path']} takes POST only.", status=405)
        raw = await self.bodies.receive(scope, receive, limit_bytes=self.completions.body_limit_bytes)
        told = await self.bodies.read(raw, lambda: parse_outcome(raw, self.bodies.limits))
        standing = await self.outcomes.take(told, scope, principal)
        await send_response(send, 200, pydantic_core.to_json(standing), JSON)
