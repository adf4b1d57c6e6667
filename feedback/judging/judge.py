"""The judge at work: asks a model of the pool by the same way as requests go, and reads what it says."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pydantic_core

from highwayman.env.cost import cost_usd
from highwayman.env.errors import UpstreamError
from highwayman.env.sse import usage_of
from highwayman.env.types import Arm, JsonObject, Profile, Usage
from highwayman.env.upstream import Upstream
from highwayman.feedback.judging.rubric import Case, Rubric, comparing, grading, suspect
from highwayman.feedback.judging.sampling import Purse, Sampler, expected_usd
from highwayman.feedback.judging.verdict import Score, Silence, read_preference, read_score

_PATH = "/v1/chat/completions"
_MARK_BYTES = 9
_EXTRAS = ("response_format", "logprobs", "top_logprobs")  # that not every server takes


@dataclass(frozen=True, slots=True)
class Expense:
    """One call of a judge's, whatever came of it."""

    arm: Arm
    usage: Usage
    usd: float | None  # None: the judge has no price
    latency_s: float
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two answers is better, as seen in both orders."""

    share: float  # of the preference that the served answer got, in [0, 1]
    lean: float  # how much more the first place got than the second, in [-0.5, 0.5], whatever stood there


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case, and what it cost."""

    found: Score | Preference | Silence
    expenses: tuple[Expense, ...] = ()


@dataclass(slots=True)
class Judge:
    """Judges cases. Nothing it hears or says is logged."""

    upstream: Upstream
    sampler: Sampler
    purse: Purse
    rubric: Rubric
    timer: Callable[[], float]  # monotonic seconds
    entropy: Callable[[int], bytes]
    timeout_s: float = 60.0

    async def ask(self, case: Case) -> Verdict:
        """Return the score of an answer."""
        taken = self._taken(case, calls=1)
        if isinstance(taken, Silence):
            return Verdict(taken)
        judge, usd = taken
        said, expense = await self._call(judge, grading(case, self.rubric, self._mark()))
        self.purse.settle(usd, expense.usd or 0.0)
        return Verdict(said if isinstance(said, Silence) else read_score(said, self.rubric), (expense,))

    async def compare(self, case: Case, other: str) -> Verdict:
        """Return whether the answer is better than `other`, asked in both orders so that places do not count.

        Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", NeurIPS 2023, section 3.4: a judge leans
        to a place. The mean of both orders cancels a lean that does not depend on the answers.
        """
        if suspect(other):
            return Verdict(Silence.SUSPECT)
        taken = self._taken(case, calls=2)
        if isinstance(taken, Silence):
            return Verdict(taken)
        judge, usd = taken
        asked = [
            comparing(case, pair, self.rubric, self._mark()) for pair in ((case.answer, other), (other, case.answer))
        ]
        heard = [await self._call(judge, one) for one in asked]
        expenses = tuple(expense for _, expense in heard)
        self.purse.settle(usd, sum(one.usd or 0.0 for one in expenses))
        firsts = [said if isinstance(said, Silence) else read_preference(said) for said, _ in heard]
        for one in firsts:
            if isinstance(one, Silence):
                return Verdict(one, expenses)
        served_first, other_first = (float(one) for one in firsts)
        return Verdict(
            Preference((served_first + 1.0 - other_first) / 2.0, (served_first + other_first) / 2.0 - 0.5), expenses
        )

    def _taken(self, case: Case, *, calls: int) -> tuple[Arm, float] | Silence:
        """Return who judges, and the dollars set aside for it, or why nobody does."""
        if suspect(case.answer):
            return Silence.SUSPECT
        judge = self.sampler.judge_of(case)
        if judge is None:
            return Silence.OWN_ANSWER
        usd = expected_usd(judge, case, self.rubric, calls=calls)
        return (replace(judge, profile=Profile()), usd) if self.purse.take(usd) else Silence.BUDGET

    async def _call(self, judge: Arm, asked: JsonObject) -> tuple[Any, Expense]:
        """Return what the judge answers (parsed), and what it cost; without extras where its server takes none."""
        started = self.timer()
        said: Any = Silence.FAILED
        try:
            async with asyncio.timeout(self.timeout_s):
                said = await self._answer(judge, asked)
        except TimeoutError:
            said = Silence.TIMEOUT
        except UpstreamError as error:
            said = Silence.TIMEOUT if error.status == 504 else Silence.FAILED
        usage = None if isinstance(said, Silence) else usage_of(said)
        used = usage or Usage(0, 0)
        took_s = self.timer() - started
        return said, Expense(judge, used, cost_usd(judge, used), took_s, ok=not isinstance(said, Silence))

    async def _answer(self, judge: Arm, asked: JsonObject) -> Any:
        """Return a whole answer, parsed, or why there is none. Raises UpstreamError."""
        for body in (asked, {name: value for name, value in asked.items() if name not in _EXTRAS}):
            answer = await self.upstream.open([judge], _PATH, lambda arm, body=body: {**body, "model": arm.model})  # type: ignore[misc]
            raw = await answer.body()
            if answer.status in (400, 422):
                continue
            if answer.status >= 400:
                return Silence.FAILED
            try:
                return pydantic_core.from_json(raw)
            except ValueError:
                return Silence.JUNK
        return Silence.REFUSED

    def _mark(self) -> str:
        return self.entropy(_MARK_BYTES).hex()
