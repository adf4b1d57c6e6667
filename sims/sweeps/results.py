"""What a sweep found: every run, how each went over time, what the tables hold, and how it all came about."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Floats

POLICY: Final = "policy"
BASELINE: Final = "baseline"
BEST_FIXED: Final = "best fixed"
ORACLE: Final = "oracle"


class ResultsError(HighwaymanError):
    """Results do not fit together, or their files cannot be used; names what is wrong and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One policy, or one baseline, on one scenario. Values are in quality units, per round."""

    table: str
    world: str
    policy: str  # its name, or the baseline's
    seed: int
    rounds: int
    kind: str  # policy or baseline
    value: float  # mean quality minus penalty
    quality: float
    cost_usd: float  # mean dollars per request; NaN: not every price is known
    regret_fixed: float = math.nan  # mean shortfall against the best fixed arm; negative where routing paid
    regret_oracle: float = math.nan  # mean shortfall against the best arm of every single prompt
    first_value: float = math.nan  # over the first 10% of the rounds
    last_value: float = math.nan  # over the last 25%
    budget_usd: float = math.nan  # the ceiling on mean dollars per request; NaN: none was set
    budget_ratio: float = math.nan  # worst mean cost of 500 rounds in a row over the ceiling; NaN without one
    exploration_usd: float = math.nan  # spent beyond the first choice, over the whole run
    ies: float = math.nan  # mean Inference Efficiency Score, per dollar of 1,000 requests; NaN: a call has no price
    shares: tuple[float, ...] = ()  # (K,) of the rounds, per arm of the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A stretch of rounds of a run."""

    table: str
    world: str
    policy: str
    seed: int
    round: int  # the bin's last, counted from 1
    value: float  # mean quality minus penalty within the bin
    regret: float = math.nan  # summed over all rounds so far, against the best fixed arm; negative: routing is ahead
    cost_usd: float = math.nan  # mean dollars per request within the bin
    shares: tuple[float, ...] = ()  # (K,) of the bin's rounds, per arm of the table
    feedback: int = 0  # rounds of the bin whose reward was learned


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What a baseline is worth on a table as a whole, apart from any scenario."""

    value: float
    quality: float
    cost_usd: float = math.nan


@dataclass(frozen=True, slots=True)
class Arms:
    """The K arms of a table."""

    names: tuple[str, ...]
    quality: tuple[float, ...]  # (K,) means over the table's prompts
    cost_usd: tuple[float, ...]  # (K,) mean dollars per request; NaN: unknown
    penalty: tuple[float, ...]  # (K,) in quality units
    hull: tuple[tuple[float, float], ...] = ()  # corners (mean dollars, mean quality) of the best fixed mixtures
    baselines: Mapping[str, BaselineResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """A policy run at one setting of the dial: what it cost and how good it was under each seed."""

    table: str
    world: str
    policy: str
    cost_weight: float
    cost_usd: tuple[float, ...]  # (seeds,) mean dollars per request
    quality: tuple[float, ...]  # (seeds,) means
    points_per_usd: float = math.nan  # of quality; NaN: of a sweep whose weights were of the logarithm of cost


@dataclass(frozen=True, slots=True)
class Ratios:
    """How well a policy's log can judge others: importance ratios of a target that draws evenly."""

    table: str
    world: str
    policy: str
    edges: tuple[float, ...]  # (b + 1,) above 0, rising
    counts: tuple[int, ...]  # (b,) rounds
    ess: float  # effective sample size, in rounds


