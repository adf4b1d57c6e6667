"""How good each source has said an arm's answers are so far: the level that its later statements may depart from."""

from dataclasses import dataclass

from highwayman.env.types import Floats

_LEAST_STAKE = 1e-12  # less could not be told from nothing


@dataclass(frozen=True, slots=True)
class SourceStatement:
    """What a source said of an answer of which it had said nothing before."""

    source: str  # who says so, and on which metric
    quality: float  # in [0, 1], as it was said: what a calibration makes of it moves with the calibration
    weight: float
    first: bool = True  # nothing else counted on the answer


class SourceLevel:
    """What one source says of one arm: the mean quality, and the mean of the features it was said at.

    Every source has a level of its own, since a judge may be stricter than people without the arm being any worse: one
    that comes new, or speaks more often than it did, is no change of the arm. Statements weigh what is bet on them,
    their `stake`, so that with the level right no bet can be expected to win.
    """

    def __init__(self, features: Floats) -> None:
        """Start without a statement; the first one will be at features (d,)."""
        self.mean, self.centre, self._stake = 0.0, features.copy(), 0.0

    @property
    def known(self) -> bool:
        """Whether there has been a statement."""
        return self._stake > 0.0

    def add(self, quality: float, features: Floats, *, stake: float) -> None:
        """Count a statement made at features (d,)."""
        self._stake += stake
        share = stake / self._stake
        self.mean += share * (quality - self.mean)
        self.centre += share * (features - self.centre)


class ArmLevels:
    """One arm's levels, by source, and what a statement on it usually weighs."""

    def __init__(self) -> None:
        """Start without a statement."""
        self._levels: dict[str, SourceLevel] = {}
        self._weight = self._squared = 0.0

    def level(self, source: str, features: Floats) -> SourceLevel:
        """Return a source's level, a new one at features (d,) if it has not spoken yet."""
        level = self._levels.get(source)
        if level is None:
            level = self._levels[source] = SourceLevel(features)
        return level

    def stake(self, weight: float) -> float:
        """Count a statement's weight; return what share of a whole bet it is good for, in (0, 1].

        Whole ones are for statements of the weight by which most of the evidence comes.
        """
        self._weight += weight
        self._squared += weight * weight
        if not self._squared:  # weights whose squares are too small for a number are as good as alike
            return 1.0
        return min(1.0, max(weight * self._weight / self._squared, _LEAST_STAKE))
