"""Asks a judge, by the same way as requests go to arms. Nothing it sends or hears is logged."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import pydantic_core

from highwayman.env.errors import UpstreamError
from highwayman.env.pool.profile import upstream_body
from highwayman.env.types import Arm, JsonObject, Profile
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.judge.cost_meter import Bill
from highwayman.feedback.judge.logprobs import refused
from highwayman.feedback.judge.pairwise import is_consistent, position_bias, read_choice, share_of
from highwayman.feedback.judge.prompt_fencing import is_suspect
from highwayman.feedback.judge.prompts import comparing, grading, plainer
from highwayman.feedback.judge.sampling import Line, Purse, draws, judge_for, usd_at_most
from highwayman.feedback.judge.score_parsing import read_score
from highwayman.feedback.judge.settings import JudgeSettings
from highwayman.feedback.judge.types import Case, Missing, Preference, Reason, Verdict

_PATH = "/v1/chat/completions"
_ASKS_TOO_MUCH = frozenset({400, 422, 501})  # said of a request with something the server does not know
_TIMED_OUT = 504
Read = TypeVar("Read")  # what is read from one completion; never a string, which is a reason


@dataclass(slots=True)
class Judge:
    """Judges answers with the arms it was given, the first before the others."""

    upstream: Upstream
    arms: Sequence[Arm]
    settings: JudgeSettings
    clock: Callable[[], float]  # seconds since the epoch: when a day ends
    timer: Callable[[], float]  # monotonic seconds
    entropy: Callable[[int], bytes]  # unguessable, such as secrets.token_bytes
    rng: np.random.Generator
    counts: Counter[str] = field(init=False, default_factory=Counter)  # cases by what came of them
    purse: Purse = field(init=False)
    _line: Line = field(init=False)
    _turn: asyncio.Semaphore = field(init=False)
    _taken: dict[tuple[str, int], int] = field(init=False, default_factory=dict)  # which form an arm's server takes

    def __post_init__(self) -> None:
        """Open the purse and the line."""
        self.purse = Purse(self.settings.usd_per_day, self.clock)
        self._line = Line(self.settings.most_waiting + self.settings.at_once)
        self._turn = asyncio.Semaphore(self.settings.at_once)

    def draws(self, arm: str) -> bool:
        """Return whether this answer of the arm's is to be judged; one that is not is counted as such."""
        drawn = draws(arm, self.settings, self.rng)
        if not drawn:
            self.counts["not_sampled"] += 1
        return drawn

    async def ask(self, case: Case, *, drawn: bool = False) -> Verdict | Missing:
        """Return how good an answer is.

        Args:
            case: the answer.
            drawn: whether it was drawn already, as by a caller that keeps the text of those alone.
        """
        if not (drawn or self.draws(case.arm.name)):
            return Missing("not_sampled")
        suspect = is_suspect(case.answer)
        chosen = self._chosen((case.arm,), suspect=suspect)
        if not isinstance(chosen, Arm):
            return self._counted(Missing(chosen))
        bill = Bill(chosen)
        asked = [grading(case, self.settings, self.entropy)]
        found = await self._hear(bill, asked, partial(read_score, settings=self.settings))
        if isinstance(found, str):
            return self._counted(_missing(found, bill))
        said = found[0]
        verdict = Verdict(
            said.quality,
            said.stderr,
            said.how,
            chosen.name,
            usage=bill.usage,
            cost_usd=bill.cost_usd,
            latency_s=bill.latency_s,
            mass=said.mass,
            suspect=suspect,
        )
        return self._counted(verdict)

    async def compare(self, case: Case, other_answer: str, other_arm: Arm) -> Preference | Missing:
        """Return which of two answers to the same conversation is better; it is not drawn, but always asked."""
        suspect = is_suspect(case.answer) or is_suspect(other_answer)
        chosen = self._chosen((case.arm, other_arm), suspect=suspect)
        if not isinstance(chosen, Arm):
            return self._counted(Missing(chosen))
        if case.answer.strip() == other_answer.strip():
            return self._counted(Preference(0.5, 0.0, consistent=True, how="same", arm="", cost_usd=0.0))
        bill = Bill(chosen)
        orders = (case.answer, other_answer), (other_answer, case.answer)
        asked = [comparing(case, order, self.settings, self.entropy) for order in orders]
        found = await self._hear(bill, asked, read_choice)
        if isinstance(found, str):
            return self._counted(_missing(found, bill))
        (served_first, one_how), (other_first, two_how) = found
        preference = Preference(
            share_of(served_first, other_first),
            position_bias(served_first, other_first),
            consistent=is_consistent(served_first, other_first),
            how=one_how if one_how == two_how else "text",
            arm=chosen.name,
            usage=bill.usage,
            cost_usd=bill.cost_usd,
            latency_s=bill.latency_s,
            suspect=suspect,
        )
        return self._counted(preference)

    def _chosen(self, answered: Sequence[Arm], *, suspect: bool) -> Arm | Reason:
        """Return who judges, or why nobody does."""
        if suspect and self.settings.on_suspect == "missing":
            return "suspect"
        judge = judge_for(self.arms, answered)
        # A judge answers as its model does: not with an arm's own system text, nor by a vote of many answers.
        return "own_answer" if judge is None else replace(judge, profile=Profile())

    async def _hear(
        self, bill: Bill, asked: Sequence[JsonObject], read: Callable[[Any], Read | Reason]
    ) -> list[Read] | Reason:
        """Return what is read from each completion, or the first reason why nothing is; waits for its turn."""
        if not self._line.enter():
            return "queue_full"
        try:
            async with self._turn:
                return await self._hear_paid(bill, asked, read)
        finally:
            self._line.leave()

    async def _hear_paid(
        self, bill: Bill, asked: Sequence[JsonObject], read: Callable[[Any], Read | Reason]
    ) -> list[Read] | Reason:
        reserved = self.purse.reserve(sum(usd_at_most(bill.judge, one) for one in asked))
        if reserved is None:
            return "budget"
        heard: list[Read] = []
        try:
            for one in asked:
                said = await self._call(bill, one, read)
                if isinstance(said, str):
                    return cast(Reason, said)  # nothing that is read is a string
                heard.append(said)
            return heard
        finally:
            self.purse.settle(reserved, bill.debit_usd)

    async def _call(self, bill: Bill, asked: JsonObject, read: Callable[[Any], Read | Reason]) -> Read | Reason:
        """Return what is read from one completion, in time; whatever came of it is on the bill."""
        started = self.timer()
        bill.sent(asked)
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                status, answer = await self._answer(bill.judge, asked)
        except TimeoutError:
            return "timeout"
        except UpstreamError as error:
            if error.status == _TIMED_OUT:
                return "timeout"
            bill.void(asked)
            return "failed"
        finally:
            bill.latency_s += self.timer() - started
        if status >= 400:
            bill.void(asked)
            return "refused" if refused(answer) else "failed"
        bill.answered(asked, answer)
        return read(answer)

    async def _answer(self, judge: Arm, asked: JsonObject) -> tuple[int, Any]:
        """Return the status and the parsed answer, None if it is no JSON: first in the form that was taken before."""
        forms = plainer(asked)
        key = (judge.name, len(forms))
        status, answer = 0, None
        for place in sorted(range(len(forms)), key=lambda place: place != self._taken.get(key, 0)):
            status, answer = await self._exchange(judge, forms[place])
            if status < 400:
                self._taken[key] = place
            if status not in _ASKS_TOO_MUCH or refused(answer):
                break
        return status, answer

    async def _exchange(self, judge: Arm, form: JsonObject) -> tuple[int, Any]:
        answer = await self.upstream.open([judge], _PATH, lambda arm: upstream_body(form, arm, chat=True))
        try:
            raw = await answer.body()
        finally:
            answer.close()  # given up in the middle, its server shall not go on
        try:
            return answer.status, pydantic_core.from_json(raw)
        except ValueError:
            return answer.status, None

    def _counted(self, found: "Found") -> "Found":
        reason = found.reason if isinstance(found, Missing) else type(found).__name__.lower()
        self.counts[reason] += 1
        return found


Found = TypeVar("Found", Verdict, Preference, Missing)


def _missing(reason: Reason, bill: Bill) -> Missing:
    asked = reason not in ("budget", "queue_full")
    usd = bill.cost_usd if asked else 0.0
    return Missing(reason, usd, bill.judge.name if asked else "", bill.usage, bill.latency_s)
