"""Hands sampled answers to the judge, and files its verdict: a score, or a preference over a shadow answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pydantic_core

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.profile import without_tools
from highwayman.env.types import Arm, Decision, Mode, Status
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.judge.judge import LlmJudge
from highwayman.feedback.judge.sampling import pick_judge
from highwayman.feedback.judge.types import JudgeInput, JudgeVerdict, NoVerdict, Preference
from highwayman.feedback.trust.principal import FEEDBACK, Principal
from highwayman.serving.completions.calls.internal_calls import InternalCall, InternalCalls
from highwayman.serving.completions.calls.observers import CompletedCall
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.unseen_answer import UnseenAnswer, ask_unseen, has_side_effects

SOURCE, SCORE, PREFERENCE = "judge", "judge", "judge_preference"
_REFERENCE = "reference"  # of a request's metadata: a good answer


@dataclass(slots=True)
class JudgeObserver:
    """Has a share of the answers judged, each in its turn."""

    judge: LlmJudge
    pool: Pool
    service: FeedbackService
    internal_calls: InternalCalls
    rng: np.random.Generator
    pairwise: float  # share of the cases that are compared with a shadow answer
    timer: Callable[[], float]  # monotonic seconds
    on_result: Callable[[str], None]  # what came of each case: judge, judge_preference, or why there is neither
    guard: DataGuard | None = None  # knows who may read an answer; None: anybody

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether this answer is drawn to be judged."""
        return request.chat and self.judge.should_judge(arm.name)

    async def on_completion(self, completed: CompletedCall) -> None:
        """Judge an answer that was drawn, and file what comes of it."""
        transcript = completed.transcript
        if not completed.is_wanted_by(self) or transcript is None or completed.outcome.status is not Status.OK:
            return
        if not transcript.text.strip():
            return
        judge_input = _judge_input(completed, transcript.text, self.pool)
        if self.rng.random() < self.pairwise:
            await self._compare(completed, judge_input)
            return
        await self._score(completed, judge_input)

    async def score_unseen(self, completed: CompletedCall, answer: UnseenAnswer) -> None:
        """Score another arm's answer to the same request."""
        seen = _judge_input(completed, answer.text, self.pool)
        await self._score(completed, replace(seen, decision_id=answer.decision_id, arm=answer.arm))

    async def compare_unseen(self, completed: CompletedCall, answer: UnseenAnswer) -> None:
        """File which of the answer that was given and another arm's is better."""
        if completed.transcript is None:
            return
        judge_input = _judge_input(completed, completed.transcript.text, self.pool)
        if not self._can_compare(judge_input.arm, answer.arm.name):
            self.on_result("no_other_arm")
            return
        await self._prefer(completed, judge_input, answer)

    async def _score(self, completed: CompletedCall, judge_input: JudgeInput) -> None:
        judge_input = await self._cleared(completed, judge_input, judge_input.answer)
        verdict = await self.judge.score(judge_input, drawn=True)
        await self._record_cost(verdict, completed.decision)
        if isinstance(verdict, NoVerdict):
            self.on_result(verdict.reason)
            return
        comment = _verdict_text(verdict, how=verdict.how, stderr=verdict.stderr)
        submission = FeedbackSubmission(
            FeedbackTarget(judge_input.decision_id), SCORE, verdict.quality, SOURCE, comment=comment
        )
        await self._submit(submission, completed.decision.tenant)

    async def _compare(self, completed: CompletedCall, judge_input: JudgeInput) -> None:
        """Let another arm answer, too, and ask which answer is better."""
        candidates = () if has_side_effects(completed.request.body) else completed.decision.arms
        others = [
            name
            for name in candidates
            if name in self.pool.arms and name != judge_input.arm.name and self._can_compare(judge_input.arm, name)
        ]
        if not others:
            self.on_result("no_other_arm")
            return
        other = self.pool.arm(str(self.rng.choice(others)))
        text, shadow = await self._shadow(other, completed)
        if not text:
            self.on_result("no_shadow_answer")
            return
        await self._prefer(completed, judge_input, UnseenAnswer(other, text, shadow))

    async def _prefer(self, completed: CompletedCall, judge_input: JudgeInput, answer: UnseenAnswer) -> None:
        """Ask which of two answers is better, and file it."""
        judge_input = await self._cleared(completed, judge_input, judge_input.answer, answer.text)
        preference = await self.judge.compare(judge_input, answer.text, answer.arm)
        await self._record_cost(preference, completed.decision)
        if isinstance(preference, NoVerdict):
            self.on_result(preference.reason)
            return
        comment = _verdict_text(preference, how=preference.how, position_bias=round(preference.position_bias, 4))
        target = FeedbackTarget(completed.decision.id)
        await self._submit(
            FeedbackSubmission(
                target, PREFERENCE, preference.share, SOURCE, comment=comment, compared_decision_id=answer.decision_id
            ),
            completed.decision.tenant,
        )

    async def _cleared(self, completed: CompletedCall, judge_input: JudgeInput, *answers: str) -> JudgeInput:
        """Return it with who may read it: an answer may hold more than was asked."""
        if self.guard is None:
            return judge_input
        clearance = await self.guard.raised(completed.request.query.clearance, *answers)
        return replace(judge_input, clearance=clearance)

    def _can_compare(self, answered: Arm, other: str) -> bool:
        """Return whether there is a judge of the answers of both."""
        return pick_judge(self.judge.arms, (answered, self.pool.arm(other))) is not None

    async def _shadow(self, arm: Arm, completed: CompletedCall) -> tuple[str, str]:
        """Return another arm's answer to the same request, and the id of its decision."""
        asked = completed.request.body
        body = without_tools(asked) if completed.outcome.tools_dropped else asked
        text, call = await ask_unseen(
            self.judge.upstream, arm, body, chat=True, timeout_s=self.judge.settings.timeout_s, timer=self.timer
        )
        return text, await self.internal_calls.record(call, completed.decision, Mode.SHADOW, objective="shadow")

    async def _record_cost(self, result: JudgeVerdict | Preference | NoVerdict, cause: Decision) -> None:
        """Record the call of a judge, if one was called."""
        if not result.arm:
            return
        call = InternalCall(
            self.pool.arm(result.arm),
            result.usage,
            result.cost_usd,
            result.latency_s,
            not isinstance(result, NoVerdict),
        )
        await self.internal_calls.record(call, cause, Mode.FORCED, objective="judge")

    async def _submit(self, submission: FeedbackSubmission, tenant: str) -> None:
        try:
            await self.service.submit(submission, Principal(tenant, scopes=frozenset({FEEDBACK})))
        except (InvalidFeedback, UnknownDecision):  # its metric was declared otherwise, or it is too old
            return
        self.on_result(submission.metric)


def _judge_input(completed: CompletedCall, text: str, pool: Pool) -> JudgeInput:
    body, decision = completed.request.body, completed.decision
    metadata = body.get("metadata")
    reference: Any = metadata.get(_REFERENCE) if isinstance(metadata, dict) else None
    return JudgeInput(
        decision.id,
        decision.tenant,
        _author(completed, pool),
        body["messages"],
        text,
        reference if isinstance(reference, str) else None,
    )


def _author(completed: CompletedCall, pool: Pool) -> Arm:
    """Return the arm whose words were served, which of a stored answer is the one that gave it first."""
    stored = CACHED_ARMS.get(completed.outcome.arm)
    if stored is None:
        return pool.arm(completed.outcome.arm)
    return pool.arms.get(completed.decision.context.stored_by, stored)


def _verdict_text(verdict: JudgeVerdict | Preference, **details: str | float | None) -> str:
    """Return who judged, and how, as JSON: it stands beside the statement on the log."""
    return str(pydantic_core.to_json({"by": verdict.arm, **details}), "utf-8")
