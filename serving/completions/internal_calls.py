"""Calls that no client asked for, entered like others: a decision and an outcome each, so that they are paid for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from highwayman.env.encoder.tags import as_named
from highwayman.env.types import Arm, Decision, Mode, Outcome, Status, Usage
from highwayman.feedback.log.journal import Journal


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

    async def record(self, call: InternalCall, cause: Decision, mode: Mode, *, objective: str) -> str:
        """Put a call on the log; return the id of its decision."""
        now, tokens = self.clock(), cause.context.prompt_tokens
        decision = Decision(
            id=self.new_id(cause.tenant),
            tenant=cause.tenant,
            at=now,
            context=as_named(cause.context),
            arms=(call.arm.name,),
            penalties=np.zeros(1),
            probs=np.ones(1),
            action=0,
            propensity=1.0,
            policy=cause.policy,
            policy_version=cause.policy_version,
            objective=objective,
            mode=mode,
        )
        outcome = Outcome(
            decision_id=decision.id,
            at=now,
            arm=call.arm.name,
            status=Status.OK if call.ok else Status.FAILED,
            prompt_tokens=tokens,
            tokens_in=call.usage.tokens_in,
            tokens_out=call.usage.tokens_out,
            cost_usd=call.usd,
            latency_s=call.latency_s,
        )
        self.on_outcome(outcome)
        await self.journal.put(decision)
        await self.journal.put(outcome)
        return decision.id
