"""Where each policy stands against each baseline: differences paired by seed, and what they allow to be said."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.over_seeds import MeanInterval, mean_interval, paired_difference
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case

UNKNOWN = MeanInterval(math.nan, math.nan, math.nan, 0)


class Finding(StrEnum):
    """What an interval of a difference allows to be said."""

    AHEAD = "ahead"
    BEHIND = "behind"
    UNCLEAR = "unclear"  # it includes 0, or there is none


@dataclass(frozen=True, slots=True)
class PolicyStanding:
    """A policy or a baseline on one table in one world."""

    name: str
    kind: str
    value: MeanInterval
    over_fixed: MeanInterval  # value minus that of the best fixed arm under the same seed; n = 0 where there is none
    later: MeanInterval  # the same, over the last 25% of the rounds

    @property
    def finding(self) -> Finding:
        """Whether it is ahead of the best fixed arm."""
        return finding(self.over_fixed)


def finding(difference: MeanInterval) -> Finding:
    """Return what the interval says: ahead where all of it is above 0, behind where all of it is below."""
    if difference.low > 0:
        return Finding.AHEAD
    return Finding.BEHIND if difference.high < 0 else Finding.UNCLEAR


def standings(case: Case, kind: str = POLICY) -> list[PolicyStanding]:
    """Return the policies, or the baselines, best mean value first."""
    rows = [_standing(case, name, kind) for name in case.names(kind)]
    return sorted(rows, key=_worst_last)


def difference(case: Case, name: str, other: str, column: str = "value", *, confidence: float = 0.95) -> MeanInterval:
    """Return a policy's column minus another's, paired by seed; n = 0 where no seed is known of both."""
    ours, theirs = case.pairs(name, other, column)
    return paired_difference(ours, theirs, confidence=confidence) if len(ours) else UNKNOWN


def shown_ahead(case: Case) -> tuple[str, ...]:
    """Return the policies ahead of the reference however many were tried, and within their budget, if there is one.

    The intervals are as much wider as it takes for all of them to hold together 95 times in 100 (Bonferroni): of many
    policies one is sure to look good by chance.
    """
    names = case.names(POLICY)
    confidence = 1 - 0.05 / max(len(names), 1)
    gaps = {name: difference(case, name, case.results.reference, confidence=confidence) for name in names}
    return tuple(name for name, gap in gaps.items() if finding(gap) is Finding.AHEAD and within_budget(case, name))


def within_budget(case: Case, name: str) -> bool:
    """Return whether its mean cost is at most 1% above the ceiling, or there is none."""
    ratio = mean_over_ceiling(case, name)
    return math.isnan(ratio) or ratio <= 1.01


def mean_over_ceiling(case: Case, name: str) -> float:
    """Return the mean cost over all rounds and seeds over the budget's ceiling; NaN where one of them is unknown."""
    costs = case.values(name, "cost_usd")
    return float(costs.mean()) / case.budget_usd if len(costs) else math.nan


def over_seeds(values: Floats) -> MeanInterval:
    """Return the mean and interval of a column of runs, unknown where any of them is."""
    return mean_interval(values) if len(values) and np.isfinite(values).all() else UNKNOWN


def against_baselines(case: Case) -> tuple[list[str], list[tuple[str, list[MeanInterval]]]]:
    """Return the baselines, best first, and for each policy, best first, its difference to each of them."""
    names = [standing.name for standing in standings(case, BASELINE)]
    rows = [
        (standing.name, [difference(case, standing.name, other) for other in names]) for standing in standings(case)
    ]
    return names, rows


def signed(value: float) -> str:
    """Return a difference in three decimals with its sign, such as +0.034; a dash where it is unknown."""
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def fixed_arm(case: Case) -> str | None:
    """Return the arm that the best fixed rule takes most, None where its runs do not say."""
    runs = [run.shares for run in case.of(case.results.reference) if run.shares]
    return case.arms.names[int(np.array(runs).mean(axis=0).argmax())] if runs else None


def label_of(case: Case, name: str) -> str:
    """Return what a policy or baseline is called in a table: the best fixed rule with the arm that it is."""
    arm = fixed_arm(case) if name == case.results.reference else None
    return f"{name}: {arm}" if arm else name


def reference_first(case: Case) -> list[PolicyStanding]:
    """Return policies and baselines, best mean value first, but before them all the one that routing has to beat."""
    rows = [*standings(case, POLICY), *standings(case, BASELINE)]
    return sorted(rows, key=lambda row: (row.name != case.results.reference, _worst_last(row)))


def _worst_last(row: PolicyStanding) -> float:
    return -row.value.mean if math.isfinite(row.value.mean) else math.inf


def _standing(case: Case, name: str, kind: str) -> PolicyStanding:
    reference = case.results.reference
    return PolicyStanding(
        name,
        kind,
        over_seeds(case.values(name)),
        difference(case, name, reference),
        difference(case, name, reference, "last_value"),
    )
