"""`/v1/chat/completions` and `/v1/completions` as bare ASGI: from the request's bytes to its call."""

import asyncio
from dataclasses import replace

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Query
from highwayman.feedback.trust.principal import ANSWERS, Principal
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache
from highwayman.serving.completions.answer_cache.answer_key import AskedBy
from highwayman.serving.completions.calls.proxy_dependencies import ProxyDependencies
from highwayman.serving.completions.cascade import CascadedCompletion
from highwayman.serving.completions.conversations.conversations import ConversationTracker, Turn
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.privacy.restoring_send import RestoringSend
from highwayman.serving.completions.proxy import ProxiedCompletion
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.completions.requests.request import PARSERS, CompletionRequest, RequestParser
from highwayman.serving.completions.requests.routing_options import (
    RoutingOptions,
    parse_cache_control,
    parse_routing_options,
)
from highwayman.serving.completions.requests.tag_reader import TagReader
from highwayman.serving.completions.routing.cascades import Cascades
from highwayman.serving.completions.routing.decision_records import RequestOrigin
from highwayman.serving.completions.routing.route import Route
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.http.asgi import (
    HAS_ROOM,
    RESPOND,
    WRITE_PART,
    ClientDisconnected,
    Headers,
    Receive,
    ResponseStartTracker,
    Scope,
    Send,
)
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.client_ids import LinkExtractor
from highwayman.serving.http.disconnect import DISCONNECT, Disconnect
from highwayman.serving.http.drain import tell_cut
from highwayman.serving.http.errors import Forbidden, RouteNotFound, send_error, send_fault

QUOTA_HEADERS = "highwayman.quota_headers"  # in the scope of a request that has limits: what tells of them
LIMIT_IS_CEILING = "highwayman.limit_is_ceiling"  # in the scope of a request whose protocol wants a limit always


