"""Hands sampled answers to the judge, and files its verdict: a score, or a preference over a shadow answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydantic_core

from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import InvalidFeedback, UnknownDecision, UpstreamError
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.profile import upstream_body, without_tools
from highwayman.env.types import Arm, Decision, Mode, Status, Usage
from highwayman.env.upstream.transcript import Transcript
from highwayman.env.upstream.usage_report import parse_usage
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.judge.judge import LlmJudge
from highwayman.feedback.judge.sampling import pick_judge
from highwayman.feedback.judge.types import JudgeInput, JudgeVerdict, NoVerdict, Preference
from highwayman.feedback.trust.principal import FEEDBACK, Principal
from highwayman.serving.completions.internal_calls import InternalCall, InternalCalls
from highwayman.serving.completions.observers import CompletedCall
from highwayman.serving.completions.request import CompletionRequest

SOURCE, SCORE, PREFERENCE = "judge", "judge", "judge_preference"
_PATH = "/v1/chat/completions"
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
        judge_input = _judge_input(completed, transcript, self.pool)
        if self.rng.random() < self.pairwise:
            await self._compare(completed, judge_input)
            return
        verdict = await self.judge.score(judge_input, drawn=True)
        await self._record_cost(verdict, completed.decision)
        if isinstance(verdict, NoVerdict):
            self.on_result(verdict.reason)
            return
        comment = _verdict_text(verdict, how=verdict.how, stderr=verdict.stderr)
        submission = FeedbackSubmission(
            FeedbackTarget(completed.decision.id), SCORE, verdict.quality, SOURCE, comment=comment
        )
        await self._submit(submission, completed.decision.tenant)

    async def _compare(self, completed: CompletedCall, judge_input: JudgeInput) -> None:
        """Let another arm answer, too, and ask which answer is better."""
        others = [
            name
            for name in completed.decision.arms
            if name in self.pool.arms and name != judge_input.arm.name and self._can_compare(judge_input, name)
        ]
        if not others:
            self.on_result("no_other_arm")
            return
        other = self.pool.arm(str(self.rng.choice(others)))
        text, shadow = await self._shadow(other, completed)
        if not text:
            self.on_result("no_shadow_answer")
            return
        preference = await self.judge.compare(judge_input, text, other)
        await self._record_cost(preference, completed.decision)
        if isinstance(preference, NoVerdict):
            self.on_result(preference.reason)
            return
        comment = _verdict_text(preference, how=preference.how, position_bias=round(preference.position_bias, 4))
        target = FeedbackTarget(completed.decision.id)
        await self._submit(
            FeedbackSubmission(
                target, PREFERENCE, preference.share, SOURCE, comment=comment, compared_decision_id=shadow
            ),
            completed.decision.tenant,
        )

    def _can_compare(self, judge_input: JudgeInput, other: str) -> bool:
        """Return whether there is a judge of the answers of both."""
        return pick_judge(self.judge.arms, (judge_input.arm, self.pool.arm(other))) is not None

    async def _shadow(self, arm: Arm, completed: CompletedCall) -> tuple[str, str]:
        """Return another arm's answer to the same request, and the id of its decision."""
        asked = completed.request.body
        body = without_tools(asked) if completed.outcome.tools_dropped else asked
        body = {name: value for name, value in body.items() if not name.startswith("stream")}
        started, response, transcript = self.timer(), None, Transcript()
        try:
            async with asyncio.timeout(self.judge.settings.timeout_s):
                answer = await self.judge.upstream.open(
                    [arm], _PATH, lambda called_arm: upstream_body(body, called_arm, chat=True)
                )
                response = pydantic_core.from_json(await answer.body())
        except (TimeoutError, UpstreamError, ValueError):
            response = None
        transcript.add(response)
        usage = parse_usage(response) or Usage(0, 0)
        call = InternalCall(arm, usage, cost_usd(arm, usage), self.timer() - started, ok=bool(transcript.text))
        return transcript.text, await self.internal_calls.record(
            call, completed.decision, Mode.SHADOW, objective="shadow"
        )

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


def _judge_input(completed: CompletedCall, transcript: Transcript, pool: Pool) -> JudgeInput:
    body, decision = completed.request.body, completed.decision
    metadata = body.get("metadata")
    reference: Any = metadata.get(_REFERENCE) if isinstance(metadata, dict) else None
    return JudgeInput(
        decision.id,
        decision.tenant,
        _author(completed, pool),
        body["messages"],
        transcript.text,
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
