"""Inference efficiency by arm, policy or tenant, by the one definition that everything here shares."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from highwayman.env.cost.efficiency import inference_efficiency
from highwayman.feedback.fold.tallies.efficiency_tally import EfficiencySums, EfficiencyTally

By = Literal["arm", "policy", "tenant"]
_PLACES: Final[Mapping[By, int]] = {"tenant": 0, "policy": 1, "arm": 2}


@dataclass(frozen=True, slots=True)
class GroupEfficiency:
    """What routed answers of one arm, policy or tenant were worth, and what they took, on average; None: not known."""

    name: str
    calls: int
    quality: float | None  # of those that were rated
    latency_s: float | None
    cost_usd: float | None
    wh: float | None
    efficiency: float | None  # the score of an answer that is worth and takes what they do on average


def efficiency_report(tally: EfficiencyTally, *, by: By, tenant: str | None = None) -> list[GroupEfficiency]:
    """Return the groups, the most efficient ones first.

    Args:
        tally: of the log so far.
        by: what makes a group.
        tenant: whose answers alone; None: everybody's.
    """
    sums: defaultdict[str, EfficiencySums] = defaultdict(EfficiencySums)
    for group, own in tally.groups.items():
        if tenant in (None, group[0]):
            sums[group[_PLACES[by]]] = sums[group[_PLACES[by]]].plus(own)
    report = [_efficiency(name, own) for name, own in sums.items() if own.calls > 0]
    return sorted(report, key=lambda group: (group.efficiency is None, -(group.efficiency or 0.0), group.name))


def _efficiency(name: str, sums: EfficiencySums) -> GroupEfficiency:
    quality = min(max(sums.weighted / sums.weight, 0.0), 1.0) if sums.weight > 0 else None
    latency_s = max(sums.latency_s / sums.calls, 0.0)
    cost_usd = sums.cost_usd / sums.priced if sums.priced > 0 else None
    return GroupEfficiency(
        name,
        sums.calls,
        quality,
        latency_s,
        cost_usd,
        sums.wh / sums.metered if sums.metered > 0 else None,
        None if quality is None else inference_efficiency(quality, latency_s, cost_usd),
    )
