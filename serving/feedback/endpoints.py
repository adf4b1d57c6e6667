"""Where feedback comes in, as bare ASGI: our own routes, the webhooks of other products, and links for one vote."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from highwayman.env.errors import HighwaymanError, InvalidFeedback, UnknownDecision
from highwayman.feedback.intake.service import FeedbackReceipt, FeedbackService
from highwayman.feedback.integrations.adapter import (
    FeedbackAdapter,
    IgnoresUnknownMetrics,
    ParsedFeedback,
    SignatureVerified,
    WebhookRequest,
)
from highwayman.feedback.trust.principal import FEEDBACK, Principal
from highwayman.serving.auth.rate_limit import RateLimit
from highwayman.serving.feedback.body import parse_feedback
from highwayman.serving.feedback.vote_page import VOTE_PATH, VotePage
from highwayman.serving.http.asgi import ClientDisconnected, Receive, Scope, Send, header, send_response
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.errors import Forbidden, OnError, RateLimited, send_error, send_fault
from highwayman.serving.http.validation import BadRequest, BodyLimits, parse_body

LIMIT_BYTES = 64 * 1024
_IMPORT_LIMIT_BYTES = 16 * 2**20  # of an integration's request: an export file, or a batch of spans
MOST_STATEMENTS = 10_000  # of an integration's request
_OWN = "/v1/feedback"

Handler = Callable[["FeedbackRequest"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """One request for a feedback route."""

    scope: Scope
    receive: Receive
    send: Send
    principal: Principal
    path_params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FeedbackRoute:
    """A path with a handler for one method; `keyless` needs no API key."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """A request that has found its route, and what stood in the path's braces."""

    route: FeedbackRoute
    path_params: Mapping[str, str]