@dataclass(frozen=True, slots=True)
class Results:
    """All that a sweep found. `runs` and `curves` may be long; the rest is a page."""

    runs: tuple[RunResult, ...]
    curves: tuple[Bin, ...] = ()
    arms: Mapping[str, Arms] = field(default_factory=dict)  # by table
    frontier: tuple[Setting, ...] = ()
    ratios: tuple[Ratios, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)  # what JSON can say, nested
    reference: str = BEST_FIXED  # the baseline that routing has to beat
    oracle: str = ORACLE

    def check(self) -> None:
        """Return if the parts fit together.

        Raises:
            ResultsError: no runs, an unknown kind, a name that is both policy and baseline, a run that stands twice,
                a table without arms, or lists whose lengths do not fit.
        """
        if not self.runs:
            raise ResultsError("runs: there are none, so there is nothing to report")
        seen: set[tuple[str, str, str, int]] = set()
        kinds: dict[str, str] = {}
        for number, run in enumerate(self.runs):
            key = (run.table, run.world, run.policy, run.seed)
            if run.kind not in (POLICY, BASELINE):
                raise ResultsError(f"runs: row {number}: kind must be {POLICY} or {BASELINE}, got {run.kind!r}")
            if key in seen:
                raise ResultsError(f"runs: row {number}: {run.policy!r} with seed {run.seed} stands twice on {key[:2]}")
            if kinds.setdefault(run.policy, run.kind) != run.kind:
                raise ResultsError(f"runs: row {number}: {run.policy!r} is a policy in one row, a baseline in another")
            seen.add(key)
        _check_shares("runs", self.runs, self.arms)
        _check_shares("curves", self.curves, self.arms)
        self._check_lengths()

    def _check_lengths(self) -> None:
        for table, arms in self.arms.items():
            if not len(arms.names) == len(arms.quality) == len(arms.cost_usd) == len(arms.penalty):
                raise ResultsError(f"arms of {table!r}: need a quality, a cost and a penalty for each name")
        for number, setting in enumerate(self.frontier):
            if not len(setting.cost_usd) == len(setting.quality) > 0:
                raise ResultsError(f"frontier: row {number}: need a cost and a quality for each seed")
        for number, bars in enumerate(self.ratios):
            if len(bars.edges) != len(bars.counts) + 1 or not bars.edges[0] > 0:
                raise ResultsError(f"ratios: row {number}: need edges above 0, one more than counts")

    def policies(self) -> tuple[str, ...]:
        """Return the names of all policies, in the order of their first runs."""
        return _names(run.policy for run in self.runs if run.kind == POLICY)

    def cases(self) -> tuple["Case", ...]:
        """Return the runs on each table in each world, in the order of their first runs."""
        rows: dict[tuple[str, str], tuple[list[RunResult], list[Bin]]] = {}
        for run in self.runs:
            rows.setdefault((run.table, run.world), ([], []))[0].append(run)
        for curve_bin in self.curves:
            if (curve_bin.table, curve_bin.world) in rows:
                rows[curve_bin.table, curve_bin.world][1].append(curve_bin)
        return tuple(Case(self, *at, tuple(runs), tuple(bins)) for at, (runs, bins) in rows.items())


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What ran on one table in one world."""

    results: Results
    table: str
    world: str
    runs: tuple[RunResult, ...]
    bins: tuple[Bin, ...]

    @property
    def arms(self) -> Arms:
        """The table's arms."""
        return self.results.arms[self.table]

    @property
    def budget_usd(self) -> float:
        """The ceiling on mean dollars per request; NaN where none was set."""
        return next((run.budget_usd for run in self.runs if not math.isnan(run.budget_usd)), math.nan)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the policies or of the baselines that ran."""
        return _names(run.policy for run in self.runs if run.kind == kind)

    def of(self, name: str) -> tuple[RunResult, ...]:
        """Return the runs of a policy or baseline by rising seed."""
        return tuple(sorted((run for run in self.runs if run.policy == name), key=lambda run: run.seed))

    def values(self, name: str, column: str = "value") -> Floats:
        """Return a column of a policy's runs by rising seed, shape (seeds,)."""
        return np.array([getattr(run, column) for run in self.of(name)], dtype=np.float64)

    def pairs(self, name: str, other: str, column: str = "value") -> tuple[Floats, Floats]:
        """Return a column of two policies under the seeds that both ran with, (seeds,) each, finite in both."""
        ours, theirs = ({run.seed: getattr(run, column) for run in self.of(policy)} for policy in (name, other))
        both = [(ours[seed], theirs[seed]) for seed in ours if seed in theirs]
        paired = np.array(both, dtype=np.float64).reshape(-1, 2)
        paired = paired[np.isfinite(paired).all(axis=1)]
        return paired[:, 0], paired[:, 1]

    def curve(self, name: str, column: str = "value") -> tuple[Floats, Floats]:
        """Return the rounds at which each of a policy's seeds has a bin, (b,), and a column there, (seeds, b, ...)."""
        rows: dict[int, dict[int, Any]] = {}
        for curve_bin in self.bins:
            if curve_bin.policy == name:
                rows.setdefault(curve_bin.seed, {})[curve_bin.round] = getattr(curve_bin, column)
        if not rows:
            return np.empty(0), np.empty((0, 0))
        ends = sorted(set.intersection(*(set(seed_rows) for seed_rows in rows.values())))
        values = [[rows[seed][end] for end in ends] for seed in sorted(rows)]
        return np.array(ends, dtype=np.float64), np.array(values, dtype=np.float64)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _check_shares(where: str, rows: Iterable[RunResult | Bin], arms: Mapping[str, Arms]) -> None:
    lengths: dict[tuple[str, str, str], int] = {}
    for number, row in enumerate(rows):
        if row.table not in arms:
            raise ResultsError(f"{where}: row {number}: arms has no table {row.table!r}")
        k, count = len(arms[row.table].names), len(row.shares)
        if count not in (0, k):
            raise ResultsError(f"{where}: row {number}: {count} shares, {row.table!r} has {k} arms")
        if lengths.setdefault((row.table, row.world, row.policy), count) != count:
            raise ResultsError(f"{where}: row {number}: {row.policy!r} has shares in some rows only")
