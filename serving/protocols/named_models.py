"""Routes whose model is asked by its name and nothing is decided: embeddings and audio, passed through as they come."""

import asyncio
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import aiohttp

from highwayman.env.errors import DataClassBarred, HighwaymanError, UnknownArm, UpstreamError
from highwayman.env.json_pieces import dump_json
from highwayman.env.pool.pool_file import NamedModel
from highwayman.env.types import Arm, JsonObject
from highwayman.env.upstream.calls.connections import Connections
from highwayman.env.upstream.calls.exchange import ServerResponse
from highwayman.env.upstream.calls.sending import UpstreamTimeouts
from highwayman.feedback.trust.principal import ANSWERS, Principal
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.http.asgi import (
    ClientDisconnected,
    Headers,
    Receive,
    ResponseStartTracker,
    Scope,
    Send,
    header,
)
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.disconnect import cancel_on_disconnect
from highwayman.serving.http.drain import Drain
from highwayman.serving.http.errors import Forbidden, OnError, send_error, send_fault
from highwayman.serving.http.routes.methods import refuse_method
from highwayman.serving.http.routes.paths import DEPLOYMENT
from highwayman.serving.http.validation import BadRequest, BodyLimits, parse_object

PATHS: Final[Mapping[str, str]] = {  # what a pool file says that a model serves
    "/v1/embeddings": "embeddings",
    "/v1/audio/transcriptions": "transcriptions",
    "/v1/audio/translations": "translations",
    "/v1/audio/speech": "speech",
}
_JSON, _FORM = "application/json", "multipart/form-data"
_FIELD: Final = re.compile(  # of a form, RFC 7578: the headers of a part, and what stands in it
    rb"content-disposition:[^\r\n]*;\s*name=(?:\"model\"|model)(?=[;\s])[^\r\n]*\r\n(?:[^\r\n]+\r\n)*"
    rb"\r\n(?P<model>[^\r\n]{1,256})\r\n",
    re.IGNORECASE,
)
_UNWELL: Final = 500  # a status from here on: another replica may do better


@dataclass(frozen=True, slots=True)
class _NamedRequest:
    """A request as far as it is read."""

    model: str
    body: JsonObject  # empty of a form
    has_unread: bool  # whether it holds what nobody reads here: sound, token ids
    with_model: Callable[[str], bytes]  # returns the body with another model's name


def _read(raw: bytes, content_type: str, limits: BodyLimits) -> _NamedRequest:
    """Return a request, JSON or a form. Raises BadRequest for one that names no model."""
    if content_type.partition(";")[0].strip().lower() == _FORM:
        field = _FIELD.search(raw)
        if field is None:
            raise BadRequest("model: Field required", param="model")
        start, end = field.span("model")
        name = field["model"].decode("utf-8", "replace")
        return _NamedRequest(name, {}, True, lambda model: raw[:start] + model.encode() + raw[end:])
    body = parse_object(raw, limits)
    model = body.get("model")
    if not isinstance(model, str):
        raise BadRequest("model: must be a string" if "model" in body else "model: Field required", param="model")
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    has_unread = not all(isinstance(text, str) for text in texts)
    return _NamedRequest(model, body, has_unread, lambda model: dump_json({**body, "model": model}))


