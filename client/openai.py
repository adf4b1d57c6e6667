"""An `openai` client whose answers know their decisions.

    client = with_decisions(openai.OpenAI(base_url="http://127.0.0.1:8790/v1", api_key="none"))
    answer = client.chat.completions.create(model="auto", messages=[...])
    decision_of(answer).thumbs_up()

For `OpenAI` and `AsyncOpenAI` (`async_decision_of`), their subclasses and `with_options`; for chats, completions and
responses, whole, raw or streamed: a stream knows its decision as soon as it has begun, and so does each of its chunks.
In a tool loop each answer has a decision of its own. What is said goes through the `openai` client: its address, key,
proxies, repetitions and errors.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from highwayman.client.call import AsyncSender, Call, SyncSender
from highwayman.client.decision import AsyncDecision, SyncDecision
from highwayman.client.statement import decision_id_of

if TYPE_CHECKING:  # who calls this has it; who does not, need not
    import openai

    C = TypeVar("C", bound=openai.OpenAI | openai.AsyncOpenAI)

D = TypeVar("D", SyncDecision, AsyncDecision)
T = TypeVar("T")
Decide = Callable[[str], SyncDecision | AsyncDecision]

_MARK = "_highwayman_decision"  # an attribute of answers, beside openai's own `_request_id`
_HEADER = "x-highwayman-decision"


def with_decisions(client: "C") -> "C":
    """Return a copy of an `openai` client, on the same connections, whose answers `decision_of` takes."""
    import openai  # noqa: PLC0415  (it is there for those who use it)

    copied: Any = client.copy()
    post, copy = copied.post, copied.copy
    if isinstance(client, openai.AsyncOpenAI):
        copied.post = _marking_async(post, _ThroughAsyncOpenAI(client))
    else:
        copied.post = _marking(post, _ThroughOpenAI(client))  # all that has answers goes through `post`
    copied.copy = copied.with_options = lambda **changes: with_decisions(copy(**changes))
    marked: C = copied
    return marked


def decision_of(answer: Any) -> SyncDecision:
    """Return the decision that made an answer, a stream or one of its chunks. Raises ValueError where none is known."""
    return _decision(answer, SyncDecision)


def async_decision_of(answer: Any) -> AsyncDecision:
    """Return the same of an async client's answer; what is said of it is awaited."""
    return _decision(answer, AsyncDecision)


def _decision(answer: Any, kind: type[D]) -> D:
    decision = getattr(answer, _MARK, None)
    if isinstance(decision, kind):
        return decision
    if decision is not None:
        raise ValueError("an async client's answer has an async decision, a sync one's a sync decision: call the other")
    raise ValueError(
        f"no decision is known of this {type(answer).__name__}: it takes a client made by with_decisions(...); or ask "
        "highwayman.client.Client().decision_of(answer), which goes by the answer's id"
    )


class _ThroughOpenAI(SyncSender):
    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, call: Call[T]) -> T:
        return call.read(_sent(self._client, call))


class _ThroughAsyncOpenAI(AsyncSender):
    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, call: Call[T]) -> T:
        return call.read(await _sent(self._client, call))


def _sent(client: Any, call: Call[Any]) -> Any:
    """Return the answer's JSON, of an async client something that is awaited for it."""
    if call.body is None:
        return client.get(call.path, cast_to=object)
    return client.post(call.path, cast_to=object, body=dict(call.body))


def _marking(post: Callable[..., Any], sender: SyncSender) -> Callable[..., Any]:
    def post_and_mark(*args: Any, **kwargs: Any) -> Any:
        return _marked(post(*args, **kwargs), lambda decision_id: SyncDecision(decision_id, sender))

    return post_and_mark


def _marking_async(post: Callable[..., Any], sender: AsyncSender) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def post_and_mark(*args: Any, **kwargs: Any) -> Any:
        return _marked(await post(*args, **kwargs), lambda decision_id: AsyncDecision(decision_id, sender))

    return post_and_mark


def _marked(answer: Any, decide: Decide) -> Any:
    """Return an answer that knows its decision, if there is one: by a stream's or raw answer's header, else its id."""
    headers = getattr(getattr(answer, "response", answer), "headers", None) or {}
    try:
        decision = decide(headers[_HEADER] if _HEADER in headers else decision_id_of(answer))
    except ValueError:  # embeddings and such
        return answer
    setattr(answer, _MARK, decision)
    chunks = getattr(answer, "_iterator", None)
    if isinstance(chunks, AsyncIterator):
        answer._iterator = _marking_each_async(chunks, decision)
    elif isinstance(chunks, Iterator):
        answer._iterator = _marking_each(chunks, decision)
    return answer


def _marking_each(chunks: Iterator[Any], decision: SyncDecision | AsyncDecision) -> Iterator[Any]:
    for chunk in chunks:
        setattr(chunk, _MARK, decision)
        yield chunk


async def _marking_each_async(chunks: AsyncIterator[Any], decision: SyncDecision | AsyncDecision) -> AsyncIterator[Any]:
    async for chunk in chunks:
        setattr(chunk, _MARK, decision)
        yield chunk
