"""One arm's counts and sums over the whole log."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from highwayman.env.cost.prefill_fit import PrefillFit
from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.cost.usage import TokenUse
from highwayman.feedback.fold.tallies.answer_rate import AnswerRate

_Z95 = 1.959963984540054
_OWN = frozenset({"fits", "prefill", "answer_rate"})


@dataclass(slots=True)
class ArmTally:
    """One arm's sums; weights w and qualities r of rewards as in RewardChange."""

    decisions: int = 0
    routed: int = 0
    recent: float = 0.0
    calls: int = 0  # outcomes with an answer
    failures: int = 0
    overhead_tokens: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    feedback: int = 0  # answers that have feedback standing
    weight: float = 0.0
    weighted: float = 0.0
    squared: float = 0.0
    fits: dict[str, TokenFit] = field(default_factory=dict)  # by script: its tokenizer, as far as it reported usage
    prefill: PrefillFit = field(default_factory=PrefillFit)  # how fast its server reads prompts
    answer_rate: AnswerRate = field(default_factory=AnswerRate)

    @property
    def token_use(self) -> TokenUse:
        """What its calls used."""
        return TokenUse(
            self.calls, self.overhead_tokens, float(self.tokens_out), self.latency_s, self.fits, self.prefill
        )

    def on_failure(self, at: float, sign: int) -> None:
        """Count a request that it did not answer, at `at`, seconds since the epoch; with `sign` -1 uncount it."""
        self.failures += sign
        if sign > 0:
            self.answer_rate = self.answer_rate.plus(at, failed=True)

    def quality(self) -> tuple[float | None, float, float]:
        """Return the mean quality seen (None if none) and its 95% interval in [0, 1].

        Wilson, JASA 1927, with the weight as the number of trials: exact enough for thumbs, wide for anything finer.
        Over the answers this arm was chosen for, which is not all traffic.
        """
        if self.weight <= 0:
            return None, 0.0, 1.0
        n, mean = self.weight, min(max(self.weighted / self.weight, 0.0), 1.0)
        z2 = _Z95**2
        middle = (mean + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * math.sqrt(mean * (1 - mean) / n + z2 / (4 * n * n))
        return mean, max(middle - half, 0.0), min(middle + half, 1.0)

    def sums(self) -> dict[str, Any]:
        """Return the sums by name, all but what adds up with no other's: of its server, its chance to answer."""
        return {name: getattr(self, name) for name in _SUMMED}


_SUMMED = tuple(each.name for each in fields(ArmTally) if each.name not in _OWN)
