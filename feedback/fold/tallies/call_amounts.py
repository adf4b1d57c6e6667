"""What routed calls took, by prompt and arm, as a fold over the log: what the next call is expected to take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Self

import numpy as np

from highwayman.bandit.regression.amount_posterior import AmountPosterior
from highwayman.env.cost.usage import GUESSED_ANSWER_TOKENS, ExpectedAnswer
from highwayman.env.types import Decision, Floats, Mode, Outcome, Status
from highwayman.feedback.log.event_id import START, EventId, sort_key

_AMOUNTS = 2  # tokens written, over the guess; seconds
_ROUTED = (Mode.ROUTE, Mode.CASCADE, Mode.STICKY)
_NO_CALLS = (0.0, 0.0, 0.0)
_NAMED = "as_named"  # the objective of decisions of callers who named an arm
_CUT_OFF = "length"  # the finish reason of an answer that came to its limit


@dataclass(frozen=True, slots=True, eq=False)
class AnswerLevels:
    """How what answers of K arms take follows from the posterior's ratios: `CallAmounts.expected` as vectors."""

    arms: tuple[str, ...]
    posterior: AmountPosterior
    tokens: Floats  # (2, K): factor of a ratio, and what is added
    seconds: Floats  # (2, K) likewise, NaN where nobody knows

    def expected(self, features: Floats) -> tuple[Floats, Floats]:
        """Return the tokens of all samples, and the seconds (NaN: not answered yet), (K,) each, at features (d,)."""
        ratios = self.posterior.expected_ratios(features, self.arms)
        return ratios[:, 0] * self.tokens[0] + self.tokens[1], ratios[:, 1] * self.seconds[0] + self.seconds[1]

    def tokens_out(self, features: Floats) -> Floats:
        """Return what `expected` does of the tokens alone, (K,)."""
        factor, added = self.tokens
        tokens: Floats = self.posterior.first_ratios(features, self.arms, 1)[0]
        tokens *= factor
        tokens += added
        return tokens


class CallAmounts:
    """Learns from calls that were routed: whoever names an arm, or a judge, asks for other things.

    An arm that has no such calls yet is expected to take what it did on average where it was named, or before calls
    were told apart by prompt.
    """

    def __init__(
        self, posterior: AmountPosterior | None = None, others: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        """Take what is known; `others` are calls, their tokens and their seconds by arm, of calls not routed."""
        self._posterior = posterior or AmountPosterior(_AMOUNTS)
        self._others = {arm: list(sums) for arm, sums in (others or {}).items()}
        self.since: EventId = START  # the place on the log from which on calls are told apart by prompt
        self.revision = 0  # another one whenever a call was counted

    def on_answer(
        self, decision: Decision, outcome: Outcome, *, sign: int = 1, known_at: EventId | None = None
    ) -> None:
        """Count an answer, once decision and outcome are both known; with `sign` -1 take it away.

        `known_at` is where on the log that was, None: now.

        Of an answer that was cut off, what it would have taken is not known: it counts as long as it is, or as the
        guess if that is more.
        """
        if outcome.status is not Status.OK:
            return
        self.revision += 1
        is_older = known_at is not None and sort_key(known_at) <= sort_key(self.since)
        if is_older or decision.mode not in _ROUTED:
            if is_older or decision.objective == _NAMED:
                added = 1.0, float(outcome.tokens_out), outcome.latency_s
                sums = self._others.get(outcome.arm, _NO_CALLS)
                self._others[outcome.arm] = [total + sign * amount for total, amount in zip(sums, added, strict=True)]
            return
        least = GUESSED_ANSWER_TOKENS if outcome.finish_reason == _CUT_OFF else 1
        ratios = max(outcome.tokens_out, least) / GUESSED_ANSWER_TOKENS, outcome.latency_s or nan
        self._posterior.learn(outcome.arm, decision.context.features, ratios, sign=sign)

    def expected(self, features: Floats, arms: Sequence[str]) -> dict[str, ExpectedAnswer]:
        """Return what an answer of each arm to a query with `features` (d,) is expected to take."""
        ratios = self._posterior.expected_ratios(features, arms).tolist()
        answers = {}
        for arm, (tokens, latency_s), calls in zip(arms, ratios, self._posterior.calls(arms), strict=True):
            if calls:
                answers[arm] = ExpectedAnswer(calls, tokens * GUESSED_ANSWER_TOKENS, latency_s)
                continue
            others, tokens_out, seconds = self._others.get(arm, _NO_CALLS)
            if others > 0:
                answers[arm] = ExpectedAnswer(round(others), tokens_out / others, seconds / others)
            else:
                answers[arm] = ExpectedAnswer(0, tokens * GUESSED_ANSWER_TOKENS, None)
        return answers

    def levels(self, arms: Sequence[str], samples: Floats) -> "AnswerLevels":
        """Return what answers of K arms are expected to take as far as that hangs on no prompt; samples (K,)."""
        tokens, seconds = np.zeros((2, len(arms))), np.zeros((2, len(arms)))
        for k, (arm, calls) in enumerate(zip(arms, self._posterior.calls(arms), strict=True)):
            others, tokens_out, latency_s = self._others.get(arm, _NO_CALLS)
            if calls:
                tokens[:, k], seconds[:, k] = (GUESSED_ANSWER_TOKENS, 0.0), (1.0, 0.0)
            elif others > 0:
                tokens[:, k], seconds[:, k] = (0.0, tokens_out / others), (0.0, latency_s / others)
            else:
                tokens[:, k], seconds[:, k] = (GUESSED_ANSWER_TOKENS * samples[k], 0.0), (0.0, nan)
        return AnswerLevels(tuple(arms), self._posterior, tokens, seconds)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain numbers; empty before the first call."""
        state = self._posterior.to_json()
        if self._others:
            state["others"] = self._others
        if self.since != START:
            state["since"] = self.since
        return state

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError if it is damaged."""
        others = {str(arm): [float(sum_) for sum_ in sums] for arm, sums in state.get("others", {}).items()}
        if not all(len(sums) == len(_NO_CALLS) for sums in others.values()):
            raise ValueError("calls not routed are told as their number, tokens and seconds")
        amounts = cls(AmountPosterior.from_json(state if "sums" in state else {}, amounts=_AMOUNTS), others)
        amounts.since = str(state.get("since", START))
        sort_key(amounts.since)
        return amounts

    def distance(self, other: Self) -> float:
        """Return the largest absolute difference between the sums of two."""
        pairs = (
            (self._others.get(arm, _NO_CALLS), other._others.get(arm, _NO_CALLS))
            for arm in self._others | other._others
        )
        apart = max((abs(a - b) for sums, others in pairs for a, b in zip(sums, others, strict=True)), default=0.0)
        return max(self._posterior.distance(other._posterior), apart)
