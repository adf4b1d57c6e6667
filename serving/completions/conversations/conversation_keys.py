"""Names of a conversation's turns and tool calls, made of its history: they give nothing of it away.

Clients send the whole conversation with each request. So the messages before an answer are those that asked for it, and
a digest of them names the turn whoever serves the next request; what the answer said is not needed for it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from highwayman.env.types import Messages
from highwayman.feedback.intake.decision_ids import without_prefix

LOOSE = "any-"  # a key that more than one conversation may have: it says something only where all agree

_MOST_ANSWERS = 4  # of one tool loop that are looked behind: clients that write parallel calls down apart make several
_MOST_CALLS = 4  # of one answer that are looked up
_LONGEST_ID = 256
_NOTHING = b"null\0"
_RESULTS = frozenset({"tool", "function"})
_SYSTEM = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class ConversationKeys:
    """Under which names the arm that answers is remembered, and the one that called may be found."""

    turn: tuple[str, ...]  # of this request: the exact one first, then those that hold for several of its turns
    callers: tuple[str, ...] = ()  # of the answer whose tool calls it brings the results of, the surest first
    reads_tool_result: bool = False
    previous: tuple[str, ...] = ()  # of the turn before this one, the surest first
    cached_share: float = 0.0  # of the text, that stood in the turn before or in its answer


def conversation_keys(
    messages: Messages,
    secret: bytes,
    *,
    tenant: str,
    conversation: str | None = None,
    previous_answer: str | None = None,
) -> ConversationKeys:
    """Return the keys of a chat request.

    Args:
        messages: as they came; only their roles are known to be text.
        secret: of the namespace.
        tenant: whose conversation it is.
        conversation: the client's own id of it, if it gives one.
        previous_answer: the id of the answer before, if the client gives it.
    """
    answers, last = _unread_answers(messages), _last_answer(messages)
    ends = [*answers, *last, len(messages)]
    exact = _prefixes(messages, ends, _start(secret, tenant, conversation))
    plain = _prefixes(
        [{} if message.get("role") in _SYSTEM else message for message in messages],
        ends,
        _start(secret, tenant, None),
    )
    whole = [] if conversation is None else [_digest(_start(secret, tenant, conversation), "conversation")]
    turn = tuple(dict.fromkeys((exact[len(messages)], plain[len(messages)], *whole)))
    named = [] if previous_answer is None else [answer_key(secret, previous_answer, tenant=tenant)]
    by_history = [*(names[place] for place in last for names in (exact, plain)), *whole] if last else []
    previous = tuple(dict.fromkeys((*named, *by_history)))
    share = _share_before(messages, last)
    if not answers:  # a client that names the answer before need not send it
        reads_result = bool(named and messages) and messages[-1].get("role") in _RESULTS
        return ConversationKeys(turn, previous if reads_result else (), reads_result, previous, share)
    calls = _call_ids(messages, answers)
    callers = [
        *named,
        *(call_key(exact[place], call) for place in answers for call in calls),
        *(exact[place] for place in answers),
        *(loose_call_key(secret, call, tenant=tenant) for call in calls),
        *(plain[place] for place in answers),
        *whole,
    ]
    return ConversationKeys(turn, tuple(dict.fromkeys(callers)), True, previous, share)


def conversation_name(messages: Messages, secret: bytes, *, tenant: str, conversation: str | None = None) -> str:
    """Return what names a conversation in all its turns: the client's own id, else how it begins.

    Conversations that begin alike share a name, and the beginning of what servers keep of prompts. Arguments as above.
    """
    digest = _start(secret, tenant, conversation)
    for message in messages if conversation is None else ():
        _add(digest, message)
        if message.get("role") == "user":
            break
    return digest.hexdigest()


def answer_key(secret: bytes, answer_id: str, *, tenant: str) -> str:
    """Return the name of an answer by its id, whether that is the decision's or has the prefix of a completion."""
    return _digest(_start(secret, tenant, None), f"answer\0{without_prefix(answer_id)}")


def call_key(turn: str, call_id: str) -> str:
    """Return the name of a tool call of the answer to a turn."""
    return hashlib.blake2b(f"{turn}\0{call_id}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def loose_call_key(secret: bytes, call_id: str, *, tenant: str) -> str:
    """Return the name of a tool call of any conversation: most servers make ids that are unique, some count."""
    return LOOSE + _digest(_start(secret, tenant, None), f"call\0{call_id}")


def _unread_answers(messages: Messages) -> list[int]:
    """Return the places of the answers whose tools' results are read now, newest first; none where none is read.

    Everything behind the last message of a person belongs to one loop, and so does what a client puts behind results.
    """
    places: list[int] = []
    results = 0
    for place in range(len(messages) - 1, -1, -1):
        role = messages[place].get("role")
        results += role in _RESULTS
        if role == "assistant":
            if not results:
                return []
            places.append(place)
        elif role == "user" and results:
            break
        if len(places) == _MOST_ANSWERS:
            break
    return places


def _last_answer(messages: Messages) -> list[int]:
    """Return the place of the newest answer, nothing where there is none."""
    return [place for place, message in enumerate(messages) if message.get("role") == "assistant"][-1:]


def _share_before(messages: Messages, last: Sequence[int]) -> float:
    """Return which share of the conversation's text stands up to its last answer, in [0, 1]."""
    if not last:
        return 0.0
    chars = [_chars(message.get("content")) for message in messages]
    return sum(chars[: last[0] + 1]) / max(sum(chars), 1)


def _chars(content: object) -> int:
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return sum(len(text) for text in texts if isinstance(text, str))


def _call_ids(messages: Messages, answers: Sequence[int]) -> list[str]:
    """Return the ids of the tool calls whose results came last, or that the last answer made."""
    newest = answers[0]
    results = [message.get("tool_call_id") for message in messages[newest + 1 :] if message.get("role") in _RESULTS]
    made = messages[newest].get("tool_calls")
    calls = [call.get("id") for call in made if isinstance(call, dict)] if isinstance(made, list) else []
    usable = [name for name in (*results, *calls) if isinstance(name, str) and 0 < len(name) <= _LONGEST_ID]
    return list(dict.fromkeys(usable))[:_MOST_CALLS]


def _start(secret: bytes, tenant: str, conversation: str | None) -> "hashlib.blake2b":
    digest = hashlib.blake2b(key=secret, digest_size=16, person=b"talk")
    digest.update("\0".join((tenant, conversation or "", "")).encode("utf-8", "surrogatepass"))
    return digest


def _digest(start: "hashlib.blake2b", text: str) -> str:
    start.update(text.encode("utf-8", "surrogatepass"))
    return start.hexdigest()


def _prefixes(messages: Messages, ends: Sequence[int], digest: "hashlib.blake2b") -> dict[int, str]:
    """Return the names of the conversation's beginnings that are so many messages long, by their length."""
    wanted, names = set(ends), dict[int, str]()
    for place in range(len(messages) + 1):
        if place in wanted:
            names[place] = digest.copy().hexdigest()
        if place < len(messages) and messages[place]:
            _add(digest, messages[place])
    return names


def _add(digest: "hashlib.blake2b", message: Mapping[str, Any]) -> None:
    """Add what a message says; blanks around it, and how its text is written down, make no difference."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    for part in (message.get("role"), *parts, message.get("tool_calls"), message.get("tool_call_id")):
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
        if text is None:  # what most messages lack
            digest.update(_NOTHING)
            continue
        data = text.strip() if isinstance(text, str) else json.dumps(text, sort_keys=True, default=str)
        digest.update(data.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