class NamedModelEndpoint:
    """Hands requests to the server of the model that they name."""

    def __init__(
        self, models: Sequence[NamedModel], *, bodies: BodyReader, body_limit_bytes: int, limits: UpstreamTimeouts,
        drain: Drain, on_error: OnError, guard: DataGuard | None = None, quotas: QuotaGate | None = None,
    ) -> None:  # fmt: skip
        """Take the models, what reads bodies, the largest of these, time limits, who knows what is under way, and who
        is told of errors.

        `guard` knows which data may go where; None: anything goes anywhere. `quotas` counts requests; None: nobody
        does.
        """
        self._quotas = quotas
        self.follow(models, body_limit_bytes, limits)
        self._bodies = bodies
        self._guard = guard
        self._drain = drain
        self._on_error = on_error
        self._connections = Connections(limits.connect_s)
        self._turns = itertools.count()

    async def start(self) -> None:
        """Open the connection pool; needs a running event loop."""
        await self._connections.start()

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    def follow(self, models: Sequence[NamedModel], body_limit_bytes: int, limits: UpstreamTimeouts) -> None:
        """Go on with other models, another limit on bodies, and other time limits, all but that of connecting."""
        self._models = {
            path: {model.arm.name: model.arm for model in models if served in model.serves}
            for path, served in PATHS.items()
        }
        self._body_limit_bytes, self._limits = body_limit_bytes, limits

    def names(self) -> list[str]:
        """Return the models' names, each once."""
        return list(dict.fromkeys(name for arms in self._models.values() for name in arms))

    def matches(self, scope: Scope) -> bool:
        """Return whether a request is for one of these routes, and some model serves it."""
        return bool(self._models.get(scope["path"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        """Answer one request."""
        begun, task = ResponseStartTracker(send), self._drain.enter()
        try:
            await self._answer(scope, receive, begun, principal)
        except ClientDisconnected:
            return
        except HighwaymanError as error:
            if begun:
                raise
            await send_error(begun, error, self._on_error)
        except Exception as error:  # a client gets an answer, whatever it is
            await send_fault(None if begun else begun, error, self._on_error, doing="pass a request on")
        finally:
            self._drain.leave(task)

    async def _answer(self, scope: Scope, receive: Receive, send: ResponseStartTracker, principal: Principal) -> None:
        if scope["method"] != "POST":
            await refuse_method(scope, send, self._on_error)
            return
        if ANSWERS not in principal.scopes:
            raise Forbidden("This API key may not ask for answers.")
        if self._quotas is not None:
            self._quotas.check(principal)
        raw = await self._bodies.receive(scope, receive, limit_bytes=self._body_limit_bytes)
        content_type = header(scope, b"content-type") or _JSON
        request = await self._bodies.read(raw, lambda: _read(raw, content_type, self._bodies.limits))
        name = scope.get(DEPLOYMENT) or request.model
        arms = self._models[scope["path"]]
        if name not in arms:
            raise UnknownArm(f"The model {name!r} does not serve {scope['path']}. Known here: {', '.join(arms)}.")
        arm = arms[name]
        if self._guard is not None:
            clearance = await self._guard.clearance(request.body, scope, principal, has_unread=request.has_unread)
            if not clearance.admits(arm.zone):
                raise DataClassBarred(clearance.refusal())
        if self._quotas is not None and self._quotas.limits(principal):
            send.headers = await self._quotas.admit(principal, "", tokens=0, usd=0.0)
        body = await self._bodies.read(raw, lambda: request.with_model(arm.model))
        await cancel_on_disconnect(self._pass_on(arm, scope["path"], body, send, content_type=content_type), scope)

    async def _pass_on(self, arm: Arm, path: str, body: bytes, send: Send, *, content_type: str) -> None:
        """Pass on what one of the replicas answers. Raises UpstreamError where none does."""
        first = next(self._turns)
        why = ""
        for place in range(len(arm.endpoints)):
            endpoint = arm.endpoints[(first + place) % len(arm.endpoints)]
            is_last = place == len(arm.endpoints) - 1
            try:
                async with asyncio.timeout(self._limits.first_byte_s):
                    response = await self._connections.post(arm, endpoint + path, body, content_type=content_type)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                why = type(error).__name__
                continue
            with closing(response):
                if response.status < _UNWELL or is_last:
                    await self._pass(response, arm.name, send)
                    return
        raise UpstreamError(f"model {arm.name!r}: no server answered ({why})", attempts=len(arm.endpoints))

    async def _pass(self, response: ServerResponse, name: str, send: Send) -> None:
        headers: Headers = [
            (b"content-type", response.headers.get("content-type", _JSON).encode("latin-1")),
            (b"x-highwayman-arm", name.encode()),
        ]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        while chunk := await self._next(response):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _next(self, response: ServerResponse) -> bytes:
        async with asyncio.timeout(self._limits.silence_s):
            return await response.content.readany()
