"""Which answers are judged, and by whom: a rate for each arm, a day's dollars, and nobody in their own cause."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.cost.spend_ledger import day_of
from highwayman.env.cost.usage import cost_usd
from highwayman.env.types import Arm, JsonObject
from highwayman.feedback.judge.prompts import max_usage
from highwayman.feedback.judge.settings import JudgeSettings


def should_judge(arm: str, settings: JudgeSettings, rng: np.random.Generator) -> bool:
    """Return whether this answer of the arm's is to be judged."""
    return bool(rng.random() < settings.rates.get(arm, settings.rate))


def pick_judge(judges: Sequence[Arm], answered: Iterable[Arm]) -> Arm | None:
    """Return who judges: the first who is none of those that answered, nor the same model by another name.

    The first, not any: two judges give different scores to the same answer, and one judge's are comparable.
    """
    excluded = [(arm.name, arm.model) for arm in answered]
    return next(
        (judge for judge in judges if all(judge.name != name and judge.model != model for name, model in excluded)),
        None,
    )


def max_cost_usd(judge: Arm, body: JsonObject) -> float:
    """Return the dollars a call cannot exceed; 0 where the judge has no price, which no ceiling can count."""
    return cost_usd(judge, max_usage(body)) or 0.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Dollars set aside for a call."""

    usd: float
    day: int


class DailyBudget:
    """A day's dollars: the most a call can cost is set aside before it is made, so that calls side by side keep to it.

    Assumes that the process is the only one that spends from it.
    """

    def __init__(self, usd_per_day: float | None, clock: Callable[[], float]) -> None:
        """Take the ceiling (None: there is none) and a clock (seconds since the epoch)."""
        self._most = usd_per_day
        self._clock = clock
        self._day = day_of(clock())
        self._paid_usd = 0.0
        self._reserved_usd = 0.0

    @property
    def spent_usd(self) -> float:
        """What today's calls have cost."""
        self._turn()
        return self._paid_usd

    def reserve(self, usd: float) -> Reservation | None:
        """Set dollars aside; None if the day has not so much left."""
        self._turn()
        if self._most is not None and self._paid_usd + self._reserved_usd + usd > self._most:
            return None
        self._reserved_usd += usd
        return Reservation(usd, self._day)

    def settle(self, reserved: Reservation, paid_usd: float) -> None:
        """Pay for a call, and give back what it did not take. A call of yesterday's was yesterday's to pay."""
        self._turn()
        if reserved.day == self._day:
            self._reserved_usd = max(self._reserved_usd - reserved.usd, 0.0)
            self._paid_usd += paid_usd

    def _turn(self) -> None:
        today = day_of(self._clock())
        if today > self._day:  # a clock set back does not refill the budget
            self._day, self._paid_usd, self._reserved_usd = today, 0.0, 0.0


class AdmissionLimiter:
    """Cases that wait: no more than so many, since a judge slower than the traffic would have ever more of them."""

    def __init__(self, most: int) -> None:
        """Take how many may be in it."""
        self._most = most
        self._waiting = 0

    def try_acquire(self) -> bool:
        """Admit a case; False if the queue is full."""
        if self._waiting >= self._most:
            return False
        self._waiting += 1
        return True

    def release(self) -> None:
        """Let one case leave."""
        self._waiting -= 1