class CompletionsEndpoint:
    """Routes and answers requests for completions."""

    def __init__(  # noqa: PLR0913  (one for each part)
        self,
        router: Router,
        dependencies: ProxyDependencies,
        links: LinkExtractor,
        conversations: ConversationTracker,
        *,
        tags: TagReader,
        cascades: Cascades | None,
        bodies: BodyReader,
        body_limit_bytes: int,
        answers: AnswerCache | None = None,
        guard: DataGuard | None = None,
        quotas: QuotaGate | None = None,
    ) -> None:
        """Take what decides, calls, reads the client's own ids, tags and bodies, and who knows the turn before.

        `cascades` is what looks at answers before they are passed on; None: nothing does.
        `body_limit_bytes` is the largest body accepted; `answers` are those that may be given again, None: none.
        `guard` says how confidential a request is, None: nobody has rules for that.
        `quotas` counts what callers take, None: nobody does.
        """
        self._bodies = bodies
        self._router = router
        self._dependencies = dependencies
        self._links = links
        self._tags = tags
        self._cascades = cascades
        self._conversations = conversations
        self.body_limit_bytes = body_limit_bytes
        self._answers = answers
        self._guard = guard
        self._quotas = quotas

    def follow(self, *, cascades: Cascades | None, body_limit_bytes: int) -> None:
        """Go on with these for the requests to come."""
        self._cascades, self.body_limit_bytes = cascades, body_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        """Answer one request, or tell that it was cut where the router ends before."""
        dependencies, extensions = self._dependencies, scope["extensions"]
        drain, metrics = dependencies.drain, dependencies.metrics
        disconnect: Disconnect = extensions[DISCONNECT]
        begun = ResponseStartTracker(
            send, extensions.get(HAS_ROOM), respond=extensions.get(RESPOND), write_part=extensions.get(WRITE_PART)
        )
        task, prepared = drain.enter(), None
        metrics.in_flight.inc()
        try:
            prepared = await self._prepared(scope, receive, begun, principal)
            if prepared is not None:
                call, out = prepared
                disconnect.begin_telling(task.cancel)
                try:
                    await call.run(out)
                finally:
                    disconnect.end_telling(task.cancel)
        except asyncio.CancelledError:
            # A client that hangs up ends its call, and no more; not a decision, which is soon made.
            if prepared is None or not disconnect.has_happened or task.uncancel():
                if not drain.is_cut:
                    raise
                await tell_cut(begun, metrics.on_error)
        except Exception as error:
            await send_fault(None if begun else begun, error, metrics.on_error, doing="answer a request")
        finally:
            metrics.in_flight.dec()
            drain.leave(task)

    async def _prepared(
        self, scope: Scope, receive: Receive, send: ResponseStartTracker, principal: Principal
    ) -> tuple[ProxiedCompletion, Send] | None:
        """Return the call of a request, and through what its answer goes out; None: the client was told why not."""
        on_error = self._dependencies.metrics.on_error
        try:
            request, options, started = await self.read(scope, receive, principal, PARSERS[scope["path"]])
            route, turn, request = await self.decide(scope, request, options, principal=principal, started=started)
        except ClientDisconnected:
            return None
        except HighwaymanError as error:
            await send_error(send, error, on_error)
            return None
        except Exception as error:  # a client gets an answer, whatever it is
            await send_fault(send, error, on_error, doing="route a request")
            return None
        send.headers = scope.get(QUOTA_HEADERS, ())
        out = send if turn.keys is None else self._conversations.recording(turn, send, route.decision.id)
        if request.placeholders:
            out = RestoringSend(out, request.placeholders)
        if route.cascade is None:
            return ProxiedCompletion(self._dependencies, request, route, path=scope["path"]), out
        return CascadedCompletion(self._dependencies, request, route, route.cascade, path=scope["path"]), out

    async def read(
        self, scope: Scope, receive: Receive, principal: Principal, parse: RequestParser
    ) -> tuple[CompletionRequest, RoutingOptions, float]:
        """Return what a client asks for, what it wants of this request, and when the body was there, in monotonic s.

        Raises:
            Forbidden: the key may not ask for answers.
            RouteNotFound: it is no POST.
            BadRequest: the body or a header cannot be followed.
            RateLimited: the key or its tenant has no requests left.
        """
        if ANSWERS not in principal.scopes:
            raise Forbidden("This API key may not ask for answers.")
        if scope["method"] != "POST":
            raise RouteNotFound(f"{scope['path']} takes POST only.", status=405)
        if self._quotas is not None:
            self._quotas.check(principal)
        raw = await self._bodies.receive(scope, receive, limit_bytes=self.body_limit_bytes)
        started = self._dependencies.timer()
        request = await self._bodies.read(raw, lambda: parse(raw, self._bodies.limits))
        return request, parse_routing_options(scope), started

    async def decide(
        self,
        scope: Scope,
        request: CompletionRequest,
        options: RoutingOptions,
        *,
        principal: Principal,
        started: float,
        delegated: bool = False,
    ) -> tuple[Route, Turn, CompletionRequest]:
        """Return how a request is answered, where it stands in its conversation, and the request as it goes on.

        `delegated`: the client calls the arm itself, so no answer is looked at, and no stored one is given. Raises what
        `Router.route` does, and RateLimited where a limit does not allow it.
        """
        turn = await self._conversations.turn(request, scope, principal.tenant)
        # A client's own task carries the ids of the answer beside it: what is said under them does not mean the task.
        task = turn.continuation.is_client_task
        links = () if task else self._links(scope, request.body, principal.tenant)
        origin = RequestOrigin(principal.tenant, request.user, links)
        tags = self._tags.read(scope, request.body, principal) if self._tags.declared else ()
        if self._guard is not None:
            request = await self._guard.clear(request, scope, principal, redacts=not delegated)
        if LIMIT_IS_CEILING in scope:
            request = replace(request, query=replace(request.query, limit_is_ceiling=True))
        query = replace(request.query, tags=tags) if tags else request.query
        cached, cascade = None, None
        may_look_up = self._answers is not None and not (task or delegated)
        if may_look_up and self._guard is not None:
            may_look_up = self._guard.may_look_up(request)
        if self._answers is not None and may_look_up and request.model not in self._router.pool.arms:
            asked_by = AskedBy(principal.tenant, options.alias or request.model, query.tags)
            request, cached = await self._answers.look_up(request, asked_by, parse_cache_control(scope))
            query = replace(query, tags=(*query.tags, *cached.tags)) if cached is not None else query
        if self._cascades is not None and not delegated:
            cascade = self._cascades.offer(request, options, principal.tenant)
        route = await self._router.route(
            request.model,
            query,
            options=options,
            origin=origin,
            continuation=turn.continuation,
            cascade=cascade,
            cached=cached,
        )
        if self._quotas is not None and self._quotas.limits(principal):
            scope[QUOTA_HEADERS] = await self._admitted(self._quotas, principal, route, query)
        self._dependencies.metrics.on_decision(route.decision, self._dependencies.timer() - started)
        if turn.continuation.holder is not None:
            self._dependencies.metrics.on_turn(route.decision, turn.continuation.holder)
        return route, turn, request

    async def _admitted(self, quotas: QuotaGate, principal: Principal, route: Route, query: Query) -> Headers:
        """Take from a caller's limits what a call is expected to need; it is as if it was not decided if that fails."""
        tokens, usd, is_admitted = 0, 0.0, False
        try:
            if quotas.is_metered(principal):
                tokens, usd = self._router.expected_use(route.decision, query)
            headers = await quotas.admit(principal, route.decision.id, tokens=tokens, usd=usd)
            is_admitted = True
        finally:
            if not is_admitted:
                self._router.funds.give_back(route.decision)
        return headers
