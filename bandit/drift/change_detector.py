"""Notices that an arm's answers have become better or worse than what was learned of them."""

import math
from dataclasses import dataclass

from highwayman.env.types import RewardChange

_ALLOWANCE = 0.1  # quality units that an arm may be off for long without an alarm
_BETS = (0.5, 1.0, 2.0)  # per quality unit: small ones find small changes, large ones large changes soon
_LARGEST_LOSS = 0.9  # of what is held, on any one round
_COLUMNS = 8  # for better and for worse: what each bet has come to, and since how many rounds
_SIDES = ((0, 1), (4, -1))  # the column where each of them starts, and its direction
_ALL = "#all"  # the account of all sources


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

    Each source bets on its own account, and all of them on a common one where an answer is bet on once, for what two
    sources say of one answer hangs together. The mean of such accounts passes h no more often than they do. A share of
    a whole bet is as fair, if it is settled before the reward is known.
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
        self._accounts: dict[str, dict[str, list[float]]] = {}  # by arm, and by source or `_ALL`

    def observe(
        self, expected: float, by: RewardChange, *, source: str = "", first: bool = True, stake: float = 1.0
    ) -> ArmChange | None:
        """Return the change that a new reward gives away, None if there is none. Starts the arm anew after one.

        Args:
            expected: what the quality of the arm's answer was expected to be, before this.
            by: the reward, a quality in [0, 1] with its weight; one beside which another was changed is cut to that.
            source: who gave it.
            first: whether it is the first on its answer.
            stake: share of a whole bet, in (0, 1].
        """
        accounts = self._accounts.setdefault(by.arm, {_ALL: [0.0] * _COLUMNS})
        account = accounts.setdefault(source, [0.0] * _COLUMNS)
        reward = min(max(by.weighted / by.weight, 0.0), 1.0)  # bets are fair on [0, 1] alone
        expected = min(max(expected, 0.0), 1.0)
        for side, direction in _SIDES:
            gain = stake * (direction * (reward - expected) - _ALLOWANCE)
            worst = _ALLOWANCE + (expected if direction > 0 else 1.0 - expected)
            for wealth in (account, accounts[_ALL]) if first else (account,):
                _bet(wealth, side, gain, worst=worst)
        for side, direction in _SIDES:
            totals = [sum(wealth[side : side + 3]) for wealth in accounts.values()]
            if sum(totals) > len(totals) * len(_BETS) * self._threshold:
                del self._accounts[by.arm]
                most = list(accounts.values())[totals.index(max(totals))]
                return ArmChange(by.arm, by.at, direction, most[side + 3])
        return None


def _bet(wealth: list[float], side: int, gain: float, *, worst: float) -> None:
    """Settle one round's bets on one side of an account, and count the rounds that speak for a change."""
    largest = 0.0
    for place, bet in enumerate(_BETS, side):
        wealth[place] = max(wealth[place], 1.0) * (1.0 + min(bet, _LARGEST_LOSS / worst) * gain)
        largest = max(largest, wealth[place])
    wealth[side + 3] = wealth[side + 3] + 1.0 if largest > 1.0 else 0.0
