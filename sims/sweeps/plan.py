"""What a sweep runs: tables, policies, worlds and seeds, and what else makes two sweeps the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.env.errors import ConfigError
from highwayman.sims.baselines.protocol import load_baseline
from highwayman.sims.simulation.world_spec import parse_world

BASELINES = ("random", "cheapest", "best_fixed", "static_mixture", "task_mean", "knn", "ridge", "oracle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of whoever asks; everything is given as text, as on the command line."""

    policies: tuple[str, ...]
    worlds: tuple[str, ...] = ("calm",)
    seeds: int = 20
    first_seed: int = 0
    rounds: int = 20_000
    cost_weights: tuple[float, ...] = (0.15,)  # the first one is reported, all of them make the frontier
    floor: float = 0.02
    arms: int | None = None  # that many arms, spread over the range of mean quality; None, or more than there are: all
    frozen_for: int = 1  # rounds between two lessons
    bins: int = 40  # of the learning curves
    baselines: tuple[str, ...] = BASELINES  # best fixed and oracle run even if they are not among these

    def check(self) -> None:
        """Return if everything named exists and every number can be.

        Raises:
            HighwaymanError: a ConfigError, WorldError or BaselineError that names what is wrong and what would be
                right.
        """
        some = {"policy": self.policies, "world": self.worlds, "cost weight": self.cost_weights}
        for what, given in some.items():
            if not given:
                raise ConfigError(f"a sweep needs a {what} or more, got none")
        for what, given in {**some, "baseline": self.baselines}.items():
            _refuse_twice(what, given)
        for spec in self.policies:
            _check_policy(spec)
        for spec in self.worlds:
            parse_world(spec)
        for name in self.baselines:
            load_baseline(name)
        self._check_numbers()

    def _check_numbers(self) -> None:
        least: Mapping[str, int] = {"seeds": 1, "first_seed": 0, "bins": 1, "frozen_for": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if self.rounds < self.bins:
            raise ConfigError(
                f"rounds must be at least {self.bins}, one for each bin of a learning curve, got {self.rounds}"
            )
        if self.arms is not None and self.arms < 2:
            raise ConfigError(f"arms must be at least 2, got {self.arms}")
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor must be in [0, 1], got {self.floor}")
        for weight in self.cost_weights:
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"a cost weight must be a number >= 0, got {weight}")


def _refuse_twice(what: str, given: tuple[Any, ...]) -> None:
    for one in given:
        if given.count(one) > 1:
            raise ConfigError(f"{what} {one!r} is given twice")


def _check_policy(spec: str) -> None:
    """Make the policy once, so that an option it does not take is told before any table is read."""
    path, options = parse_policy(spec)
    load_policy(path, d=2, fingerprint="", options=options)
