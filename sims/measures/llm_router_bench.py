"""LLMRouterBench's measures of a router (Li et al. 2026, arXiv 2601.07206)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats


@dataclass(frozen=True, slots=True)
class RouterBenchAccuracy:
    """Mean accuracy over datasets, each counting alike, and how it compares."""

    accuracy: float
    over_random: float  # ImpRand: relative to a router that takes all arms alike
    over_max_expert: float  # ImpMax: relative to each dataset's best arm, known in hindsight
    below_oracle: float  # OracleGap: relative to each prompt's best arm


@dataclass(frozen=True, slots=True)
class RouterBenchTradeoff:
    """What a router's whole dial comes to beside the best single arm."""

    performance_gain: float  # PerfGain: of its best setting, relative
    cost_saving: float  # CostSave: share of the best arm's cost that the cheapest setting as good saves; 0: none is


def router_bench_accuracy(quality: Floats, probs: Floats, datasets: Sequence[str]) -> RouterBenchAccuracy:
    """Return the measures of choices with `probs` (n, K) where arms have `quality` (n, K), prompts of `datasets` (n,).

    The paper says improvement and gap; here they are relative, (a - b) / b. A gap is negative where there is one.
    """
    names, dataset = np.unique(np.array(datasets), return_inverse=True)
    by_dataset = [dataset == number for number in range(len(names))]

    def mean(values: Floats) -> float:
        return float(np.mean([values[rows].mean() for rows in by_dataset]))

    accuracy = mean((probs * quality).sum(axis=1))
    expert = float(np.mean([quality[rows].mean(axis=0).max() for rows in by_dataset]))
    return RouterBenchAccuracy(
        accuracy,
        over_random=_relative(accuracy, mean(quality.mean(axis=1))),
        over_max_expert=_relative(accuracy, expert),
        below_oracle=_relative(accuracy, mean(quality.max(axis=1))),
    )


def router_bench_tradeoff(
    quality: Floats, cost: Floats, *, best_quality: float, best_cost: float
) -> RouterBenchTradeoff:
    """Return what a router's settings, of mean quality and cost (m,) each, come to beside the best single arm's.

    ParetoRatio and ParetoDist depend on which other routers were run, and are not here.
    """
    as_good = cost[quality >= best_quality]
    return RouterBenchTradeoff(
        performance_gain=_relative(float(quality.max()), best_quality),
        cost_saving=max(1.0 - float(as_good.min()) / best_cost, 0.0) if as_good.size else 0.0,
    )


def _relative(value: float, to: float) -> float:
    return value / to - 1.0 if to else np.nan
