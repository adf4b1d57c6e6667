"""A real model server on a loopback port that does as it is told: answers, streams, fails, hangs or breaks off.

    async with ScriptedUpstream() as upstream:
        upstream.script("llama-8b", Say("Paris."))                   # by model id, or by path, or ANY
        upstream.script("llama-70b", Fail(500), Say("Paris."))       # in turn; the last one stays
        ...  # calls to upstream.url
        assert upstream.requests[0]["model"] == "llama-8b"

Behaviours are looked up by the model of the request, then by its path, then under ANY.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from aiohttp import web

from tests.ports import free_port

Body = dict[str, Any]
ANY = "*"
CREATED = 1_700_000_000


class Behaviour(Protocol):
    """What the server does with one request."""

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse: ...


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with `text`, whole or streamed word by word as the request asks; usage as given."""

    text: str | Callable[[Body], str] = "Hello from upstream."
    tokens_in: int = 7
    tokens_out: int = 5
    finish_reason: str = "stop"
    before: asyncio.Event | None = None  # nothing is sent until it is set
    hold: asyncio.Event | None = None  # after a stream's first word, or half an answer, nothing until it is set
    usage: bool = True  # False: an upstream that counts no tokens

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        if self.before is not None:
            await self.before.wait()
        if not body.get("stream"):
            return await self._serve_whole(request, json.dumps(self.whole(body)).encode())
        response = await _begin(request)
        for place, event in enumerate(self.events(body)):
            await response.write(event)
            if place == 1 and self.hold is not None:
                await self.hold.wait()
        return response

    async def _serve_whole(self, request: web.Request, answer: bytes) -> web.StreamResponse:
        response = await _begin(request, "application/json", length=len(answer))
        half = len(answer) // 2 if self.hold is not None else len(answer)
        await response.write(answer[:half])
        if self.hold is not None:
            await self.hold.wait()
            await response.write(answer[half:])
        return response

    def whole(self, body: Body) -> Body:
        """Return the whole answer, of a chat or of a completion."""
        text = self.text_for(body)
        chat = "messages" in body
        said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choices = [{"index": place, **said, "finish_reason": self.finish_reason} for place in range(body.get("n") or 1)]
        usage = {"usage": self._usage()} if self.usage else {}
        return {**_head(body, "chat.completion" if chat else "text_completion"), "choices": choices, **usage}

    def events(self, body: Body) -> list[bytes]:
        """Return the events of the streamed answer: role, words, finish, usage if asked for, [DONE]."""
        chat = "messages" in body
        head = _head(body, "chat.completion.chunk" if chat else "text_completion")
        words = re.findall(r"\S+\s*|\s+", self.text_for(body))
        said: list[Body] = [{"delta": {"content": word}} if chat else {"text": word} for word in words]
        opening: list[Body] = [{"delta": {"role": "assistant", "content": ""}}] if chat else []
        closing: Body = {"delta": {}} if chat else {"text": ""}
        choices = [{"index": 0, **each, "finish_reason": None} for each in [*opening, *said]]
        choices.append({"index": 0, **closing, "finish_reason": self.finish_reason})
        chunks: list[Body] = [{**head, "choices": [choice]} for choice in choices]
        if self.usage and (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**head, "choices": [], "usage": self._usage()})
        return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    def text_for(self, body: Body) -> str:
        """Return the text said to `body`."""
        return self.text if isinstance(self.text, str) else self.text(body)

    def _usage(self) -> Body:
        total = self.tokens_in + self.tokens_out
        return {"prompt_tokens": self.tokens_in, "completion_tokens": self.tokens_out, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error status and an OpenAI-shaped error object, or with `body`."""

    status: int = 500
    message: str = "scripted failure"
    body: bytes | None = None
    before: asyncio.Event | None = None  # nothing is sent until it is set
    retry_after: str | None = None

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        if self.before is not None:
            await self.before.wait()
        headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
        error = {"error": {"message": self.message, "type": "scripted", "param": None, "code": self.status}}
        answer = json.dumps(error).encode() if self.body is None else self.body
        return web.Response(status=self.status, body=answer, content_type="application/json", headers=headers)


@dataclass(frozen=True, slots=True)
class Garbage:
    """Answer 200 with bytes that are no JSON, whatever was asked."""

    body: bytes = b"<html>it works!</html>"
    content_type: str = "application/json"

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        return web.Response(body=self.body, content_type=self.content_type)


@dataclass(frozen=True, slots=True)
class Send:
    """Answer with these pieces as they are, one write each, whatever was asked; then end, or cut the connection."""

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    pause: asyncio.Event | None = None  # before the second piece nothing until it is set
    cut: bool = False

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        response = web.StreamResponse(
            status=self.status, headers={"content-type": self.content_type, **dict(self.headers)}
        )
        await response.prepare(request)
        for place, piece in enumerate(self.pieces):
            if place == 1 and self.pause is not None:
                await self.pause.wait()
            await response.write(piece)
        return _hang_up(request) if self.cut else response


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing at all, or the head of an answer only, until the client goes."""

    head: bool = False

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        if self.head:
            await _begin(request)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class Stall:
    """Begin to stream as `say` would, then say no more after `events` events, until the client goes."""

    say: Say = Say()
    events: int = 2

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        response = await _begin(request)
        for event in self.say.events(body)[: self.events]:
            await response.write(event)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection without a byte."""

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        return _hang_up(request)


@dataclass(frozen=True, slots=True)
class BreakOff:
    """Begin to answer as `say` would, then close the connection after `events` events (or half of a whole answer)."""

    say: Say = Say()
    events: int = 2

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        if body.get("stream"):
            response = await _begin(request)
            await response.write(b"".join(self.say.events(body)[: self.events]))
        else:
            answer = json.dumps(self.say.whole(body)).encode()
            response = await _begin(request, "application/json", length=len(answer))
            await response.write(answer[: len(answer) // 2])
        _hang_up(request)
        return response


class ScriptedUpstream:
    """One server: `url`, what it was asked (`requests`, `paths`, `headers`), and `script` to tell it what to do."""

    def __init__(self, *, port: int = 0) -> None:
        self.requests: list[Body] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []  # names in lower case
        self.gone = 0  # requests whose client went before the answer was out
        self.metrics: str | None = None  # what /metrics says; None: it answers 404
        self.models: list[str] | None = None  # what /v1/models lists; None: those that are scripted
        self.polled: list[tuple[str, dict[str, str]]] = []  # GETs of either: path, and headers in lower case
        self._port = port
        self._scripts: dict[str, list[Behaviour]] = defaultdict(list)
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL, without /v1."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, key: str, *behaviours: Behaviour) -> None:
        """Serve requests for `key` (a model id, a path, or ANY) with `behaviours` in turn; the last one stays."""
        self._scripts[key] = list(behaviours)

    def reset(self) -> None:
        """Forget what was asked, and every script: the next test finds the server as new."""
        self.requests, self.paths, self.headers, self.gone = [], [], [], 0
        self.metrics, self.models, self.polled = None, None, []
        self._scripts.clear()

    async def asked(self, count: int = 1) -> None:
        """Return once `count` requests have come in."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    async def left(self, count: int = 1) -> None:
        """Return once `count` clients have gone before their answer was out."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.gone >= count)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health)
        app.router.add_post("/{path:.*}", self._serve)
        # Handlers are cancelled when their client goes, as vLLM aborts the generation.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        self._note_poll(request)
        models = [key for key in self._scripts if key[0] not in "/*"] if self.models is None else self.models
        cards = [{"id": key, "object": "model", "max_model_len": 4096} for key in models]
        return web.json_response({"object": "list", "data": cards})

    async def _metrics(self, request: web.Request) -> web.Response:
        self._note_poll(request)
        return web.Response(status=404) if self.metrics is None else web.Response(text=self.metrics)

    def _note_poll(self, request: web.Request) -> None:
        self.polled.append((request.path, {name.lower(): value for name, value in request.headers.items()}))

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        async with self._changed:
            self.requests.append(body)
            self.paths.append(request.path)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self._changed.notify_all()
        try:
            return await self._next(body.get("model", ""), request.path).serve(request, body)
        except (asyncio.CancelledError, ConnectionError):
            async with self._changed:
                self.gone += 1
                self._changed.notify_all()
            raise

    def _next(self, model: str, path: str) -> Behaviour:
        for key in (model, path, ANY):
            left = self._scripts.get(key)
            if left:
                return left.pop(0) if len(left) > 1 else left[0]
        return Say()


def closed_url() -> str:
    """Return the URL of a loopback port nobody listens on: a connection to it is refused at once."""
    return f"http://127.0.0.1:{free_port()}"


def _head(body: Body, kind: str) -> Body:
    return {"id": "up-1", "object": kind, "created": CREATED, "model": body.get("model", "")}


async def _begin(
    request: web.Request, content_type: str = "text/event-stream; charset=utf-8", *, length: int | None = None
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": content_type})
    response.content_length = length
    await response.prepare(request)
    return response


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.StreamResponse()
