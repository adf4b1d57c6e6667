"""Which answers are judged, and by whom: a rate for each arm, a day's dollars, and nobody in their own cause."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from highwayman.env.cost import cost_usd
from highwayman.env.ledger import day_of
from highwayman.env.types import Arm, Usage
from highwayman.feedback.judging.rubric import Case, Rubric

_CHARS_PER_TOKEN = 3.0  # cautiously few
_ASKED_CHARS = 1_200  # that the rubric and the marks take


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much is judged."""

    rate: float = 0.05  # of an arm's answers
    rates: Mapping[str, float] = field(default_factory=dict)  # of arms that have their own
    usd_per_day: float | None = 1.0  # for the judge; days of UTC; None: as much as it takes
    other_model: bool = False  # whether a judge must be another model than the one that answered, not only another arm


class Purse:
    """A day's dollars: what a call may take is set aside before it is made, so that calls side by side keep to it."""

    def __init__(self, usd_per_day: float | None, clock: Callable[[], float]) -> None:
        """Take the ceiling (None: there is none) and a clock (seconds since the epoch)."""
        self._most = usd_per_day
        self._clock = clock
        self._day = 0
        self.spent_usd = 0.0

    def take(self, usd: float) -> bool:
        """Set dollars aside; return False, and do nothing, if the day has not so much left."""
        self._turn()
        if self._most is not None and self.spent_usd + usd > self._most:
            return False
        self.spent_usd += usd
        return True

    def settle(self, taken_usd: float, paid_usd: float) -> None:
        """Say what a call really cost, for which `taken_usd` were set aside."""
        self._turn()
        self.spent_usd = max(self.spent_usd + paid_usd - taken_usd, 0.0)

    def _turn(self) -> None:
        today = day_of(self._clock())
        if today != self._day:
            self._day, self.spent_usd = today, 0.0


class Sampler:
    """Draws which answers are judged, and chooses their judge."""

    def __init__(self, sampling: Sampling, judges: Sequence[Arm], rng: np.random.Generator) -> None:
        """Take how much is judged, who may judge, the first before the others, and the generator."""
        self._sampling = sampling
        self._judges = tuple(judges)
        self._rng = rng

    def draws(self, arm: str) -> bool:
        """Return whether this answer of the arm's is to be judged."""
        return bool(self._rng.random() < self._sampling.rates.get(arm, self._sampling.rate))

    def judge_of(self, case: Case) -> Arm | None:
        """Return who judges it: never the arm that gave it; None if there is nobody else."""
        others = [one for one in self._judges if one.name != case.arm]
        if self._sampling.other_model:
            others = [one for one in others if one.model != case.model]
        return next(iter(others), None)


def expected_usd(judge: Arm, case: Case, rubric: Rubric, *, calls: int = 1) -> float:
    """Return the most that judging is likely to cost; 0 where the judge has no price."""
    said = sum(len(str(message.get("content") or "")) for message in case.messages)
    chars = min(said, rubric.longest_chars) + 2 * len(case.answer) + len(case.reference or "") + _ASKED_CHARS
    return calls * (cost_usd(judge, Usage(int(chars / _CHARS_PER_TOKEN), 32)) or 0.0)
