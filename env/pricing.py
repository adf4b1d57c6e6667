"""What each arm's answer is expected to cost, as the penalties a policy decides with."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from highwayman.env.cost import TokenUse, expected_cost_usd
from highwayman.env.objective import penalties
from highwayman.env.types import Arm, Floats


def priced(
    arms: Sequence[str], pool: Iterable[Arm], use: Callable[[str], TokenUse], *, cost_weight: float,
    prompt_tokens: int, max_tokens: int | None = None,
) -> Floats:  # fmt: skip
    """Return the penalty of each eligible arm in quality units, shape (K,).

    Args:
        arms: names of the eligible ones, all of them in the pool.
        pool: every arm there is: costs are scaled over all of them.
        use: what an arm's calls have used so far.
        cost_weight: how much the caller minds cost.
        prompt_tokens: of this query, estimated.
        max_tokens: the caller's limit on the answer.
    """
    if cost_weight == 0.0:
        return np.zeros(len(arms))
    costs = {
        arm.name: expected_cost_usd(arm, use(arm.name), prompt_tokens=prompt_tokens, max_tokens=max_tokens)
        for arm in pool
    }
    return penalties([costs[name] for name in arms], pool_usd=list(costs.values()), cost_weight=cost_weight)
