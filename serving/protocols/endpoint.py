"""Other protocols than chat, as bare ASGI: each request goes the way of a chat's, translated on the way in and out.

So does a chat or a completion whose path names the model, as Azure's do.
"""

from collections.abc import Mapping
from typing import Final

from highwayman.env.errors import HighwaymanError
from highwayman.env.json_pieces import dump_json
from highwayman.env.prompt.reading import read_chat
from highwayman.feedback.trust.principal import ANSWERS, Principal
from highwayman.serving.completions.endpoint import LIMIT_IS_CEILING, CompletionsEndpoint
from highwayman.serving.completions.requests.request import CHAT_PATH
from highwayman.serving.http.asgi import (
    BODY,
    WRITE_PART,
    ClientDisconnected,
    Receive,
    Scope,
    Send,
    send_response,
    with_header,
)
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.drain import Drain
from highwayman.serving.http.errors import Forbidden, OnError, send_error, send_fault
from highwayman.serving.http.routes.methods import refuse_method
from highwayman.serving.http.routes.paths import DEPLOYMENT
from highwayman.serving.http.validation import BodyLimits, parse_object
from highwayman.serving.protocols.messages.answer import error_body
from highwayman.serving.protocols.messages.request import translate as translate_message
from highwayman.serving.protocols.messages.request import translate_count
from highwayman.serving.protocols.protocol import ClientProtocol, TranslatedRequest
from highwayman.serving.protocols.responses.request import translate as translate_response
from highwayman.serving.protocols.translated_send import TranslatedSend

MESSAGES_PATH, COUNT_PATH, RESPONSES_PATH = "/v1/messages", "/v1/messages/count_tokens", "/v1/responses"
PROTOCOLS: Final[Mapping[str, ClientProtocol]] = {
    MESSAGES_PATH: ClientProtocol(
        "Answer as Anthropic's Messages do, whole or as a stream; `model` is an alias, or an arm.",
        ("model", "max_tokens", "messages"),
        translate_message,
        error_body,
    ),
    COUNT_PATH: ClientProtocol(
        "Say about how many tokens a request of Anthropic's Messages takes; no arm is asked.",
        ("model", "messages"),
        translate_count,
        error_body,
    ),
    RESPONSES_PATH: ClientProtocol(
        "Answer as OpenAI's Responses do, whole or as a stream; `model` is an alias, or an arm.",
        ("model", "input"),
        translate_response,
    ),
}

_SESSION = b"x-session-id"  # names the conversation, by default (docs/how-to/feedback.md)


class ProtocolEndpoint:
    """Answers requests in other protocols by way of the one path of completions."""

    def __init__(
        self, completions: CompletionsEndpoint, *, bodies: BodyReader, body_limit_bytes: int, drain: Drain,
        on_error: OnError,
    ) -> None:  # fmt: skip
        """Take what answers chats, what reads bodies, the largest of them, and who is told of answers and refusals."""
        self._completions = completions
        self._drain = drain
        self._on_error = on_error
        self._bodies = bodies
        self._body_limit_bytes = body_limit_bytes

    def follow(self, body_limit_bytes: int) -> None:
        """Go on with another limit on bodies."""
        self._body_limit_bytes = body_limit_bytes

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, *, protocol: ClientProtocol | None
    ) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await refuse_method(scope, send, self._on_error)
            return
        task = self._drain.enter()  # from here on the router's end waits for it
        try:
            await self._answer(scope, receive, send, protocol=protocol, principal=principal)
        finally:
            self._drain.leave(task)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, *, protocol: ClientProtocol | None, principal: Principal
    ) -> None:
        try:
            request, chat = await self._translated(scope, receive, protocol, principal)
        except ClientDisconnected:
            return
        except HighwaymanError as error:
            await send_error(send, error, self._on_error)
            return
        except Exception as error:  # a client gets an answer, whatever it is
            await send_fault(send, error, self._on_error, doing="translate a request")
            return
        if request is not None and scope["path"] == COUNT_PATH:
            await send_response(send, 200, b'{"input_tokens":%d}' % read_chat(request.chat).tokens)
            return
        asked: Scope = {**scope, "extensions": {**scope["extensions"], BODY: chat}}
        if request is not None:
            asked["path"], asked[LIMIT_IS_CEILING] = CHAT_PATH, True
            send = TranslatedSend(send, request)
            asked["extensions"].pop(WRITE_PART, None)
            if request.session:  # not into the body: servers of others refuse what they do not know
                asked = with_header(asked, _SESSION, request.session)
        await self._completions(asked, receive, send, principal)

    async def _translated(
        self, scope: Scope, receive: Receive, protocol: ClientProtocol | None, principal: Principal
    ) -> tuple[TranslatedRequest | None, bytes]:
        """Return a request, and the body of the chat that it stands for. Raises what a chat's reading raises."""
        if ANSWERS not in principal.scopes:
            raise Forbidden("This API key may not ask for answers.")
        raw = await self._bodies.receive(scope, receive, limit_bytes=self._body_limit_bytes)
        limits = self._bodies.limits
        if protocol is None:
            return None, await self._bodies.read(raw, lambda: _with_model(raw, scope[DEPLOYMENT], limits))
        return await self._bodies.read(raw, lambda: _translate(protocol, raw, limits))


def _translate(protocol: ClientProtocol, raw: bytes, limits: BodyLimits) -> tuple[TranslatedRequest, bytes]:
    request = protocol.translate(raw, limits)
    return request, dump_json(request.chat)


def _with_model(raw: bytes, model: str, limits: BodyLimits) -> bytes:
    return dump_json({**parse_object(raw, limits), "model": model})
