"""Hands sampled answers to the judge, and files what it says: a score, or a preference over a shadow answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydantic_core

from highwayman.env.cost.usage import cost_usd
from highwayman.env.errors import InvalidFeedback, UnknownDecision, UpstreamError
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.profile import upstream_body
from highwayman.env.types import Arm, Decision, Mode, Status, Usage
from highwayman.env.upstream.sse import usage_of
from highwayman.env.upstream.transcript import Transcript
from highwayman.feedback.intake.service import Intake
from highwayman.feedback.intake.submission import About, Said
from highwayman.feedback.judge.judge import Judge
from highwayman.feedback.judge.sampling import judge_for
from highwayman.feedback.judge.types import Case, Missing, Preference, Verdict
from highwayman.feedback.trust.principal import FEEDBACK, Caller
from highwayman.serving.completions.internal_calls import Called, Entries
from highwayman.serving.completions.observers import Answered
from highwayman.serving.completions.request import Asked

SOURCE, SCORE, PREFERENCE = "judge", "judge", "judge_preference"
_PATH = "/v1/chat/completions"
_REFERENCE = "reference"  # of a request's metadata: a good answer


@dataclass(slots=True)
class JudgeEar:
    """Has a share of the answers judged, each in its turn."""

    judge: Judge
    pool: Pool
    intake: Intake
    entries: Entries
    rng: np.random.Generator
    pairwise: float  # share of the cases that are compared with a shadow answer
    timer: Callable[[], float]  # monotonic seconds
    tell: Callable[[str], None]  # what came of each case: judge, judge_preference, or why there is neither

    def wants_text(self, asked: Asked, decision: Decision, arm: Arm) -> bool:
        """Return whether this answer is drawn to be judged."""
        return asked.chat and self.judge.draws(arm.name)

    async def hear(self, answered: Answered) -> None:
        """Judge an answer that was drawn, and file what comes of it."""
        transcript = answered.transcript
        if not answered.drawn_by(self) or transcript is None or answered.outcome.status is not Status.OK:
            return
        if not transcript.text.strip():
            return
        case = _case(answered, transcript, self.pool)
        if self.rng.random() < self.pairwise:
            await self._compare(answered, case)
            return
        found = await self.judge.ask(case, drawn=True)
        await self._pay(found, answered.decision)
        if isinstance(found, Missing):
            self.tell(found.reason)
            return
        words = _words(found, how=found.how, stderr=found.stderr)
        said = Said(About(answered.decision.id), SCORE, found.quality, SOURCE, comment=words)
        await self._say(said, answered.decision.tenant)

    async def _compare(self, answered: Answered, case: Case) -> None:
        """Let another arm answer, too, and ask which answer is better."""
        others = [name for name in answered.decision.arms if name != case.arm.name and self._judged(case, name)]
        if not others:
            self.tell("no_other_arm")
            return
        other = self.pool.arm(str(self.rng.choice(others)))
        text, shadow = await self._shadow(other, answered)
        if not text:
            self.tell("no_shadow_answer")
            return
        found = await self.judge.compare(case, text, other)
        await self._pay(found, answered.decision)
        if isinstance(found, Missing):
            self.tell(found.reason)
            return
        words = _words(found, how=found.how, position_bias=round(found.position_bias, 4))
        about = About(answered.decision.id)
        await self._say(
            Said(about, PREFERENCE, found.share, SOURCE, comment=words, other=shadow), answered.decision.tenant
        )

    def _judged(self, case: Case, other: str) -> bool:
        """Return whether there is a judge of the answers of both."""
        return judge_for(self.judge.arms, (case.arm, self.pool.arm(other))) is not None

    async def _shadow(self, arm: Arm, answered: Answered) -> tuple[str, str]:
        """Return another arm's answer to the same request, and the id of its decision."""
        body = {name: value for name, value in answered.asked.body.items() if not name.startswith("stream")}
        started, said, transcript = self.timer(), None, Transcript()
        try:
            async with asyncio.timeout(self.judge.settings.timeout_s):
                answer = await self.judge.upstream.open([arm], _PATH, lambda one: upstream_body(body, one, chat=True))
                said = pydantic_core.from_json(await answer.body())
        except (TimeoutError, UpstreamError, ValueError):
            said = None
        transcript.add(said)
        usage = usage_of(said) or Usage(0, 0)
        called = Called(arm, usage, cost_usd(arm, usage), self.timer() - started, ok=bool(transcript.text))
        return transcript.text, await self.entries.enter(called, answered.decision, Mode.SHADOW, objective="shadow")

    async def _pay(self, found: Verdict | Preference | Missing, because: Decision) -> None:
        """Enter what was asked of a judge, if anybody was."""
        if not found.arm:
            return
        called = Called(
            self.pool.arm(found.arm), found.usage, found.cost_usd, found.latency_s, not isinstance(found, Missing)
        )
        await self.entries.enter(called, because, Mode.FORCED, objective="judge")

    async def _say(self, said: Said, tenant: str) -> None:
        try:
            await self.intake.take(said, Caller(tenant, scopes=frozenset({FEEDBACK})))
        except (InvalidFeedback, UnknownDecision):  # its metric was declared otherwise, or it is too old
            return
        self.tell(said.metric)


def _case(answered: Answered, transcript: Transcript, pool: Pool) -> Case:
    body, decision = answered.asked.body, answered.decision
    metadata = body.get("metadata")
    reference: Any = metadata.get(_REFERENCE) if isinstance(metadata, dict) else None
    return Case(
        decision.id,
        decision.tenant,
        pool.arm(answered.outcome.arm),
        body["messages"],
        transcript.text,
        reference if isinstance(reference, str) else None,
    )


def _words(found: Verdict | Preference, **words: str | float | None) -> str:
    """Return who judged, and how, as JSON: it stands beside the statement on the log."""
    return str(pydantic_core.to_json({"by": found.arm, **words}), "utf-8")
