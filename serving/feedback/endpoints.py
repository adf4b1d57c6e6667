"""Where feedback comes in, as bare ASGI: our own routes, the doors of other products, and links for one vote."""

import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import pydantic_core

from highwayman.env.errors import HighwaymanError, InvalidFeedback, UnknownDecision
from highwayman.feedback.intake.service import Filed, Intake
from highwayman.feedback.integrations.adapter import Door, Heard, Lenient, Letter, Vouching
from highwayman.feedback.trust.principal import FEEDBACK, Caller
from highwayman.serving.auth.rate_limit import RateLimit
from highwayman.serving.feedback.body import parse_feedback
from highwayman.serving.feedback.vote_page import VOTE_PATH, VotePage
from highwayman.serving.http.asgi import ClientGone, Receive, Scope, Send, header, read_body, send_whole
from highwayman.serving.http.errors import Forbidden, TooMany, described, internal_error, without_message
from highwayman.serving.http.validation import BadRequest

LIMIT_BYTES = 64 * 1024
_IMPORT_LIMIT_BYTES = 16 * 2**20  # of a door's letter: an export file, or a batch of spans
_OWN = "/v1/feedback"

log = logging.getLogger(__name__)

Handler = Callable[["Post"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Post:
    """One request at the desk."""

    scope: Scope
    receive: Receive
    send: Send
    caller: Caller
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """A path with a handler for one method; `keyless` needs no API key."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that has found its route, and what stood in the path's braces."""

    route: Route
    parts: Mapping[str, str]


class Desk:
    """Takes feedback from everybody who may say something."""

    def __init__(
        self,
        intake: Intake,
        doors: Sequence[Door],
        votes: VotePage,
        limit: RateLimit,
        *,
        clock: Callable[[], float],
    ) -> None:
        """Take what files statements, the doors, the page for votes, who may send how much, and a clock (s, epoch)."""
        self._limit = limit
        self._intake = intake
        self._votes = votes
        self._clock = clock
        self._routes = [
            Route("POST", _pattern(_OWN), self._say),
            Route("DELETE", _pattern(f"{_OWN}/{{id}}"), self._take_back),
            Route("GET", _pattern(f"{VOTE_PATH}{{ticket}}"), self._ask_for_vote, keyless=True),
            Route("POST", _pattern(f"{VOTE_PATH}{{ticket}}"), self._vote, keyless=True),
            *(self._route(door, route) for door in doors for route in door.routes),
        ]

    def visit(self, scope: Scope) -> Visit | None:
        """Return what a request wants here, None if it is not for this desk."""
        for route in self._routes:
            found = route.pattern.fullmatch(scope["path"]) if route.method == scope["method"] else None
            if found is not None:
                return Visit(route, {name: unquote(value) for name, value in found.groupdict().items()})
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *, visit: Visit, caller: Caller) -> None:
        """Answer one request."""
        try:
            if not visit.route.keyless:
                self._check(caller)
            await visit.route.handler(Post(scope, receive, send, caller, visit.parts))
        except ClientGone:
            return
        except HighwaymanError as error:
            status, body, _ = described(error)
            wait_s = math.ceil(error.wait_s) if isinstance(error, TooMany) else 1
            retry = ((b"retry-after", str(wait_s).encode()),) if status in (429, 503) else ()
            await send_whole(send, status, body, ((b"content-type", b"application/json"), *retry))
        except Exception as error:  # a client is told, whatever it is; the log names the place and no payload
            log.error("could not take feedback: %s", type(error).__name__, exc_info=without_message(error))
            await send_whole(send, 500, internal_error())

    def _check(self, caller: Caller) -> None:
        """Raise Forbidden or TooMany where a key may not give feedback, or no more of it now."""
        if FEEDBACK not in caller.scopes:
            raise Forbidden("This API key may not give feedback.")
        wait_s = self._limit.wait_s(caller.key_id, self._clock(), rate_per_s=caller.rate_per_s)
        if wait_s:
            raise TooMany(f"This API key has sent too many posts; the next may come in {wait_s:.1f} s.", wait_s=wait_s)

    async def _say(self, post: Post) -> None:
        said = parse_feedback(await read_body(post.receive, limit_bytes=LIMIT_BYTES))
        filed = await self._intake.take(said, post.caller)
        await _answer(post.send, {"object": "highwayman.feedback", "metric": said.metric, **_told(filed)})

    async def _take_back(self, post: Post) -> None:
        filed = await self._intake.take_back(post.parts["id"], post.caller)
        await _answer(post.send, {"object": "highwayman.feedback", "deleted": True, **_told(filed)})

    async def _ask_for_vote(self, post: Post) -> None:
        await self._votes.show(post.parts["ticket"], post.send)

    async def _vote(self, post: Post) -> None:
        raw = await read_body(post.receive, limit_bytes=LIMIT_BYTES)
        await self._votes.take(post.parts["ticket"], raw, self._intake, post.send)

    def _route(self, door: Door, route: str) -> Route:
        method, _, path = route.partition(" ")

        async def handle(post: Post) -> None:
            heard = door.hear(await self._letter(post, route))
            caller = Caller(door.tenant, scopes=frozenset({FEEDBACK})) if isinstance(door, Vouching) else post.caller
            await self._file(heard, door, caller)
            await _answer(post.send, heard.answer, heard.status)

        return Route(method, _pattern(path), handle, keyless=isinstance(door, Vouching))

    async def _file(self, heard: Heard, door: Door, caller: Caller) -> None:
        """File what a door heard, all of it even where some is refused; then tell of the first that was."""
        refused: HighwaymanError | None = None
        lenient = isinstance(door, Lenient) and door.lenient
        for said in heard.said:
            if lenient and said.metric not in self._intake.spec.metrics:
                continue
            try:
                await self._intake.take(said, caller)
            except (InvalidFeedback, UnknownDecision) as error:
                refused = refused or error
        for name in heard.taken_back:
            try:
                await self._intake.take_back(name, caller, source=door.source)
            except UnknownDecision as error:
                refused = refused or error
        if refused is not None:
            raise refused

    async def _letter(self, post: Post, route: str) -> Letter:
        scope = post.scope
        raw = await read_body(post.receive, limit_bytes=_IMPORT_LIMIT_BYTES)
        return Letter(
            scope["method"],
            route,
            parts=post.parts,
            query=dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"))),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=_parsed(raw, header(scope, b"content-type") or ""),
            raw=raw,
            at=self._clock(),
        )


def _parsed(raw: bytes, content_type: str) -> Any:
    """Return the JSON in a letter, None where there is none. Raises BadRequest for what is no JSON."""
    if not raw or "protobuf" in content_type:
        return None
    try:
        return pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None


def _told(filed: Filed) -> dict[str, Any]:
    ids = filed.decision_ids
    which: dict[str, Any] = {"decision_id": ids[0]} if len(ids) == 1 else {"decision_ids": list(ids)}
    return {"id": filed.id, **which, "value": filed.value, "state": filed.state}


async def _answer(send: Send, answer: Any, status: int = 200) -> None:
    text = isinstance(answer, str)
    body = answer.encode() if text else json.dumps(answer, separators=(",", ":")).encode()
    kind = b"text/plain; charset=utf-8" if text else b"application/json"
    await send_whole(send, status, b"" if status == 204 else body, ((b"content-type", kind),))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
