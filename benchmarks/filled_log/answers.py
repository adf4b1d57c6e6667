"""What comes of a decision in the made-up world: who answers, after which failures, and whether the answer is good."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.filled_log.world import SECONDS, TOKENS_OUT, World
from highwayman.env.types import Arm, Attempt, CascadeStage, Decision, Mode, Outcome, Status

_OVERHEAD_TOKENS: Mapping[str, int] = {"critic": 118, "copyist": 131, "typist": 140, "abacus": 74}  # of worked examples
_GONE, _REFUSED = 0.012, 0.004  # shares of clients that leave early, and of requests that the server calls wrong


@dataclass(frozen=True, slots=True)
class Answers:
    """Makes outcomes, drawing from `rng`."""

    world: World
    rng: np.random.Generator

    def outcome(self, decision: Decision, second: float) -> Outcome:
        """Return what comes of a decision that is made `second` seconds after the first."""
        pool = {arm.name: arm for arm in self.world.pool_at(second)}
        tried: list[Attempt] = []
        for name in self._in_order(decision):
            seconds = SECONDS[name] * float(self.rng.lognormal(0.0, 0.35))
            if self.rng.random() >= self.world.fails(name, second):
                tried.append(Attempt(name, pool[name].endpoints[0], seconds, "answered"))
                return self._answered(decision, pool[name], tried)
            tried.append(Attempt(name, pool[name].endpoints[0], seconds, "arms_fault", "status 503"))
        return self._ended(decision, pool[decision.arm], Status.FAILED, tried)

    def with_stages(self, decision: Decision, second: float, good: float) -> Outcome:
        """Return what comes of a decision whose first answer is looked at: it is served, or the next arm is asked.

        `good` is the chance that the first answer is good.
        """
        pool = {arm.name: arm for arm in self.world.pool_at(second)}
        first, following = pool[decision.arm], pool["plain" if decision.arm != "plain" else "typist"]
        confidence = float(np.clip(good + self.rng.normal(0.0, 0.12), 0.02, 0.98))
        went_on = confidence < 0.4
        served = following if went_on else first
        looked = self._stage(decision, first, confidence, went_on=went_on, following=following.name)
        last = self._answered(decision, served, [Attempt(served.name, served.endpoints[0], 0.3, "answered")])
        if not went_on:
            return replace(last, stages=(looked,))
        return replace(
            last,
            cost_usd=(last.cost_usd or 0.0) + (looked.cost_usd or 0.0),
            latency_s=last.latency_s + looked.seconds,
            ttft_s=(last.ttft_s or 0.0) + looked.seconds,
            stages=(looked, self._stage(decision, served, 0.6, went_on=False, following="")),
        )

    def _in_order(self, decision: Decision) -> list[str]:
        others = [name for name in decision.arms if name != decision.arm]
        probs = dict(zip(decision.arms, decision.probs.tolist(), strict=True))
        others.sort(key=lambda name: -probs[name])
        return [decision.arm] if decision.mode in (Mode.FORCED, Mode.STICKY) else [decision.arm, *others[:2]]

    def _answered(self, decision: Decision, arm: Arm, tried: list[Attempt]) -> Outcome:
        draw = self.rng.random()
        if draw < _REFUSED:
            return self._ended(decision, arm, Status.REFUSED, tried)
        return self._ended(decision, arm, Status.CLIENT_GONE if draw < _REFUSED + _GONE else Status.OK, tried)

    def _ended(self, decision: Decision, arm: Arm, status: Status, tried: list[Attempt]) -> Outcome:
        prompt = decision.context.prompt_tokens
        answers = status in (Status.OK, Status.CLIENT_GONE)
        tokens_in = prompt + _OVERHEAD_TOKENS.get(arm.name, 22) if answers else 0
        tokens_out = max(1, int(self.rng.poisson(TOKENS_OUT[arm.name]))) if answers else 0
        seconds = sum(attempt.seconds for attempt in tried)
        return Outcome(
            decision.id, decision.at + seconds, arm.name, status, prompt, tokens_in, tokens_out,
            _usd(arm, tokens_in, tokens_out), 0.3 * seconds if answers else None, seconds,
            "stop" if status is Status.OK else None, len(tried), tuple(tried),
        )  # fmt: skip

    def _stage(self, decision: Decision, arm: Arm, good: float, *, went_on: bool, following: str) -> CascadeStage:
        tokens = decision.context.prompt_tokens + _OVERHEAD_TOKENS.get(arm.name, 22), int(TOKENS_OUT[arm.name])
        goes_on = 0.98 if went_on else 0.02
        signals = {"mean_logprob": float(np.log(good)), "refusal": 0.0}
        return CascadeStage(
            arm.name, signals, good, goes_on, went_on, following, *tokens, _usd(arm, *tokens), SECONDS[arm.name]
        )


def _usd(arm: Arm, tokens_in: int, tokens_out: int) -> float:
    return (tokens_in * (arm.usd_per_mtok_in or 0.0) + tokens_out * (arm.usd_per_mtok_out or 0.0)) / 1e6
