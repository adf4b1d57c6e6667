"""Files implicit feedback: an answer asked for again, a rephrased question, an abandoned answer, a failed tool."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.types import CLIENT_TASK, Arm, Decision, Status
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.implicit_signals import (
    ABANDONED,
    REGENERATED,
    REPHRASED,
    TOOL_FAILURE,
    has_invalid_tool_calls,
    implicit_signals,
    turn_key,
)
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.principal import FEEDBACK, Principal
from highwayman.serving.completions.calls.observers import CompletedCall
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.http.client_ids import LinkExtractor

SOURCE = "implicit"
_TURN = "turn"
_OF_MESSAGES = frozenset({REPHRASED, TOOL_FAILURE})
OF_TURNS = _OF_MESSAGES | {REGENERATED}  # that need to find the answers to a turn
_SOON_S = 600.0  # who asks the same later than this asks anew


@dataclass(frozen=True, slots=True)
class ImplicitSignalObserver:
    """Files weak statements, each about the answer it speaks of."""

    signals: frozenset[str]  # the signals that are switched on
    service: FeedbackService
    store: Store
    ids: DecisionIds
    similarity: Callable[[str, str], float]  # of two texts; it blocks
    may_compare: Callable[[CompletionRequest], bool] = lambda request: True  # whether its texts may go there

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer may call tools, and failures of tools are watched for."""
        return TOOL_FAILURE in self.signals and bool(request.body.get("tools"))

    async def on_completion(self, completed: CompletedCall) -> None:
        """File what a request implies about earlier answers, and its end about its own.

        A client's task implies nothing.
        """
        if CLIENT_TASK in completed.decision.context.flags:
            return
        for metric in self._own_signals(completed):
            await self._submit(metric, completed.decision, completed.decision)
        if not completed.request.chat:
            return
        messages, secret, current = completed.request.body["messages"], self.ids.secrets[0], completed.decision
        if REGENERATED in self.signals and current.links:
            await self._submit_earlier(
                REGENERATED, current.links[-1], current
            )  # its own turn's: `with_turn_links` puts it there
        if self.signals & _OF_MESSAGES:
            similarity = self.similarity if self.may_compare(completed.request) else _unlike
            for signal in await asyncio.to_thread(implicit_signals, messages, secret, similarity):
                if signal.metric in self.signals:
                    await self._submit_earlier(
                        signal.metric, self.ids.link(_TURN, signal.turn, current.tenant), current
                    )

    def _own_signals(self, completed: CompletedCall) -> list[str]:
        """Return the metrics that the end of an answer implies for it."""
        outcome, transcript = completed.outcome, completed.transcript
        abandoned = completed.request.stream and outcome.status is Status.CLIENT_GONE and outcome.tokens_out > 0
        has_failed_tool = transcript is not None and has_invalid_tool_calls(
            transcript.tool_calls, completed.request.body.get("tools")
        )
        metrics = [*([ABANDONED] if abandoned else []), *([TOOL_FAILURE] if has_failed_tool else [])]
        return [metric for metric in metrics if metric in self.signals]

    async def _submit_earlier(self, metric: str, link: str, current: Decision) -> None:
        """File a signal about the newest answer to a turn before `current`, if there is one."""
        earlier = await self._earlier(link, current, regenerated=metric == REGENERATED)
        if earlier is not None:
            await self._submit(metric, earlier, current)

    async def _earlier(self, link: str, current: Decision, *, regenerated: bool) -> Decision | None:
        """Return the newest decision on a turn before `current`; if `regenerated`, of the same person and recent."""
        names = await self.store.linked_decisions(link)
        records = await self.store.records([name for name in names if name != current.id])
        decisions = [
            record.decision
            for record in records.values()
            if record.decision is not None
            and record.outcome is not None
            and record.outcome.answered
            and record.outcome.at <= current.at
            and not (
                regenerated and (record.decision.user != current.user or current.at - record.decision.at > _SOON_S)
            )
        ]
        return max(decisions, key=lambda decision: decision.at, default=None)

    async def _submit(self, metric: str, target: Decision, cause: Decision) -> None:
        submission = FeedbackSubmission(
            FeedbackTarget(target.id), metric, value=True, source=SOURCE, idempotency_key=f"{metric}:{cause.id}"
        )
        try:
            await self.service.submit(submission, Principal(target.tenant, scopes=frozenset({FEEDBACK})))
        except (InvalidFeedback, UnknownDecision):  # its metric was declared otherwise, or it is too old
            return


def _unlike(text: str, other: str) -> float:
    """Return 0, whatever two texts are: nobody may compare them."""
    return 0.0


def with_turn_links(links: LinkExtractor, ids: DecisionIds) -> LinkExtractor:
    """Return links under which the decision is found by the turn it answers, too."""

    def links_with_turn(scope: Any, body: Mapping[str, Any], tenant: str) -> tuple[str, ...]:
        messages = body.get("messages")
        if messages is None:
            return links(scope, body, tenant)
        return (*links(scope, body, tenant), ids.link(_TURN, turn_key(messages, ids.secrets[0]), tenant))

    return links_with_turn
