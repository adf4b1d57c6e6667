"""Calls a judge, the same way as requests go to arms. Nothing it sends or receives is logged."""

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
from highwayman.feedback.judge.cost_meter import CallCostMeter
from highwayman.feedback.judge.logprobs import is_refusal
from highwayman.feedback.judge.pairwise import is_consistent, parse_choice, position_bias, preference_share
from highwayman.feedback.judge.prompt_fencing import looks_like_injection
from highwayman.feedback.judge.prompts import comparison_request, fallback_requests, scoring_request
from highwayman.feedback.judge.sampling import AdmissionLimiter, DailyBudget, max_cost_usd, pick_judge, should_judge
from highwayman.feedback.judge.score_parsing import parse_score
from highwayman.feedback.judge.settings import JudgeSettings
from highwayman.feedback.judge.types import JudgeInput, JudgeVerdict, NoVerdict, NoVerdictReason, Preference
from highwayman.feedback.log.shared_dollars import SharedDollars

_PATH = "/v1/chat/completions"
_ASKS_TOO_MUCH = frozenset({400, 422, 501})  # to a request with something the server does not know
_TIMED_OUT = 504
Read = TypeVar("Read")  # what is read from one completion; never a string, which is a reason


@dataclass(slots=True)
class LlmJudge:
    """Judges answers with the arms it was given, the first before the others."""

    upstream: Upstream
    arms: Sequence[Arm]
    settings: JudgeSettings
    clock: Callable[[], float]  # seconds since the epoch: when a day ends
    timer: Callable[[], float]  # monotonic seconds
    entropy: Callable[[int], bytes]  # unguessable, such as secrets.token_bytes
    rng: np.random.Generator
    dollars: SharedDollars | None = None  # a day's, that all processes pay from; None: this one has its own
    counts: Counter[str] = field(init=False, default_factory=Counter)  # cases by what came of them
    budget: DailyBudget = field(init=False)
    _admission: AdmissionLimiter = field(init=False)
    _semaphore: asyncio.Semaphore = field(init=False)
    _accepted_forms: dict[tuple[str, int], int] = field(
        init=False, default_factory=dict
    )  # which form an arm's server takes

    def __post_init__(self) -> None:
        """Open the budget and the queue."""
        self.budget = DailyBudget(self.settings.usd_per_day, self.clock)
        self._admission = AdmissionLimiter(self.settings.most_waiting + self.settings.at_once)
        self._semaphore = asyncio.Semaphore(self.settings.at_once)

    def should_judge(self, arm: str) -> bool:
        """Return whether this answer of the arm's is to be judged; one that is not is counted as such."""
        drawn = should_judge(arm, self.settings, self.rng)
        if not drawn:
            self.counts["not_sampled"] += 1
        return drawn

    async def score(self, judge_input: JudgeInput, *, drawn: bool = False) -> JudgeVerdict | NoVerdict:
        """Return how good an answer is.

        Args:
            judge_input: the answer, and what it answers.
            drawn: whether it was drawn already, as by a caller that keeps the text of those alone.
        """
        if not (drawn or self.should_judge(judge_input.arm.name)):
            return NoVerdict("not_sampled")
        suspect = looks_like_injection(judge_input.answer)
        chosen = self._chosen(judge_input, suspect=suspect)
        if not isinstance(chosen, Arm):
            return self._counted(NoVerdict(chosen))
        meter = CallCostMeter(chosen)
        requests = [scoring_request(judge_input, self.settings, self.entropy)]
        readings = await self._complete(meter, requests, partial(parse_score, settings=self.settings))
        if isinstance(readings, str):
            return self._counted(_missing(readings, meter))
        parsed = readings[0]
        verdict = JudgeVerdict(
            parsed.quality,
            parsed.stderr,
            parsed.how,
            chosen.name,
            usage=meter.usage,
            cost_usd=meter.cost_usd,
            latency_s=meter.latency_s,
            mass=parsed.mass,
            suspect=suspect,
        )
        return self._counted(verdict)

    async def compare(self, judge_input: JudgeInput, other_answer: str, other_arm: Arm) -> Preference | NoVerdict:
        """Return which of two answers to the same conversation is better; it is not drawn, but always judged."""
        suspect = looks_like_injection(judge_input.answer) or looks_like_injection(other_answer)
        chosen = self._chosen(judge_input, other_arm, suspect=suspect)
        if not isinstance(chosen, Arm):
            return self._counted(NoVerdict(chosen))
        if judge_input.answer.strip() == other_answer.strip():
            return self._counted(Preference(0.5, 0.0, consistent=True, how="same", arm="", cost_usd=0.0))
        meter = CallCostMeter(chosen)
        orders = (judge_input.answer, other_answer), (other_answer, judge_input.answer)
        requests = [comparison_request(judge_input, order, self.settings, self.entropy) for order in orders]
        readings = await self._complete(meter, requests, parse_choice)
        if isinstance(readings, str):
            return self._counted(_missing(readings, meter))
        (served_first, how), (other_first, other_how) = readings
        preference = Preference(
            preference_share(served_first, other_first),
            position_bias(served_first, other_first),
            consistent=is_consistent(served_first, other_first),
            how=how if how == other_how else "text",
            arm=chosen.name,
            usage=meter.usage,
            cost_usd=meter.cost_usd,
            latency_s=meter.latency_s,
            suspect=suspect,
        )
        return self._counted(preference)

    def _chosen(self, judge_input: JudgeInput, *others: Arm, suspect: bool) -> Arm | NoVerdictReason:
        """Return who judges, or why nobody does; `others` have answered, too."""
        if suspect and self.settings.on_suspect == "missing":
            return "suspect"
        clearance = judge_input.clearance
        judges = [judge for judge in self.arms if clearance is None or clearance.admits(judge.zone)]
        if not judges:
            return "data_class"
        judge = pick_judge(judges, (judge_input.arm, *others))
        # A judge answers as its model does: not with an arm's own system text, nor by a vote of many answers.
        return "own_answer" if judge is None else replace(judge, profile=Profile())

    async def _complete(
        self, meter: CallCostMeter, requests: Sequence[JsonObject], read: Callable[[Any], Read | NoVerdictReason]
    ) -> list[Read] | NoVerdictReason:
        """Return what is read from each completion, or the first reason why nothing is; waits for its turn."""
        if not self._admission.try_acquire():
            return "queue_full"
        try:
            async with self._semaphore:
                return await self._complete_within_budget(meter, requests, read)
        finally:
            self._admission.release()

    async def _complete_within_budget(
        self, meter: CallCostMeter, requests: Sequence[JsonObject], read: Callable[[Any], Read | NoVerdictReason]
    ) -> list[Read] | NoVerdictReason:
        most_usd = sum(max_cost_usd(meter.judge, request) for request in requests)
        if self.dollars is not None:
            shared = await self.dollars.reserve(most_usd)
            if shared is None:
                return "budget"
            try:
                return await self._complete_all(meter, requests, read)
            finally:
                await self.dollars.settle(shared, meter.upper_bound_usd)
        reserved = self.budget.reserve(most_usd)
        if reserved is None:
            return "budget"
        try:
            return await self._complete_all(meter, requests, read)
        finally:
            self.budget.settle(reserved, meter.upper_bound_usd)

    async def _complete_all(
        self, meter: CallCostMeter, requests: Sequence[JsonObject], read: Callable[[Any], Read | NoVerdictReason]
    ) -> list[Read] | NoVerdictReason:
        readings: list[Read] = []
        for request in requests:
            reading = await self._call(meter, request, read)
            if isinstance(reading, str):
                return cast(NoVerdictReason, reading)  # nothing that is read is a string
            readings.append(reading)
        return readings

    async def _call(
        self, meter: CallCostMeter, body: JsonObject, read: Callable[[Any], Read | NoVerdictReason]
    ) -> Read | NoVerdictReason:
        """Return what is read from one completion, in time; whatever came of it is on the meter."""
        started = self.timer()
        meter.on_sent(body)
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                status, answer = await self._answer(meter.judge, body)
        except TimeoutError:
            return "timeout"
        except UpstreamError as error:
            if error.status == _TIMED_OUT:
                return "timeout"
            meter.on_rejected(body)
            return "failed"
        finally:
            meter.latency_s += self.timer() - started
        if status >= 400:
            meter.on_rejected(body)
            return "refused" if is_refusal(answer) else "failed"
        meter.on_answered(body, answer)
        return read(answer)

    async def _answer(self, judge: Arm, body: JsonObject) -> tuple[int, Any]:
        """Return the status and the parsed answer, None if it is no JSON: first in the form that was taken before."""
        forms = fallback_requests(body)
        key = (judge.name, len(forms))
        status, answer = 0, None
        for place in sorted(range(len(forms)), key=lambda place: place != self._accepted_forms.get(key, 0)):
            status, answer = await self._exchange(judge, forms[place])
            if status < 400:
                self._accepted_forms[key] = place
            if status not in _ASKS_TOO_MUCH or is_refusal(answer):
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

    def _counted(self, result: "Found") -> "Found":
        kind = "verdict" if isinstance(result, JudgeVerdict) else "preference"  # labels of the metric
        reason = result.reason if isinstance(result, NoVerdict) else kind
        self.counts[reason] += 1
        return result


Found = TypeVar("Found", JudgeVerdict, Preference, NoVerdict)


def _missing(reason: NoVerdictReason, meter: CallCostMeter) -> NoVerdict:
    called = reason not in ("budget", "queue_full")
    usd = meter.cost_usd if called else 0.0
    return NoVerdict(reason, usd, meter.judge.name if called else "", meter.usage, meter.latency_s)
