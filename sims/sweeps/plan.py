"""What a sweep runs: tables, policies, worlds and seeds, and what else makes two sweeps the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.loading import load_policy, parse_policy
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.objective import AUTO, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.errors import ConfigError
from highwayman.sims.baselines.protocol import load_baseline
from highwayman.sims.simulation.cascade_spec import cascade_rules
from highwayman.sims.simulation.world_spec import parse_world

TAGS = {"task": "tasks", "dataset": "datasets"}  # what a table says of each prompt, by the name of the tag
BASELINES = ("random", "cheapest", "best_fixed", "static_mixture", "task_mean", "knn", "ridge", "oracle")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPlan:
    """What the simulated router is configured with beside its policy, its floor and the weight of cost."""

    points_per_s: float = 0.0
    points_per_wh: float = 0.0
    latency_weight: float = 0.0  # instead of points per second, as older configurations have it
    energy_weight: float = 0.0
    min_quality: float | None = None  # expected quality that an arm must reach, if any does; None: whatever it is
    exploration_usd_per_day: float | None = None  # cap on exploration; None: it may cost what it does
    exploration_regret_per_request: float | None = None
    probation: tuple[str, ...] = ()  # arms that are on probation for the whole run
    quota: ProbationQuota = field(default_factory=ProbationQuota)  # of arms on probation
    cascade: CascadeRules = field(default_factory=CascadeRules)  # of those that a plan names, but for their gates

    def objective(self, points_per_usd: float, spread: PoolSpread) -> Objective:
        """Return what every request asks for; weights refer to `spread`. Raises ValueError for numbers below 0."""
        return Objective(
            AUTO,
            points_per_usd,
            self.points_per_s or spread.points_per_s(self.latency_weight),
            self.points_per_wh or spread.points_per_wh(self.energy_weight),
            min_quality=self.min_quality,
        )

    def rules(self, floor: float, floor_loss: float | None = None) -> ExplorationRules:
        """Return the rules of exploration, for one run: a cap counts. Raises ValueError for a number that cannot be."""
        ceilings = self.exploration_usd_per_day, self.exploration_regret_per_request
        capped = any(ceiling is not None for ceiling in ceilings)
        cap = ExplorationCap(usd_per_day=ceilings[0], regret_per_request=ceilings[1]) if capped else None
        return ExplorationRules(floor, self.quota, cap, floor_loss)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The choices of whoever asks; everything is given as text, as on the command line."""

    policies: tuple[str, ...]
    cascades: tuple[str, ...] = ()  # gates, as `cascade_rules` reads them; every policy runs without and with each
    worlds: tuple[str, ...] = ("calm",)
    seeds: int = 20
    first_seed: int = 0
    rounds: int = 20_000
    # The first setting of the dial is reported, all of them make the frontier.
    cost_weights: tuple[float, ...] = (0.15,)  # what a table's dearest arm must be better by than its cheapest
    points_per_usd: tuple[float, ...] = ()  # instead of weights: points of quality that a dollar is worth
    dial: int = 0  # so many more settings, over each table's useful range
    floor: float = 0.02
    floor_loss: float | None = None  # expected quality minus penalty that it may lose a round; None: it is even
    arms: int | None = None  # that many arms, spread over the range of mean quality; None, or more than there are: all
    tags: tuple[str, ...] = ()  # columns of a table that a caller would tell: task, dataset
    context: tuple[Tag, ...] = ()  # declared tags, each told by the table's column of its name
    frozen_for: int = 1  # rounds between two updates
    bins: int = 40  # of the learning curves
    baselines: tuple[str, ...] = BASELINES  # best fixed and oracle run even if they are not among these
    router: RouterPlan = field(default_factory=RouterPlan)

    def check(self) -> None:
        """Return if everything named exists and every number can be.

        Raises:
            HighwaymanError: a ConfigError, WorldError or BaselineError that names what is wrong and what would be
                right.
        """
        required = {"policy": self.policies, "world": self.worlds, "cost weight": self.cost_weights}
        for kind, values in required.items():
            if not values:
                raise ConfigError(f"a sweep needs a {kind} or more, got none")
        more = {"points per dollar": self.points_per_usd, "baseline": self.baselines, "tag": self.tags}
        more["cascade"] = self.cascades
        for gate in self.cascades:
            cascade_rules(gate, self.router.cascade)
        for kind, values in {**required, **more}.items():
            _refuse_twice(kind, values)
        for spec in self.policies:
            _check_policy(spec)
        for spec in self.worlds:
            parse_world(spec)
        for name in self.baselines:
            load_baseline(name)
        for tag in self.tags:
            if tag not in TAGS:
                raise ConfigError(f"a table has no tag {tag!r}; give {' or '.join(TAGS)}")
        self.told_tags()
        self._check_numbers()

    def told_tags(self) -> tuple[Tag, ...]:
        """Return what callers tell, those declared first. Raises ConfigError for two that are called alike."""
        declared = {tag.name for tag in self.context}
        try:
            return TagColumns((*self.context, *(Tag(name) for name in self.tags if name not in declared))).tags
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _check_numbers(self) -> None:
        least: Mapping[str, int] = {"seeds": 1, "first_seed": 0, "bins": 1, "frozen_for": 1, "dial": 0}
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
        if self.floor_loss is not None and not (math.isfinite(self.floor_loss) and self.floor_loss >= 0):
            raise ConfigError(f"floor_loss must be a number >= 0 or None, got {self.floor_loss}")
        for weight in self.cost_weights:
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"a cost weight must be a number >= 0, got {weight}")
        try:
            for points in self.points_per_usd or (0.0,):
                self.router.objective(points, PoolSpread())
            self.router.rules(self.floor)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def _refuse_twice(kind: str, values: tuple[Any, ...]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ConfigError(f"{kind} {value!r} is given twice")


def _check_policy(spec: str) -> None:
    """Make the policy once, so that an option it does not take is reported before any table is read."""
    path, options = parse_policy(spec)
    load_policy(path, d=2, fingerprint="", options=options)
