"""What each alias counts dollars, seconds and energy for: as configured, or derived from the pool once and for all."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.types import Arm
from highwayman.serving.config.config import Config

log = logging.getLogger(__name__)


class PoolObjectives(Mapping[str, Objective]):
    """The objective of each alias.

    What the configuration leaves open refers to how far the pool's arms lie apart. The first router of a namespace
    settles that; from then on it stays, whatever arms come, go, drain or change their prices, and whoever starts.
    """

    def __init__(self, config: Config, arms: Sequence[Arm], kept: Mapping[str, float]) -> None:
        """Take the configuration, the pool as it is now, and what this machine has kept of a spread settled before."""
        own = PoolSpread.of_arms(arms)
        self.spread = PoolSpread(kept.get("usd", own.usd), kept.get("wh", own.wh))
        self.follow(config, arms)

    def follow(self, config: Config, arms: Sequence[Arm]) -> None:
        """Go on with another configuration and other arms; what the pool's spread was settled at stays."""
        self._config = config
        self._unpriced = [arm.name for arm in arms if not arm.has_price]
        self._any_price = len(self._unpriced) < len(arms)
        self.by_alias = config.objectives(self.spread)  # for whoever asks with each request

    def __getitem__(self, alias: str) -> Objective:
        return self.by_alias[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_alias)

    def __len__(self) -> int:
        return len(self.by_alias)

    def proposed(self) -> dict[str, float]:
        """Return the spread as it is in force here, to be settled where it is not; without what nobody knows yet."""
        amounts = {"usd": self.spread.usd, "wh": self.spread.wh}
        return {name: amount for name, amount in amounts.items() if amount is not None}

    def settle(self, settled: Mapping[str, float]) -> None:
        """Go on with the spread that the namespace has settled on."""
        spread = PoolSpread(settled.get("usd", self.spread.usd), settled.get("wh", self.spread.wh))
        if spread != self.spread:
            before, self.spread, self.by_alias = self.by_alias, spread, self._config.objectives(spread)
            if before != self.by_alias:
                log.warning("the namespace has settled on other points than this pool would give: %s", self)

    def __str__(self) -> str:
        return "; ".join(f"{alias} {_in_words(objective)}" for alias, objective in self.by_alias.items())

    def warnings(self) -> list[str]:
        """Return what an operator should change or complete, in words."""
        notes = self._config.old_weights(self.spread)
        if self._unpriced and self._any_price:
            names = ", ".join(self._unpriced)
            notes.append(f"no price for {names}: taken to be as dear as the dearest arm, until pool.yaml gives one")
        return notes


def _in_words(objective: Objective) -> str:
    """Return what a dollar counts, and what a point costs."""
    rate = objective.points_per_usd
    if not rate:
        return "does not count cost"
    return f"{rate:,.6g} points per dollar (one point, .01, on one request is worth ${1 / rate:.3g})"


def objectives_view(objectives: Mapping[str, Objective]) -> dict[str, dict[str, float]]:
    """Return how many points of quality a dollar, a second and a watt-hour count under each alias."""
    units = ("points_per_usd", "points_per_s", "points_per_wh")
    return {alias: {unit: getattr(objective, unit) for unit in units} for alias, objective in objectives.items()}
