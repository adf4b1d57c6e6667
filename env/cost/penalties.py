"""What each arm's answer is expected to take, and the penalties a policy decides with."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from highwayman.env.cost.objective import Objective, scaled_penalties
from highwayman.env.cost.usage import TokenUse, UsageEstimate, estimate_call
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import Arm, Floats

UsageEstimates = Mapping[str, UsageEstimate]  # by arm, of the whole pool


def estimate_usage(
    pool: Iterable[Arm], use: Callable[[str], TokenUse], *, prompt_tokens: int, max_tokens: int | None = None,
    under_way: Callable[[str], int] = lambda arm: 0, script: str = "",
    queue: Callable[[str], QueueState | None] = lambda arm: None,
) -> UsageEstimates:  # fmt: skip
    """Return what a call to each arm of the pool is expected to take.

    Args:
        pool: every arm there is: amounts are scaled over all of them.
        use: what an arm's calls have used so far.
        prompt_tokens: of this query, estimated.
        max_tokens: the caller's limit on the answer.
        under_way: calls to an arm that have not ended.
        script: of this query.
        queue: what is measured of an arm's load, if anything is.
    """
    return {
        arm.name: estimate_call(
            arm,
            use(arm.name),
            prompt_tokens=prompt_tokens,
            max_tokens=max_tokens,
            under_way=under_way(arm.name),
            script=script,
            queue=queue(arm.name),
        )
        for arm in pool
    }


def arm_penalties(arms: Sequence[str], estimates: UsageEstimates, objective: Objective) -> Floats:
    """Return the penalty of each eligible arm in quality units, shape (K,), in the order of `arms`."""
    penalties = scaled_penalties(
        [estimates[arm].usd for arm in arms],
        pool=[estimate.usd for estimate in estimates.values()],
        weight=objective.cost_weight,
    )
    if objective.latency_weight:
        latencies = [estimate.latency_s for estimate in estimates.values()]
        penalties = penalties + scaled_penalties(
            [estimates[arm].latency_s for arm in arms], pool=latencies, weight=objective.latency_weight
        )
    if objective.energy_weight:
        energies = [estimate.wh for estimate in estimates.values()]
        penalties = penalties + scaled_penalties(
            [estimates[arm].wh for arm in arms], pool=energies, weight=objective.energy_weight
        )
    return penalties


def expected_usd(arms: Sequence[str], estimates: UsageEstimates) -> Floats:
    """Return the dollars a call to each arm is expected to cost, shape (K,); NaN: it has no price."""
    return np.array([np.nan if (usd := estimates[arm].usd) is None else usd for arm in arms], dtype=np.float64)
