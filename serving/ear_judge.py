"""Hands sampled answers to the judge, and files what it says: a score, or a preference over a shadow answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pydantic_core

from highwayman.env.cost import cost_usd
from highwayman.env.errors import InvalidFeedback, UnknownDecision, UpstreamError
from highwayman.env.pool import Pool
from highwayman.env.profile import upstream_body
from highwayman.env.sse import usage_of
from highwayman.env.transcript import Transcript
from highwayman.env.types import Arm, Decision, Mode, Status, Usage
from highwayman.feedback.judging.judge import Judge, Preference, Verdict
from highwayman.feedback.judging.rubric import Case
from highwayman.feedback.judging.verdict import Score, Silence
from highwayman.feedback.said import About, Said
from highwayman.serving.audience import Answered
from highwayman.serving.caller import FEEDBACK, Caller
from highwayman.serving.entries import Called, Entries
from highwayman.serving.intake import Intake
from highwayman.serving.wire import Asked

SOURCE, SCORE, PREFERENCE = "judge", "judge", "judge_preference"
_PATH = "/v1/chat/completions"
_REFERENCE = "reference"  # of a request's metadata: a good answer
_MOST_WAITING = 100
_AT_ONCE = 2


@dataclass(slots=True)
class JudgeEar:
    """Judges a share of the answers, some at a time; what comes when too many wait is not judged."""

    judge: Judge
    pool: Pool
    intake: Intake
    entries: Entries
    rng: np.random.Generator
    pairwise: float  # share of the cases that are compared with a shadow answer
    timer: Callable[[], float]  # monotonic seconds
    tell: Callable[[str], None]  # what came of each case: score, preference, or why there is neither
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _waiting: int = 0
    _drawn: set[str] = field(default_factory=set)

    def wants_text(self, asked: Asked, decision: Decision, arm: Arm) -> bool:
        """Return whether this answer is drawn to be judged."""
        drawn = asked.chat and self.judge.sampler.draws(arm.name)
        if drawn:
            self._drawn.add(decision.id)
        return drawn

    async def hear(self, answered: Answered) -> None:
        """Judge an answer that was drawn, and file what comes of it."""
        name, transcript = answered.decision.id, answered.transcript
        if name not in self._drawn:
            return
        self._drawn.discard(name)
        if answered.outcome.status is not Status.OK or transcript is None or not transcript.text.strip():
            return
        if self._waiting >= _MOST_WAITING:
            self.tell(Silence.BUSY)
            return
        self._waiting += 1
        try:
            async with self._at_once:
                await self._judge(answered, _case(answered, transcript, self.pool))
        finally:
            self._waiting -= 1

    async def _judge(self, answered: Answered, case: Case) -> None:
        if self.rng.random() < self.pairwise:
            await self._compare(answered, case)
            return
        verdict = await self.judge.ask(case)
        await self._pay(verdict, answered.decision)
        if isinstance(verdict.found, Score):
            words = _words(verdict, how=verdict.found.how, deviation=round(verdict.found.deviation, 4))
            said = Said(About(answered.decision.id), SCORE, verdict.found.quality, SOURCE, comment=words)
            await self._say(said, answered.decision.tenant)
        else:
            self.tell(str(verdict.found))

    async def _compare(self, answered: Answered, case: Case) -> None:
        """Let another arm answer, too, and ask which answer is better."""
        others = [name for name in answered.decision.arms if name != case.arm]
        if not others:
            self.tell("no_other_arm")
            return
        other = self.pool.arm(str(self.rng.choice(others)))
        text, shadow = await self._shadow(other, answered)
        if not text:
            self.tell("no_shadow_answer")
            return
        verdict = await self.judge.compare(case, text)
        await self._pay(verdict, answered.decision)
        if isinstance(verdict.found, Preference):
            words = _words(verdict, lean=round(verdict.found.lean, 4))
            about = About(answered.decision.id)
            said = Said(about, PREFERENCE, verdict.found.share, SOURCE, comment=words, other=shadow)
            await self._say(said, answered.decision.tenant)
        else:
            self.tell(str(verdict.found))

    async def _shadow(self, arm: Arm, answered: Answered) -> tuple[str, str]:
        """Return another arm's answer to the same request, and the id of its decision."""
        body = {name: value for name, value in answered.asked.body.items() if not name.startswith("stream")}
        started, said, transcript = self.timer(), None, Transcript()
        try:
            async with asyncio.timeout(self.judge.timeout_s):
                answer = await self.judge.upstream.open([arm], _PATH, lambda one: upstream_body(body, one, chat=True))
                said = pydantic_core.from_json(await answer.body())
        except (TimeoutError, UpstreamError, ValueError):
            said = None
        transcript.add(said)
        usage = usage_of(said) or Usage(0, 0)
        called = Called(arm, usage, cost_usd(arm, usage), self.timer() - started, ok=bool(transcript.text))
        return transcript.text, await self.entries.enter(called, answered.decision, Mode.SHADOW, objective="shadow")

    async def _pay(self, verdict: Verdict, because: Decision) -> None:
        for one in verdict.expenses:
            called = Called(one.arm, one.usage, one.usd, one.latency_s, one.ok)
            await self.entries.enter(called, because, Mode.FORCED, objective="judge")

    async def _say(self, said: Said, tenant: str) -> None:
        try:
            await self.intake.take(said, Caller(tenant, scopes=frozenset({FEEDBACK})))
        except (InvalidFeedback, UnknownDecision):  # its metric was declared otherwise, or it is too old
            return
        self.tell(said.metric)


def _case(answered: Answered, transcript: Transcript, pool: Pool) -> Case:
    body, arm = answered.asked.body, pool.arm(answered.outcome.arm)
    metadata = body.get("metadata")
    reference: Any = metadata.get(_REFERENCE) if isinstance(metadata, dict) else None
    return Case(
        body["messages"], transcript.text, arm.name, arm.model, reference if isinstance(reference, str) else None
    )


def _words(verdict: Verdict, **words: str | float) -> str:
    """Return who judged, and how, as JSON: it stands beside the statement on the log."""
    return str(pydantic_core.to_json({"by": verdict.expenses[0].arm.name, **words}), "utf-8")
