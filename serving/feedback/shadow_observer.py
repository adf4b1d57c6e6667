"""Lets another arm answer a sample of the requests, too, unseen: capped in dollars, never where it must not."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from highwayman.env.cost.usage import cost_usd
from highwayman.env.encoder.features.tags import tag_places
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.profile import without_tools
from highwayman.env.types import CLIENT_TASK, Arm, Decision, JsonObject, Mode, Status, Usage
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.log.shared_dollars import SharedDollars
from highwayman.serving.completions.calls.internal_calls import InternalCall, InternalCalls
from highwayman.serving.completions.calls.observers import CompletedCall
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.unseen_answer import UnseenAnswer, ask_unseen, has_side_effects, most_usage
from highwayman.serving.config.shadow import ShadowConfig
from highwayman.serving.feedback.judge_observer import JudgeObserver

SHADOW = "shadow"  # the objective of such decisions
_LIMITS = ("max_tokens", "max_completion_tokens")
_DRAWN = frozenset({Mode.ROUTE, Mode.CASCADE})


@dataclass(slots=True)
class ShadowObserver:
    """Asks another arm, once the client has its answer; the draw of the arm is on the log with its propensity."""

    config: ShadowConfig
    forbidden: frozenset[tuple[str, int]]  # tags with the columns of levels whose requests no other arm is to see
    pool: Pool
    upstream: Upstream
    internal_calls: InternalCalls
    dollars: SharedDollars
    rng: np.random.Generator
    timer: Callable[[], float]  # monotonic seconds
    on_result: Callable[[str], None]  # what came of each request that was drawn
    judge: JudgeObserver | None = None
    _under_way: int = field(default=0, init=False)

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether this request is drawn for a second answer."""
        return self._may_be_shadowed(request, decision) and bool(self.rng.random() < self.config.rate)

    async def on_completion(self, completed: CompletedCall) -> None:
        """Let another arm answer a request that was drawn, and have both answers judged where that is wanted."""
        if not completed.is_wanted_by(self) or completed.outcome.status is not Status.OK:
            return
        others = self._others(completed)
        if not others:
            self.on_result("no_other_arm")
            return
        if self._under_way >= self.config.at_once:
            self.on_result("busy")
            return
        self._under_way += 1
        try:
            await self._ask(completed, others, self.pool.arm(others[int(self.rng.integers(len(others)))]))
        finally:
            self._under_way -= 1

    async def _ask(self, completed: CompletedCall, others: tuple[str, ...], arm: Arm) -> None:
        """Ask an arm drawn of the others, if the day's dollars allow what it can cost at most."""
        cause, body = completed.decision, self._body(completed)
        most_usd = cost_usd(arm, most_usage(body, arm, max_tokens=self.config.max_tokens)) or 0.0
        reserved = await self.dollars.reserve(most_usd)
        if reserved is None:
            self.on_result("no_dollars_left")
            return
        started = self.timer()
        try:
            text, call = await ask_unseen(
                self.upstream,
                arm,
                body,
                chat=completed.request.chat,
                timeout_s=self.config.timeout_s,
                timer=self.timer,
            )
        except asyncio.CancelledError:  # the router ends: what was read may have to be paid
            read = Usage(cause.context.prompt_tokens, 0)
            cut = InternalCall(arm, read, cost_usd(arm, read), self.timer() - started, ok=False)
            self.internal_calls.submit_cut(cut, cause, Mode.SHADOW, objective=SHADOW, drawn_from=others)
            raise
        shadow_id = await self.internal_calls.record(call, cause, Mode.SHADOW, objective=SHADOW, drawn_from=others)
        await self.dollars.settle(reserved, call.usd or 0.0)
        self.on_result("answered" if call.ok else "failed")
        if text.strip():
            await self._judge(completed, UnseenAnswer(arm, text, shadow_id))

    async def _judge(self, completed: CompletedCall, answer: UnseenAnswer) -> None:
        if self.judge is None or completed.transcript is None or not completed.request.chat:
            return
        if self.config.judged == "score":
            await self.judge.score_unseen(completed, answer)
        elif self.config.judged == "preference" and completed.transcript.text.strip():
            await self.judge.compare_unseen(completed, answer)

    def _may_be_shadowed(self, request: CompletionRequest, decision: Decision) -> bool:
        return (
            decision.mode in _DRAWN
            and CLIENT_TASK not in decision.context.flags
            and decision.tenant not in self.config.never_tenants
            and not has_side_effects(request.body)
            and not (self.forbidden and self.forbidden & tag_places(decision.context).items())
        )

    def _others(self, completed: CompletedCall) -> tuple[str, ...]:
        """Return who could have answered and did not: by the rules of the pool, limits and budgets at that time."""
        wanted, served = self.config.arms, completed.outcome.arm
        return tuple(
            name
            for name in completed.decision.arms
            if name in self.pool.arms
            and name != served
            and (not wanted or name in wanted)
            and (self.config.usd_per_day is None or self.pool.arm(name).has_price)
        )

    def _body(self, completed: CompletedCall) -> JsonObject:
        """Return what is asked: one answer, no longer than is allowed."""
        asked = completed.request.body
        body = without_tools(asked) if completed.outcome.tools_dropped else dict(asked)
        most = min([self.config.max_tokens, *(body[name] for name in _LIMITS if body.get(name) is not None)])
        used = [name for name in _LIMITS if body.get(name) is not None] or [_LIMITS[0]]
        return {**body, **dict.fromkeys(used, most), "n": 1}
