"""What the policy in force believes of the requests that came last, and what exploring on them was expected to cost."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from highwayman.bandit.policy import Policy, QuantifiesQuality
from highwayman.env.types import Decision, Floats, Mode


@dataclass(slots=True)
class Beliefs:
    """Means over the latest requests that a policy decided; NaN where it says nothing of quality, or there are none.

    They are the policy's own beliefs, as it stands now, and so is the regret: where it is wrong about an arm, so is
    this. Of an arm's belief only requests count that it was a candidate for.
    """

    quality: dict[str, float] = field(default_factory=dict)
    deviation: dict[str, float] = field(default_factory=dict)
    regret: float = (
        math.nan
    )  # quality minus penalty of the arm that looks best, beyond what the draw was expected to bring
    usd: float = math.nan  # dollars that the draw was expected to cost beyond that arm
    explored: float = math.nan  # share of requests whose arm did not look best


def beliefs_of(
    decisions: Iterable[Decision], policy_for: Callable[[str], Policy], usd_per_call: Mapping[str, float]
) -> Beliefs:
    """Return what the policies of the tenants believe; `usd_per_call` is what each arm's calls cost on average.

    Decisions of one tenant, with the same candidates, are asked about at once.
    """
    groups: dict[tuple[str, tuple[str, ...], int], list[Decision]] = {}
    for decision in decisions:
        if decision.mode is Mode.ROUTE:
            key = decision.tenant, decision.arms, len(decision.context.features)
            groups.setdefault(key, []).append(decision)
    rounds: list[Floats] = []  # (n, 3) each: regret, dollars, whether it explored
    believed: dict[str, list[Floats]] = {}
    for (tenant, arms, _), members in groups.items():
        policy = policy_for(tenant)
        if not isinstance(policy, QuantifiesQuality):
            continue
        quality, deviation = policy.quality_and_deviation(np.stack([d.context.features for d in members]), arms)
        rounds.append(_exploration(members, quality, np.array([usd_per_call.get(arm, 0.0) for arm in arms])))
        for place, arm in enumerate(arms):
            believed.setdefault(arm, []).append(np.stack([quality[:, place], deviation[:, place]]))
    beliefs = Beliefs()
    for arm, parts in believed.items():
        beliefs.quality[arm], beliefs.deviation[arm] = np.concatenate(parts, axis=1).mean(axis=1).tolist()
    if rounds:
        beliefs.regret, beliefs.usd, beliefs.explored = np.concatenate(rounds).mean(axis=0).tolist()
    return beliefs


def _exploration(decisions: list[Decision], quality: Floats, usd: Floats) -> Floats:
    """Return regret, dollars and whether it explored of n decisions, (n, 3), by quality (n, K) and dollars (K,)."""
    probs = np.stack([decision.probs for decision in decisions])  # (n, K)
    utility = quality - np.stack([decision.penalties for decision in decisions])
    best = utility.argmax(axis=1)
    rows = np.arange(len(decisions))
    regret = utility[rows, best] - (probs * utility).sum(axis=1)
    drawn = np.array([decision.action for decision in decisions])
    return np.column_stack([regret, probs @ usd - usd[best], drawn != best])
