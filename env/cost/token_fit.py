"""How many tokens an arm's tokenizer makes of a prompt, learned from the usage that the arm reports."""

from typing import NamedTuple

_KEPT = 0.99  # weight of the past, per call: about the last hundred count
_LEAST_TOKENS = 32.0  # added to an estimate before deviations are divided by it: short prompts say little
_NOISE = 0.15  # standard deviation of what is reported, as a share of the estimate
_RATIO_SPREAD = 0.5  # of tokenizers about the estimate, before any call
_OVERHEAD_SPREAD = 300.0  # tokens: of chat templates and what a server puts before a prompt
_MOST_TIMES, _MOST_MORE = 8.0, 20_000.0  # beyond this many times the estimate, and tokens more, nothing is believed


class TokenFit(NamedTuple):
    """Fading sums of estimates x and reported tokens y of an arm's calls, for the line y = overhead + ratio * x.

    Bayesian linear regression (Bishop, "Pattern Recognition and Machine Learning", 2006, eq. 3.49-3.51) with two
    coefficients, noise in proportion to the estimate, and a past that fades. The overhead is what the arm reads beside
    the caller's prompt (its profile, its template), the ratio its tokenizer's. Routing breaks the assumption that calls
    are independent: turns of one conversation deviate alike.
    """

    weight: float = 0.0  # sum of 1 / (x + least)^2, as the others are divided, too
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def plus(self, estimated: float, reported: float) -> "TokenFit":
        """Return the sums with one more call, whose prompt was estimated and reported to have so many tokens."""
        x = max(estimated, 1.0)
        most = _MOST_TIMES * x + _MOST_MORE
        y = reported if 0.0 <= reported <= most else min(max(reported, 0.0), most)
        share = 1.0 / (x + _LEAST_TOKENS) ** 2
        return TokenFit(
            self.weight * _KEPT + share,
            self.x * _KEPT + share * x,
            self.y * _KEPT + share * y,
            self.xx * _KEPT + share * x * x,
            self.xy * _KEPT + share * x * y,
        )

    def line(self, *, overhead: float = 0.0, ratio: float = 1.0) -> tuple[float, float]:
        """Return overhead (tokens) and ratio, >= 0 both; the arguments are what is expected of them before any call."""
        known = 1.0 / _NOISE**2
        a, b = 1.0 / _OVERHEAD_SPREAD**2, 1.0 / (_RATIO_SPREAD * ratio) ** 2
        first, mixed, second = known * self.weight + a, known * self.x, known * self.xx + b
        left, right = known * self.y + a * overhead, known * self.xy + b * ratio
        determinant = first * second - mixed * mixed
        return (
            max((second * left - mixed * right) / determinant, 0.0),
            max((first * right - mixed * left) / determinant, 0.0),
        )
