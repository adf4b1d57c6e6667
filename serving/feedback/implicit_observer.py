"""Hears what is said of answers without anybody's saying it: asked again, put anew, left, a tool that failed."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.types import Arm, Decision, Status
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.implicit_signals import (
    ABANDONED,
    REGENERATED,
    REPHRASED,
    TOOL_FAILURE,
    broken_calls,
    signals,
    turn_key,
)
from highwayman.feedback.intake.service import Intake
from highwayman.feedback.intake.submission import About, Said
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.principal import FEEDBACK, Caller
from highwayman.serving.completions.observers import Answered
from highwayman.serving.completions.request import Asked
from highwayman.serving.http.client_ids import Links

SOURCE = "implicit"
_TURN = "turn"
_OF_MESSAGES = frozenset({REPHRASED, TOOL_FAILURE})
OF_TURNS = _OF_MESSAGES | {REGENERATED}  # that need to find the answers to a turn
_SOON_S = 600.0  # who asks the same later than this asks anew


@dataclass(frozen=True, slots=True)
class ImplicitEar:
    """Files weak statements, each about the answer it speaks of."""

    wanted: frozenset[str]  # the signals that are switched on
    intake: Intake
    store: Store
    ids: DecisionIds
    likeness: Callable[[str, str], float]  # of two texts; it blocks

    def wants_text(self, asked: Asked, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer may call tools, and that is listened for."""
        return TOOL_FAILURE in self.wanted and bool(asked.body.get("tools"))

    async def hear(self, answered: Answered) -> None:
        """File what a request says of earlier answers, and its end of its own."""
        for metric in self._of_itself(answered):
            await self._say(metric, answered.decision, answered.decision)
        if not answered.asked.chat:
            return
        messages, secret, now = answered.asked.body["messages"], self.ids.secrets[0], answered.decision
        if REGENERATED in self.wanted and now.links:
            await self._say_earlier(REGENERATED, now.links[-1], now)  # its own turn's: `with_turns` puts it there
        if self.wanted & _OF_MESSAGES:
            for signal in await asyncio.to_thread(signals, messages, secret, self.likeness):
                if signal.metric in self.wanted:
                    await self._say_earlier(signal.metric, self.ids.link(_TURN, signal.turn, now.tenant), now)

    def _of_itself(self, answered: Answered) -> list[str]:
        """Return what the end of an answer says of it."""
        outcome, transcript = answered.outcome, answered.transcript
        left = answered.asked.stream and outcome.status is Status.CLIENT_GONE and outcome.tokens_out > 0
        broken = transcript is not None and broken_calls(transcript.tool_calls, answered.asked.body.get("tools"))
        found = [*([ABANDONED] if left else []), *([TOOL_FAILURE] if broken else [])]
        return [metric for metric in found if metric in self.wanted]

    async def _say_earlier(self, metric: str, link: str, now: Decision) -> None:
        """File a signal about the newest answer to a turn before `now`, if there is one."""
        earlier = await self._earlier(link, now, again=metric == REGENERATED)
        if earlier is not None:
            await self._say(metric, earlier, now)

    async def _earlier(self, link: str, now: Decision, *, again: bool) -> Decision | None:
        """Return the newest decision on a turn before `now`; to be asked again, by the same person, not long ago."""
        names = await self.store.linked(link)
        records = await self.store.records([name for name in names if name != now.id])
        found = [
            record.decision
            for record in records.values()
            if record.decision is not None
            and record.outcome is not None
            and record.outcome.at <= now.at
            and not (again and (record.decision.user != now.user or now.at - record.decision.at > _SOON_S))
        ]
        return max(found, key=lambda one: one.at, default=None)

    async def _say(self, metric: str, about: Decision, because: Decision) -> None:
        said = Said(About(about.id), metric, value=True, source=SOURCE, idempotency_key=f"{metric}:{because.id}")
        try:
            await self.intake.take(said, Caller(about.tenant, scopes=frozenset({FEEDBACK})))
        except (InvalidFeedback, UnknownDecision):  # its metric was declared otherwise, or it is too old
            return


def with_turns(links: Links, ids: DecisionIds) -> Links:
    """Return links under which the decision is found by the turn it answers, too."""

    def found(scope: Any, body: Mapping[str, Any], tenant: str) -> tuple[str, ...]:
        messages = body.get("messages")
        if messages is None:
            return links(scope, body, tenant)
        return (*links(scope, body, tenant), ids.link(_TURN, turn_key(messages, ids.secrets[0]), tenant))

    return found
