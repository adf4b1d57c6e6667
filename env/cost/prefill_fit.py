"""How long an arm's server takes to read a prompt, learned from measured times to first token."""

from typing import NamedTuple

_KEPT = 0.99  # weight of the past, per call: about the last hundred count
_PER_KTOK = 1e-3
_LEAST_KTOK = 1.0  # added to a prompt before deviations are divided by it: waits vary more before long prompts
_RIDGE = 1.0  # as the spread of prompts: what five calls of very different lengths have
_MOST_S, _MOST_TOKENS = 600.0, 10_000_000.0  # beyond these nothing is believed


class PrefillFit(NamedTuple):
    """Fading sums of prompt tokens x (in thousands, those that no cache held) and seconds y to the first token.

    Of the line y = wait + slope * x only the slope is of interest: weighted ridge regression (Hoerl & Kennard,
    Technometrics 1970) whose intercept is not shrunk, and whose past fades. The ridge takes the slope of prompts that
    are all about as long for 0. Routing breaks the assumption that what else delays an answer hangs on no prompt: where
    long prompts come when the server is busy, the slope has some of its queue.
    """

    weight: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def plus(self, uncached_tokens: float, ttft_s: float) -> "PrefillFit":
        """Return the sums with one more call."""
        if not (0.0 <= uncached_tokens <= _MOST_TOKENS and 0.0 <= ttft_s <= _MOST_S):
            uncached_tokens, ttft_s = min(max(uncached_tokens, 0.0), _MOST_TOKENS), min(max(ttft_s, 0.0), _MOST_S)
        x, y = uncached_tokens * _PER_KTOK, ttft_s
        share = 1.0 / (x + _LEAST_KTOK) ** 2
        return PrefillFit(
            self.weight * _KEPT + share,
            self.x * _KEPT + share * x,
            self.y * _KEPT + share * y,
            self.xx * _KEPT + share * x * x,
            self.xy * _KEPT + share * x * y,
        )

    @property
    def seconds_per_token(self) -> float:
        """Seconds that one more token of the prompt takes, >= 0; 0 where nothing is known."""
        if self.weight <= 0.0:
            return 0.0
        spread, joint = self.xx - self.x**2 / self.weight, self.xy - self.x * self.y / self.weight
        return max(joint / (max(spread, 0.0) + _RIDGE), 0.0) * _PER_KTOK
