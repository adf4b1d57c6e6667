"""Conversations as they come by: who called the tool whose result a request brings, and who answers it now."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from highwayman.env.tasks import BackgroundTasks
from highwayman.serving.completions.conversations.continuation import NEW_CONVERSATION, Continuation
from highwayman.serving.completions.conversations.conversation_keys import (
    ConversationKeys,
    answer_key,
    call_key,
    conversation_keys,
    conversation_name,
    loose_call_key,
)
from highwayman.serving.completions.conversations.conversation_memory import ConversationMemory
from highwayman.serving.completions.conversations.tool_call_watcher import ToolCallWatcher
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.http.asgi import Scope, Send
from highwayman.serving.http.client_ids import ClientIds, ClientIdSources
from highwayman.serving.http.client_tasks import ClientTasks

_LARGE_CHARS = 200_000  # of a prompt, beyond which its history is read beside the other requests


@dataclass(frozen=True, slots=True)
class Turn:
    """One request within its conversation."""

    continuation: Continuation = NEW_CONVERSATION
    keys: ConversationKeys | None = None  # None: nothing of its answer need be remembered
    tenant: str = ""


_NEW_TURN = Turn()  # of a conversation of which nothing need be known


class ConversationTracker:
    """Tells where a request stands in its conversation, and remembers who answered it."""

    def __init__(
        self,
        memory: ConversationMemory,
        sources: ClientIdSources,
        tasks: ClientTasks,
        *,
        secret: Callable[[], bytes],
        background: BackgroundTasks,
        switches_cost: bool = False,
        has_replicas: bool = True,
    ) -> None:
        """Take the memory, where clients put ids, and what recognises tasks of their own.

        Args:
            memory: of who answered.
            sources: of clients' ids.
            tasks: recognises what a client asks for itself.
            secret: returns the namespace's.
            background: where writes may end in peace.
            switches_cost: whether an arm has a price for cached tokens, or seconds count: then every turn's arm is
                remembered.
            has_replicas: whether an arm has several endpoints, of which a conversation's own is asked first.
        """
        self._memory = memory
        self._sources = sources
        self._tasks = tasks
        self._secret = secret
        self._background = background
        self._switches_cost = switches_cost
        self._has_replicas = has_replicas

    def follow(self, *, switches_cost: bool, has_replicas: bool) -> None:
        """Go on with a pool of which this is true."""
        self._switches_cost, self._has_replicas = switches_cost, has_replicas

    async def turn(self, request: CompletionRequest, scope: Scope, tenant: str) -> Turn:
        """Return where a request stands; only one that has to do with tools is looked up, or where a switch costs."""
        if self._tasks.matches(scope, request.body):
            return Turn(Continuation(is_client_task=True))
        if not request.chat:
            return _NEW_TURN
        needs_keys = self._switches_cost or _has_to_do_with_tools(request.body)
        if not (needs_keys or self._has_replicas):
            return _NEW_TURN
        ids = self._sources.extract(scope, request.body)
        read = partial(_read, request.body, self._secret(), tenant=tenant, ids=ids, needs_keys=needs_keys)
        affinity, keys = await asyncio.to_thread(read) if request.query.prompt_chars > _LARGE_CHARS else read()
        if keys is None:
            return Turn(Continuation(affinity=affinity))
        caller = await self._memory.recall(keys.callers) if keys.reads_tool_result else None
        holder = None
        if self._switches_cost:
            holder = caller or await self._memory.recall(keys.previous)
        continuation = Continuation(keys.reads_tool_result, caller, holder, keys.cached_share, affinity=affinity)
        return Turn(continuation, keys, tenant)

    def recording(self, turn: Turn, send: Send, answer_id: str) -> Send:
        """Return a `send` through which the arm that answers is remembered before the client can go on."""
        if turn.keys is None:
            return send
        recorder = _Recorder(self._memory, turn, self._secret(), self._background, answer_id=answer_id)
        return ToolCallWatcher(send, recorder)


def _read(
    body: Mapping[str, Any], secret: bytes, *, tenant: str, ids: ClientIds, needs_keys: bool
) -> tuple[str, ConversationKeys | None]:
    """Return the conversation's name, and its keys where they are needed."""
    messages = body["messages"]
    name = conversation_name(messages, secret, tenant=tenant, conversation=ids.conversation)
    if not needs_keys:
        return name, None
    keys = conversation_keys(
        messages, secret, tenant=tenant, conversation=ids.conversation, previous_answer=ids.previous_answer
    )
    return name, keys


def _has_to_do_with_tools(body: Mapping[str, Any]) -> bool:
    """Return whether the answer may call a tool, or the conversation holds a tool's result."""
    if body.get("tools") or body.get("functions"):
        return True
    roles = [message.get("role") for message in body["messages"]]
    return "tool" in roles or "function" in roles


class _Recorder:
    """Remembers one answer: its turn as soon as it begins, its tool calls as they come."""

    def __init__(
        self, memory: ConversationMemory, turn: Turn, secret: bytes, background: BackgroundTasks, *, answer_id: str
    ) -> None:
        self._memory = memory
        self._turn = turn
        self._secret = secret
        self._background = background
        keys = turn.keys.turn if turn.keys is not None else ()
        self._keys = (*keys, answer_key(secret, answer_id, tenant=turn.tenant))
        self._sharing: asyncio.Task[None] | None = None
        self._begun = False

    async def __call__(self, arm: str, calls: list[str], client_may_go_on: bool) -> None:
        """Remember what came; wait for the other processes to know it where the client may go on to one of them."""
        new = [*(() if self._begun else self._keys), *self._call_keys(calls)]
        self._begun = True
        if new:
            self._memory.remember(new, arm)
            earlier, self._sharing = self._sharing, self._background.spawn(self._memory.share(new, arm))
            if earlier is not None:
                await asyncio.wait({earlier})
        if client_may_go_on and self._sharing is not None:
            await asyncio.wait({self._sharing})

    def _call_keys(self, calls: list[str]) -> list[str]:
        exact = [call_key(self._keys[0], call) for call in calls]
        return [*exact, *(loose_call_key(self._secret, call, tenant=self._turn.tenant) for call in calls)]