class FeedbackEndpoints:
    """Takes feedback from everybody who may give it."""

    def __init__(
        self,
        service: FeedbackService,
        adapters: Sequence[FeedbackAdapter],
        votes: VotePage,
        limit: RateLimit,
        *,
        bodies: BodyReader,
        clock: Callable[[], float],
        on_error: OnError,
    ) -> None:
        """Take what files statements, adapters, the page for votes, the rate limit, a reader, a clock (s, epoch), and
        who is told of errors.
        """
        self._on_error = on_error
        self._bodies = bodies
        self._limit = limit
        self._service = service
        self._votes = votes
        self._clock = clock
        self._routes = [
            FeedbackRoute("POST", _pattern(_OWN), self._create),
            FeedbackRoute("DELETE", _pattern(f"{_OWN}/{{id}}"), self._delete),
            FeedbackRoute("GET", _pattern(f"{VOTE_PATH}{{ticket}}"), self._show_vote_page, keyless=True),
            FeedbackRoute("POST", _pattern(f"{VOTE_PATH}{{ticket}}"), self._vote, keyless=True),
            *(self._route(adapter, route) for adapter in adapters for route in adapter.routes),
        ]

    def match(self, scope: Scope) -> RouteMatch | None:
        """Return the route that a request is for, None if it is none of these."""
        for route in self._routes:
            path_match = route.pattern.fullmatch(scope["path"]) if route.method == scope["method"] else None
            if path_match is not None:
                return RouteMatch(route, {name: unquote(value) for name, value in path_match.groupdict().items()})
        return None

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, *, match: RouteMatch
    ) -> None:
        """Answer one request."""
        try:
            if not match.route.keyless:
                self._check(principal)
            await match.route.handler(FeedbackRequest(scope, receive, send, principal, match.path_params))
        except ClientDisconnected:
            return
        except HighwaymanError as error:
            await send_error(send, error, self._on_error)
        except Exception as error:  # a client gets an answer, whatever it is
            await send_fault(send, error, self._on_error, doing="take feedback")

    def _check(self, principal: Principal) -> None:
        """Raise Forbidden or RateLimited where a key may not give feedback, or no more of it now."""
        if FEEDBACK not in principal.scopes:
            raise Forbidden("This API key may not give feedback.")
        wait_s = self._limit.wait_s(principal.key_id, self._clock(), rate_per_s=principal.rate_per_s)
        if wait_s:
            raise RateLimited(
                f"This API key has sent too many posts; the next may come in {wait_s:.1f} s.", wait_s=wait_s
            )

    async def _create(self, request: FeedbackRequest) -> None:
        submission = parse_feedback(await self._bodies.receive(request.scope, request.receive, limit_bytes=LIMIT_BYTES))
        receipt = await self._service.submit(submission, request.principal)
        await _answer(
            request.send, {"object": "highwayman.feedback", "metric": submission.metric, **_receipt_body(receipt)}
        )

    async def _delete(self, request: FeedbackRequest) -> None:
        receipt = await self._service.retract(request.path_params["id"], request.principal)
        await _answer(request.send, {"object": "highwayman.feedback", "deleted": True, **_receipt_body(receipt)})

    async def _show_vote_page(self, request: FeedbackRequest) -> None:
        await self._votes.show(request.path_params["ticket"], request.send)

    async def _vote(self, request: FeedbackRequest) -> None:
        raw = await self._bodies.receive(request.scope, request.receive, limit_bytes=LIMIT_BYTES)
        await self._votes.submit(request.path_params["ticket"], raw, self._service, request.send)

    def _route(self, adapter: FeedbackAdapter, route: str) -> FeedbackRoute:
        method, _, path = route.partition(" ")

        async def handle(request: FeedbackRequest) -> None:
            raw = await self._bodies.receive(request.scope, request.receive, limit_bytes=_IMPORT_LIMIT_BYTES)
            parsed = await self._bodies.read(raw, lambda: adapter.parse(self._webhook_request(request, route, raw)))
            principal = (
                Principal(adapter.tenant, scopes=frozenset({FEEDBACK}))
                if isinstance(adapter, SignatureVerified)
                else request.principal
            )
            await self._submit_all(parsed, adapter, principal)
            await _answer(request.send, parsed.response, parsed.status)

        return FeedbackRoute(method, _pattern(path), handle, keyless=isinstance(adapter, SignatureVerified))

    async def _submit_all(self, parsed: ParsedFeedback, adapter: FeedbackAdapter, principal: Principal) -> None:
        """File what an adapter parsed, all of it even where some is refused; then raise the first refusal."""
        if len(parsed.submissions) > MOST_STATEMENTS:
            raise BadRequest(
                f"The request has {len(parsed.submissions)} statements; at most {MOST_STATEMENTS} are taken at once. "
                "Send it in parts.",
                status=413,
            )
        lenient = isinstance(adapter, IgnoresUnknownMetrics) and adapter.ignores_unknown_metrics
        known = self._service.spec.metrics
        submissions = [each for each in parsed.submissions if not lenient or each.metric in known]
        results = await self._service.submit_all(submissions, principal)
        errors = [result for result in results if isinstance(result, HighwaymanError)]
        for error in errors:
            if not isinstance(error, InvalidFeedback | UnknownDecision):  # to be sent again: what is filed counts once
                raise error
        refused = errors[0] if errors else None
        for name in parsed.retractions:
            try:
                await self._service.retract(name, principal, source=adapter.source)
            except UnknownDecision as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _webhook_request(self, request: FeedbackRequest, route: str, raw: bytes) -> WebhookRequest:
        """Return what an adapter reads of a request. Raises BadRequest."""
        scope = request.scope
        return WebhookRequest(
            scope["method"],
            route,
            path_params=request.path_params,
            query=dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=_parsed(raw, header(scope, b"content-type") or "", self._bodies.limits),
            raw=raw,
            at=self._clock(),
        )


def _parsed(raw: bytes, content_type: str, limits: BodyLimits) -> Any:
    """Return the JSON in a body, None where there is none. Raises BadRequest for what is no JSON."""
    return None if not raw or "protobuf" in content_type else parse_body(raw, limits)


def _receipt_body(receipt: FeedbackReceipt) -> dict[str, Any]:
    ids = receipt.decision_ids
    id_field: dict[str, Any] = {"decision_id": ids[0]} if len(ids) == 1 else {"decision_ids": list(ids)}
    return {"id": receipt.id, **id_field, "value": receipt.value, "state": receipt.state}


async def _answer(send: Send, answer: Any, status: int = 200) -> None:
    is_text = isinstance(answer, str)
    body = answer.encode() if is_text else json.dumps(answer, separators=(",", ":")).encode()
    kind = b"text/plain; charset=utf-8" if is_text else b"application/json"
    await send_response(send, status, b"" if status == 204 else body, ((b"content-type", kind),))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
