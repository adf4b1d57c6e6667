"""Calls that no client asked for, entered like others: a decision and an outcome each, so that they are paid for."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.cost.usage import energy_wh
from highwayman.env.encoder.features.tags import as_named
from highwayman.env.types import (
    BASELINE_FLAG,
    CONTROL,
    SHADOW_OF_FLAG,
    Arm,
    Decision,
    Mode,
    Outcome,
    Status,
    Usage,
)
from highwayman.feedback.log.writing.journal import Journal


@dataclass(frozen=True, slots=True)
class InternalCall:
    """A call that ended."""

    arm: Arm
    usage: Usage
    usd: float | None
    latency_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class InternalCalls:
    """Enters calls that were made because of somebody's decision."""

    journal: Journal
    new_id: Callable[[str], str]  # for a tenant
    clock: Callable[[], float]  # seconds since the epoch
    on_outcome: Callable[[Outcome], None]  # called with the outcome of every call

    async def record(
        self, call: InternalCall, cause: Decision, mode: Mode, *, objective: str, drawn_from: tuple[str, ...] = ()
    ) -> str:
        """Put a call on the log; return the id of its decision.

        Args:
            call: that ended.
            cause: the decision because of which it was made.
            mode: of its decision.
            objective: of its decision.
            drawn_from: the arms of which the call's was drawn, each as likely as the others; empty: it was named.
        """
        decision, outcome = self._events(call, cause, mode, objective=objective, drawn_from=drawn_from)
        self.on_outcome(outcome)
        await self.journal.put(decision)
        await self.journal.put(outcome)
        return decision.id

    def submit_cut(
        self, call: InternalCall, cause: Decision, mode: Mode, *, objective: str, drawn_from: tuple[str, ...] = ()
    ) -> None:
        """Have a call put on the log that the router's end cut off, and wait for nothing."""
        decision, outcome = self._events(call, cause, mode, objective=objective, drawn_from=drawn_from)
        outcome = replace(outcome, status=Status.CUT, estimated=True)
        self.on_outcome(outcome)
        self.journal.submit(decision)
        self.journal.submit(outcome)

    def _events(
        self, call: InternalCall, cause: Decision, mode: Mode, *, objective: str, drawn_from: tuple[str, ...]
    ) -> tuple[Decision, Outcome]:
        now, arms = self.clock(), drawn_from or (call.arm.name,)
        probs = np.full(len(arms), 1.0 / len(arms))
        context = as_named(cause.context)
        if drawn_from:
            told = {flag for flag in cause.context.flags if flag != CONTROL and not flag.startswith(BASELINE_FLAG)}
            context = replace(cause.context, flags=frozenset({*told, SHADOW_OF_FLAG + cause.id}))
        action = arms.index(call.arm.name)
        decision = Decision(
            id=self.new_id(cause.tenant),
            tenant=cause.tenant,
            at=now,
            context=context,
            arms=arms,
            penalties=np.zeros(len(arms)),
            probs=probs,
            action=action,
            propensity=float(probs[action]),
            policy=cause.policy,
            policy_version=cause.policy_version,
            objective=objective,
            mode=mode,
            user=cause.user,  # so that who asks to be forgotten is, here too
        )
        outcome = Outcome(
            decision_id=decision.id,
            at=now,
            arm=call.arm.name,
            status=Status.OK if call.ok else Status.FAILED,
            prompt_tokens=cause.context.prompt_tokens,
            tokens_in=call.usage.tokens_in,
            tokens_out=call.usage.tokens_out,
            cost_usd=call.usd,
            latency_s=call.latency_s,
            wh=energy_wh(call.arm, call.usage),
        )
        return decision, outcome
