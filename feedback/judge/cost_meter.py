"""What the calls about one case come to."""

from typing import Any

from highwayman.env.cost.usage import cost_usd
from highwayman.env.types import Arm, JsonObject, Usage
from highwayman.env.upstream.answers.usage_report import parse_usage
from highwayman.feedback.judge.prompts import max_usage

_MOST_TOKENS = 10**8  # of one call: a server that says more has miscounted
_BYTES_PER_TOKEN = 4


class CallCostMeter:
    """Counts one case's calls to a judge: what they used, and what those may have used whose end is unknown."""

    def __init__(self, judge: Arm) -> None:
        """Take the judge."""
        self.judge = judge
        self.latency_s = 0.0
        self.usage = Usage(0, 0)
        self._unseen = Usage(0, 0)

    @property
    def cost_usd(self) -> float | None:
        """The dollars of what was used; None where the judge has no price."""
        return cost_usd(self.judge, self.usage)

    @property
    def upper_bound_usd(self) -> float:
        """The dollars to charge to the budget: a call whose end is unknown counts as the most it can have cost."""
        return cost_usd(self.judge, _sum(self.usage, self._unseen)) or 0.0

    def on_sent(self, body: JsonObject) -> None:
        """Note that a request is on its way."""
        self._unseen = _sum(self._unseen, max_usage(body))

    def on_rejected(self, body: JsonObject) -> None:
        """Note that it was rejected, which costs nothing."""
        self._unseen = _sum(self._unseen, max_usage(body), -1)

    def on_answered(self, body: JsonObject, answer: Any) -> None:
        """Note what it used: as the server counted, or estimated where it did not."""
        self.on_rejected(body)
        usage, limit = parse_usage(answer), max_usage(body)
        if usage is None or not all(0 <= count <= _MOST_TOKENS for count in (usage.tokens_in, usage.tokens_out)):
            usage = Usage(limit.tokens_in // _BYTES_PER_TOKEN, limit.tokens_out)
        self.usage = _sum(self.usage, usage)


def _sum(usage: Usage, other: Usage, sign: int = 1) -> Usage:
    return Usage(usage.tokens_in + sign * other.tokens_in, usage.tokens_out + sign * other.tokens_out)
