"""What a sweep runs: tables, policies, worlds and seeds, and what else makes two sweeps the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from highwayman.bandit.policy import parse_policy
from highwayman.env.errors import ConfigError
from highwayman.sims.baselines.protocol import baseline_named
from highwayman.sims.world_spec import parse_world

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
    arms: int | None = None  # that many arms, spread over the range of mean quality; None: all
    frozen_for: int = 1
    bins: int = 40  # of the learning curves
    baselines: tuple[str, ...] = BASELINES

    def check(self) -> None:
        """Return if everything named exists and every number can be.

        Raises:
            ConfigError: names what is wrong and what would be right.
        """
        if not self.policies:
            raise ConfigError("a sweep needs at least one policy")
        for what, given in (("policy", self.policies), ("world", self.worlds), ("cost weight", self.cost_weights)):
            twice = [one for one in given if list(given).count(one) > 1]
            if twice:
                raise ConfigError(f"{what} {twice[0]!r} is given twice")
        for spec in self.policies:
            parse_policy(spec)
        for spec in self.worlds:
            parse_world(spec)
        for name in self.baselines:
            baseline_named(name)
        least: Mapping[str, int] = {"seeds": 1, "rounds": self.bins, "frozen_for": 1, "bins": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ConfigError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if self.arms is not None and self.arms < 2:
            raise ConfigError(f"arms must be at least 2, got {self.arms}")
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor must be in [0, 1], got {self.floor}")
        for weight in self.cost_weights:
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"a cost weight must be a number >= 0, got {weight}")
