"""Stores the answers that may be given again, once they are whole."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.types import Arm, Decision, Mode, Status
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache
from highwayman.serving.completions.answer_cache.answer_store import StoredAnswer
from highwayman.serving.completions.calls.observers import CompletedCall
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.requests.request import CompletionRequest

_MOST_CHARS = 64_000  # of an answer that is stored
_WHOLE = "stop"  # the finish reason of an answer that its model brought to its end
_DRAWN = (Mode.ROUTE, Mode.CASCADE)  # how a policy's answers come about, also the last one of a cascade


@dataclass(frozen=True, slots=True)
class AnswerRecorder:
    """Stores what arms of the pool have said to the end, to requests that have a key."""

    cache: AnswerCache
    clock: Callable[[], float]  # seconds since the epoch
    guard: DataGuard | None = None  # knows what may be stored; None: everything
    on_stored: Callable[[str], Awaitable[None]] | None = None  # called with the decision of each that was

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer may be stored: one that is given again is not."""
        return request.answer_key is not None and decision.mode in _DRAWN and arm.name not in CACHED_ARMS

    async def on_completion(self, completed: CompletedCall) -> None:
        """Store an answer that is whole, and nothing but text."""
        transcript, outcome, key = completed.transcript, completed.outcome, completed.request.answer_key
        if key is None or transcript is None or not completed.is_wanted_by(self):
            return
        if outcome.status is not Status.OK or outcome.finish_reason != _WHOLE or transcript.tool_calls:
            return
        text = transcript.text
        if self.guard is not None:
            cleared = await self.guard.raised(completed.request.query.clearance, text)
            if not cleared.is_stored:
                return
        if text.strip() and len(text) <= _MOST_CHARS:
            decision = completed.decision
            used = outcome.tokens_in, outcome.tokens_out
            answer = StoredAnswer(text, outcome.arm, self.clock(), *used, user=decision.user, decision_id=decision.id)
            await self.cache.store(key, completed.request.query.text, answer)
            if self.on_stored is not None:
                await self.on_stored(decision.id)
