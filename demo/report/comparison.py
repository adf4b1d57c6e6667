"""Was the router better than any one arm, and by how much? Paired, on the prompts all arms answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from highwayman.demo.rounds import Round
from highwayman.env.cost.objective import AUTO, Objective
from highwayman.env.types import Floats

_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to choose arms, on the rounds compared: what it earned, how good it was, what it cost."""

    name: str
    reward: float  # quality minus the penalty for cost
    quality: float
    cost_usd: float  # mean per request; arms without a price count as free


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A mean difference of reward with its 95% interval."""

    mean: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything the report says of the rounds compared."""

    rounds: int
    points_per_usd: float
    penalty: Mapping[str, float]  # of each arm, in quality units
    learned: Strategy
    best_fixed: Strategy
    uniform: Strategy
    per_kind: Strategy  # the best arm for each kind, known only in hindsight
    arms: Sequence[Strategy]
    over_fixed: PairedDifference
    over_uniform: PairedDifference
    shares: Mapping[str, Mapping[str, float]]  # kind -> arm -> share of the router's choices
    qualities: Mapping[str, Mapping[str, float]]  # kind -> arm -> mean quality
    best_for: Mapping[str, str]  # kind -> the arm that earned most on it


def compare(rounds: Sequence[Round], arms: Sequence[str], *, points_per_usd: float, seed: int) -> Comparison:
    """Return how the router's choices compare with every arm's answers to the same prompts.

    The best fixed arm is the best on these very rounds: a rival that nobody could have named beforehand. Its
    interval takes that choice as given.

    Args:
        rounds: those on which every arm was asked.
        arms: the names of the pool's arms.
        points_per_usd: points of quality (.01) that a dollar is worth.
        seed: of the resampling.
    """
    if not rounds:
        raise ValueError("rounds is empty: nothing to compare")
    grid = _Grid.of(rounds, arms, arm_penalties(rounds, arms, points_per_usd=points_per_usd))
    best = int(grid.reward.mean(axis=0).argmax())
    earned = (grid.chosen * grid.reward).sum(axis=1)  # (n,)
    rng = np.random.default_rng(seed)
    return Comparison(
        rounds=len(rounds),
        points_per_usd=points_per_usd,
        penalty=grid.penalty,
        learned=grid.strategy("learned", grid.chosen),
        best_fixed=grid.strategy(f"always {arms[best]}", grid.always(best)),
        uniform=grid.strategy("random", np.full_like(grid.reward, 1 / len(arms))),
        per_kind=grid.strategy("best arm of each kind", grid.best_of_kind()),
        arms=[grid.strategy(arm, grid.always(k)) for k, arm in enumerate(arms)],
        over_fixed=bootstrap(earned - grid.reward[:, best], rng),
        over_uniform=bootstrap(earned - grid.reward.mean(axis=1), rng),
        shares=_by_kind(grid.kinds, arms, grid.chosen),
        qualities=_by_kind(grid.kinds, arms, grid.quality),
        best_for={kind: arms[best] for kind, best in grid.best_by_kind().items()},
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """The rounds as arrays: n rounds, K arms."""

    penalty: Mapping[str, float]
    quality: Floats  # (n, K)
    reward: Floats  # (n, K)
    cost_usd: Floats  # (n, K)
    chosen: Floats  # (n, K): 1 at the router's choice
    kinds: npt.NDArray[np.str_]  # (n,)

    @classmethod
    def of(cls, rounds: Sequence[Round], arms: Sequence[str], penalty: Mapping[str, float]) -> Self:
        """Return the arrays of `rounds`."""
        quality = np.array([[one.every_arm[arm].quality for arm in arms] for one in rounds])
        return cls(
            penalty=penalty,
            quality=quality,
            reward=quality - np.array([penalty[arm] for arm in arms]),
            cost_usd=np.array([[one.every_arm[arm].cost_usd or 0.0 for arm in arms] for one in rounds]),
            chosen=np.eye(len(arms))[[arms.index(one.chosen.arm) for one in rounds]],
            kinds=np.array([one.kind for one in rounds]),
        )

    def strategy(self, name: str, picks: Floats) -> Strategy:
        """Return what picking arms with probabilities `picks` (n, K) comes to."""
        return Strategy(
            name,
            reward=float((picks * self.reward).sum(axis=1).mean()),
            quality=float((picks * self.quality).sum(axis=1).mean()),
            cost_usd=float((picks * self.cost_usd).sum(axis=1).mean()),
        )

    def always(self, arm: int) -> Floats:
        """Return the picks (n, K) of one arm on every round."""
        picks = np.zeros_like(self.reward)
        picks[:, arm] = 1.0
        return picks

    def best_by_kind(self) -> dict[str, int]:
        """Return the column of the arm that earned most on each kind."""
        kinds = sorted(set(self.kinds.tolist()))
        return {kind: int(self.reward[self.kinds == kind].mean(axis=0).argmax()) for kind in kinds}

    def best_of_kind(self) -> Floats:
        """Return the picks (n, K) of the arm that did best on each kind."""
        best = self.best_by_kind()
        picks: Floats = np.eye(self.reward.shape[1])[[best[kind] for kind in self.kinds.tolist()]]
        return picks


def arm_penalties(rounds: Sequence[Round], arms: Sequence[str], *, points_per_usd: float) -> dict[str, float]:
    """Return each arm's penalty from its mean cost over `rounds`, by the router's own rule."""
    means = []
    for arm in arms:
        costs = [cost for one in rounds if (cost := one.every_arm[arm].cost_usd) is not None]
        means.append(float(np.mean(costs)) if costs else np.nan)
    penalties = Objective(AUTO, points_per_usd).penalties(np.array(means))
    return dict(zip(arms, penalties.tolist(), strict=True))


def bootstrap(differences: Floats, rng: np.random.Generator) -> PairedDifference:
    """Return the mean of paired differences (n,) with its 95% percentile interval.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979. It assumes rounds that
    do not depend on each other; the router's choices do a little, through what it learned.
    """
    picks = rng.integers(len(differences), size=(_RESAMPLES, len(differences)))
    low, high = np.quantile(differences[picks].mean(axis=1), [0.025, 0.975])
    return PairedDifference(float(differences.mean()), float(low), float(high))


def _by_kind(kinds: npt.NDArray[np.str_], arms: Sequence[str], values: Floats) -> dict[str, dict[str, float]]:
    """Return the mean of `values` (n, K) for each kind and arm."""
    means = {kind: values[kinds == kind].mean(axis=0).tolist() for kind in sorted(set(kinds.tolist()))}
    return {kind: dict(zip(arms, row, strict=True)) for kind, row in means.items()}
