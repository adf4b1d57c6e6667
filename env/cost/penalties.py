"""What each arm's answer is expected to take, and the penalties a policy decides with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.usage import ExpectedAnswer, TokenUse, UsageEstimate, estimate_call
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import Arm, Floats

UsageEstimates = Mapping[str, UsageEstimate]  # by arm, of the whole pool


def estimate_usage(
    pool: Iterable[Arm], use: Callable[[str], TokenUse], *, prompt_tokens: int, max_tokens: int | None = None,
    under_way: Callable[[str], int] = lambda arm: 0, script: str = "",
    queue: Callable[[str], QueueState | None] = lambda arm: None,
    answers: Mapping[str, ExpectedAnswer] = MappingProxyType({}),
) -> UsageEstimates:  # fmt: skip
    """Return what a call to each arm of the pool is expected to take.

    Args:
        pool: every arm there is.
        use: what an arm's calls have used so far.
        prompt_tokens: of this query, estimated.
        max_tokens: the caller's limit on the answer.
        under_way: calls to an arm that have not ended.
        script: of this query.
        queue: what is measured of an arm's load, if anything is.
        answers: what an arm's answer to this query is expected to take; of an arm left out, as its calls on average.
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
            answer=answers.get(arm.name),
        )
        for arm in pool
    }


def arm_penalties(arms: Sequence[str], estimates: UsageEstimates, objective: Objective) -> Floats:
    """Return the penalty of each eligible arm in quality units, shape (K,), in the order of `arms`.

    What nobody knows of an arm counts as the most that is known of any arm of the pool: unknown is never cheaper.
    """
    pool = tuple(estimates.values())
    carried = objective.penalties(
        _known(estimate.usd for estimate in pool),
        _known(estimate.latency_s for estimate in pool) if objective.points_per_s else None,
        _known(estimate.wh for estimate in pool) if objective.points_per_wh else None,
    )
    by_arm = dict(zip(estimates, carried.tolist(), strict=True))
    return np.array([by_arm[arm] for arm in arms])


def expected_usd(arms: Sequence[str], estimates: UsageEstimates) -> Floats:
    """Return the dollars a call to each arm is expected to cost, shape (K,); NaN: it has no price."""
    return _known(estimates[arm].usd for arm in arms)


def _known(amounts: Iterable[float | None]) -> Floats:
    """Return amounts as an array, NaN where None."""
    return np.array([np.nan if amount is None else amount for amount in amounts], dtype=np.float64)
