"""Notices that what is earned has fallen below what was earned before a challenger took over."""

import math

_LEAST_ALLOWANCE = 0.005  # quality units that rewards may lie below their level before for long without an alarm
_BETS = (0.1, 0.3, 0.9)
_FALSE_ALARM = 0.05  # chance of one at all, while it is watched
_HEAD_START = 10_000.0
_LEAST_ROUNDS = 200.0  # that a level takes to be known
WATCHED_ROUNDS = 50_000.0  # after which a level is followed again: it is the new policy's by then
_MOST_CAPITAL = 1e12
_MOST_ROUNDS = 10_000.0  # that it remembers


class LevelWatch:
    """A level of rewards, kept up to date until it is frozen, and bets from then on that it is not reached.

    Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", 2022 (arXiv
    2203.03532), of the Shiryaev-Roberts kind: e = (e + 1) (1 + b (m - a - r)). While the level is reached, e minus the
    number of rounds is a supermartingale, so e exceeds (n + h) / alpha within n rounds with probability alpha at most;
    it begins at h, so that a fall at once is seen as soon as a later one. The allowance a is what the level m is not
    known better than, its standard error, and half a point at least. As every reward is of the policy that earned it,
    no importance ratio widens it: it is the fastest word on a policy that has all of the traffic
    (`benchmarks/level_watch.py` says how fast one can be). Routing breaks that the level m would have stayed without
    the change: harder questions look like a worse policy, and are answered the same way, by going back.
    """

    def __init__(self) -> None:
        """Start with nothing known."""
        self.mean, self.rounds = 0.0, 0.0  # the level, and how many rounds stand behind it
        self.frozen, self.watched = False, 0.0  # and how many rounds were bet on since
        self.bets = [_HEAD_START] * len(_BETS)

    def freeze(self) -> None:
        """Bet from here on, against the level known by now."""
        self.frozen, self.watched, self.bets = True, 0.0, [_HEAD_START] * len(_BETS)

    def thaw(self) -> None:
        """Follow rewards again."""
        self.frozen = False

    def observe(self, reward: float) -> None:
        """Take the next reward in [0, 1]."""
        if not self.frozen:
            self.rounds = min(self.rounds + 1.0, _MOST_ROUNDS)
            self.mean += (reward - self.mean) / self.rounds
        elif self.rounds >= _LEAST_ROUNDS:
            gain, self.watched = self.mean - self._allowance - reward, self.watched + 1.0
            grown = ((capital + 1.0) * (1.0 + bet * gain) for capital, bet in zip(self.bets, _BETS, strict=True))
            self.bets = [min(capital, _MOST_CAPITAL) for capital in grown]
            self.frozen = self.watched < WATCHED_ROUNDS or self.alarmed

    @property
    def _allowance(self) -> float:
        return max(_LEAST_ALLOWANCE, math.sqrt(self.mean * (1.0 - self.mean) / self.rounds))

    @property
    def alarmed(self) -> bool:
        """Whether the level is not reached any more."""
        return self.frozen and sum(self.bets) > len(_BETS) * (WATCHED_ROUNDS + _HEAD_START) / _FALSE_ALARM

    def state(self) -> list[float]:
        """Return its numbers."""
        return [self.mean, self.rounds, float(self.frozen), self.watched, *self.bets]

    @classmethod
    def from_state(cls, numbers: list[float]) -> "LevelWatch":
        """Return the watch whose numbers these are."""
        watch = cls()
        watch.mean, watch.rounds, frozen, watch.watched, *watch.bets = numbers
        watch.frozen = bool(frozen)
        return watch
