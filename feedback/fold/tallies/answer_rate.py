"""An arm's chance to answer at all, from the calls that ended lately."""

from typing import NamedTuple

_HALF_LIFE_S = 10.0  # an arm that is not asked, since it failed, is asked again before long
_RECENT = 0.97  # weight of the past, per call: about the last 33
_PRIOR = 1.0  # answers that are taken for given


class AnswerRate(NamedTuple):
    """Fading counts of the calls that an arm answered, and of those that it did not.

    They fade with time, too, and fast: whether a server is well is a matter of now, and while it is thought not to be,
    few calls are there to show that it is. Calls do not fail independently, as a rate supposes: they fail in outages.
    """

    answered: float = 0.0
    failed: float = 0.0
    at: float = 0.0  # seconds since the epoch, of the last call counted

    def plus(self, at: float, *, failed: bool) -> "AnswerRate":
        """Return the rate after one more call, which ended at `at`, seconds since the epoch."""
        left = self._left(at) * _RECENT
        return AnswerRate(left * self.answered + (not failed), left * self.failed + failed, max(at, self.at))

    def chance(self, at: float) -> float:
        """Return the chance in (0, 1] that a call at `at`, seconds since the epoch, is answered."""
        left = self._left(at)
        answered = left * self.answered + _PRIOR
        return answered / (answered + left * self.failed)

    def _left(self, at: float) -> float:
        """Return what is left of a call's weight; clocks of several machines may disagree."""
        return float(0.5 ** (max(at - self.at, 0.0) / _HALF_LIFE_S))
