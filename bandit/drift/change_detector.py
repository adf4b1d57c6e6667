"""Notices that an arm's answers have become better or worse than what was learned of them."""

import math
from dataclasses import dataclass

from highwayman.env.types import RewardChange

_ALLOWANCE = 0.1  # quality units that an arm may be off for long without an alarm
_BETS = (0.5, 1.0, 2.0)  # per quality unit: small ones find small changes, large ones large changes soon
_LARGEST_LOSS = 0.9  # of what is held, on any one round
_COLUMNS = 8  # for better and for worse: what each bet has come to, and since how many rounds


@dataclass(frozen=True, slots=True)
class ArmChange:
    """An arm was found to have changed."""

    arm: str
    at: float  # seconds since the epoch, of the round that gave it away; 0: unknown
    direction: int  # 1: answers are better than was learned, -1: worse
    rounds: float  # of feedback since the change seems to have happened


class ChangeDetector:
    """Bets, round by round, that an arm is off by more than an allowance, and gives an alarm once they have won enough.

    Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2022 (arXiv
    2203.03532), of the CUSUM kind: for rewards r in [0, 1] expected to be m, what a bet b has come to is
    e = max(e, 1) (1 + b (m - a - r)) for worse, and likewise for better, averaged over several bets. As long as an
    arm's answers are worth what is expected of them to within the allowance a, the average passes h once in h rounds or
    more, however rewards are distributed: thumbs are far from normal. The stretch since the bets were last worth 1 is
    the window that speaks for a change. Routing breaks that expectations are right from the start: the allowance, and
    that only an arm that is learned can be far off, are for that.
    """

    def __init__(self, false_alarm_every: float) -> None:
        """Start with nothing noticed.

        Args:
            false_alarm_every: rounds of an arm's own between two false alarms, at least, on average.

        Raises:
            ValueError: it is not > 10.
        """
        if not (math.isfinite(false_alarm_every) and false_alarm_every > 10):
            raise ValueError(f"false_alarm_every must be a number of rounds > 10, got {false_alarm_every!r}")
        self._threshold = 2.0 * false_alarm_every  # in each of two directions
        self._bets: dict[str, list[float]] = {}  # by arm

    def observe(self, expected: float, by: RewardChange) -> ArmChange | None:
        """Return the change that a new reward gives away, None if there is none. Starts the arm anew after one.

        Args:
            expected: what the quality of the arm's answer was expected to be, before this.
            by: the reward, a quality in [0, 1] with its weight; one beside which another was changed is cut to that.
        """
        wealth = self._bets.setdefault(by.arm, [0.0] * _COLUMNS)
        reward = min(max(by.weighted / by.weight, 0.0), 1.0)  # bets are fair on [0, 1] alone
        expected = min(max(expected, 0.0), 1.0)
        for side, direction in ((0, 1), (4, -1)):
            worst = _ALLOWANCE + (expected if direction > 0 else 1.0 - expected)
            rounds = self._bet(wealth, side, direction * (reward - expected) - _ALLOWANCE, worst=worst)
            if rounds is not None:
                del self._bets[by.arm]
                return ArmChange(by.arm, by.at, direction, rounds)
        return None

    def _bet(self, wealth: list[float], side: int, gain: float, *, worst: float) -> float | None:
        """Settle one round's bets; return how many rounds have spoken for a change if they have won enough."""
        largest, total = 0.0, 0.0
        for place, bet in enumerate(_BETS, side):
            wealth[place] = max(wealth[place], 1.0) * (1.0 + min(bet, _LARGEST_LOSS / worst) * gain)
            largest, total = max(largest, wealth[place]), total + wealth[place]
        wealth[side + 3] = wealth[side + 3] + 1.0 if largest > 1.0 else 0.0
        return wealth[side + 3] if total > len(_BETS) * self._threshold else None
