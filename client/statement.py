"""What is said of an answer, and which answer is meant."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, TypedDict


class HasId(Protocol):
    """An answer of an `openai` or `anthropic` client, a chunk of its stream, a route: its id names the decision."""

    @property
    def id(self) -> str:
        """Such as `chatcmpl-hw-...`."""


@dataclass(frozen=True, slots=True)
class Request:
    """The answer to a request that was sent with an id of your own (`x-request-id`, `metadata.request_id` and such)."""

    id: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """All answers so far of a conversation that was sent with an id of your own (`x-conversation-id` and such)."""

    id: str


Answer = str | HasId | Request | Conversation  # an id, or something that has one
Value = bool | float | str | None  # as the metric takes it; None takes back what was said


class About(TypedDict, total=False):
    """What may be said beside a value."""

    comment: str | None
    source: Literal["user", "tool", "grader"]  # who or what says it; user, if nothing is said
    user: str | None  # which person; the log gets a pseudonym
    idempotency_key: str | None  # left out: a new one, so that repetitions count once


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing said of an answer, for `say_all`.

    >>> Statement("chatcmpl-hw-abc", True, idempotency_key="k").body()
    {'decision_id': 'hw-abc', 'value': True, 'metric': 'thumbs', 'source': 'user', 'idempotency_key': 'k'}
    >>> Statement(Conversation("chat 7"), 4, metric="rating", idempotency_key="k").body()["conversation_id"]
    'chat 7'
    """

    answer: Answer
    value: Value
    metric: str = "thumbs"
    comment: str | None = None
    other: str | HasId | None = None  # of a preference: the answer it is compared with
    source: Literal["user", "tool", "grader"] = "user"
    user: str | None = None
    idempotency_key: str | None = None

    def body(self) -> Mapping[str, Any]:
        """Return it as `POST /v1/feedback` takes it."""
        names = [field.name for field in fields(self) if field.name not in ("answer", "other")]
        optional = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        other = {} if self.other is None else {"other": decision_id_of(self.other)}
        key = self.idempotency_key or uuid.uuid4().hex
        return {**_target(self.answer), "value": self.value, **optional, **other, "idempotency_key": key}


def decision_id_of(answer: str | HasId) -> str:
    """Return the id of the decision that made an answer.

    >>> decision_id_of("resp_hw-Zk3")
    'hw-Zk3'

    Raises ValueError where there is none: the answer did not come through a router.
    """
    name = answer if isinstance(answer, str) else getattr(answer, "id", None)
    named = re.fullmatch(r"(?:chatcmpl-|cmpl-|msg_|resp_)?(hw-[\w-]+)", name) if isinstance(name, str) else None
    if named is None:
        raise ValueError(f"no decision is named by {name!r}; an answer's id, from a router, is such as chatcmpl-hw-...")
    return named[1]


def _target(answer: Answer) -> Mapping[str, str]:
    if isinstance(answer, Request):
        return {"request_id": answer.id}
    if isinstance(answer, Conversation):
        return {"conversation_id": answer.id}
    return {"decision_id": decision_id_of(answer)}
