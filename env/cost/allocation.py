"""Many prompts under one budget: which arm each of them goes to, so that all together are answered best."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.env.errors import BudgetExhausted
from highwayman.env.types import Floats

Indices = npt.NDArray[np.intp]
_HALVINGS = 100  # of the price's bracket: beyond what a double tells apart


@dataclass(frozen=True, slots=True, eq=False)
class Allocation:
    """An arm for each of n prompts."""

    actions: Indices  # (n,)
    expected_usd: float  # of all of them together
    expected_quality: float  # their mean, in quality units
    price: float  # of the budget: quality units that the last dollar brought; 0: there is money left for no better arm


def allocate(quality: Floats, usd: Floats, *, budget_usd: float, margin: float = 0.0) -> Allocation:
    """Return the arms that answer all prompts best for what may be spent on them together.

    Most expected quality within expected dollars is a multiple-choice knapsack problem. At a price p of the dollar each
    prompt by itself takes the arm of the most quality - p * usd; p is the least at which all together keep the budget,
    by bisection: the dual of the problem's linear relaxation (Sinha & Zoltners, "The Multiple-Choice Knapsack Problem",
    Operations Research 27, 1979). What is left is spent on whichever step up brings the most for a dollar and still
    fits, so the result lies at most one prompt's quality below the relaxation's optimum. OptLLM (Liu et al. 2024, arXiv
    2405.15130) assigns such a batch by local search, PORT (Wu & Silwal, NeurIPS 2025, arXiv 2509.02718) a stream by
    dual prices. All of them take predictions for true: of arms about which little is known, some look better or
    cheaper than they are, and those are taken more often.

    Ties go to the cheaper arm, then to the first; equal numbers give equal allocations, wherever they are computed.

    Args:
        quality: (n, K) expected, in quality units.
        usd: (n, K) expected dollars of each call; NaN: the arm has no price, or may not answer the prompt.
        budget_usd: for all prompts together.
        margin: share of the budget that is kept back, since calls may cost more than expected.

    Raises:
        ValueError: shapes do not fit, a number is out of range, or a prompt is left without any arm.
        BudgetExhausted: the cheapest arm of each prompt costs more, all together.
    """
    _check(quality, usd, budget_usd, margin)
    ceiling = budget_usd * (1.0 - margin)
    able = ~np.isnan(usd)
    cost = np.where(able, usd, np.inf)
    cheapest = cost.min(axis=1, keepdims=True)
    least = float(cheapest.sum())
    if least > ceiling:
        kept = f" less the margin of {margin:.0%}" if margin else ""
        raise BudgetExhausted(
            f"the budget of ${budget_usd:.6g}{kept} does not pay for {len(usd)} prompts: "
            f"the cheapest arm of each comes to ${least:.6g}"
        )
    order = np.lexsort((np.broadcast_to(np.arange(cost.shape[1]), cost.shape), cost), axis=1)  # cheaper arms first
    by_cost = np.take_along_axis(np.where(able, quality, -np.inf), order, axis=1), np.take_along_axis(cost, order, 1)
    price = _least_price(*by_cost, ceiling)
    places = _best_at(price, *by_cost)
    places = _with_steps_up(places, *by_cost, room_usd=ceiling - _spent(places, by_cost[1]))
    actions: Indices = np.take_along_axis(order, places[:, None], axis=1)[:, 0]
    rows = np.arange(len(usd))
    return Allocation(actions, float(usd[rows, actions].sum()), float(quality[rows, actions].mean()), price)


def _check(quality: Floats, usd: Floats, budget_usd: float, margin: float) -> None:
    if quality.ndim != 2 or quality.shape != usd.shape or not quality.size:
        raise ValueError(f"quality and usd must both be (n, K), got {quality.shape} and {usd.shape}")
    if not np.isfinite(quality).all():
        raise ValueError("quality must be numbers")
    if (usd < 0).any() or np.isinf(usd).any():
        raise ValueError("usd must be numbers >= 0, or NaN where an arm may not answer")
    if not (np.isfinite(budget_usd) and budget_usd >= 0):
        raise ValueError(f"budget_usd must be a number >= 0, got {budget_usd!r}")
    if not 0.0 <= margin < 1.0:
        raise ValueError(f"margin must be in [0, 1), got {margin!r}")
    alone = np.isnan(usd).all(axis=1)
    if alone.any():
        raise ValueError(f"prompt {int(alone.argmax())} has no arm that may answer it and has a price")


def _best_at(price: float, quality: Floats, cost: Floats) -> Indices:
    """Return the place of each prompt's best arm at a price of the dollar, (n,); arms stand by their cost, (n, K)."""
    with np.errstate(invalid="ignore"):  # -inf less 0 * inf
        value = quality - price * cost
    return np.asarray(np.where(np.isfinite(cost), value, -np.inf).argmax(axis=1), dtype=np.intp)


def _spent(places: Indices, cost: Floats) -> float:
    return float(cost[np.arange(len(places)), places].sum())


def _least_price(quality: Floats, cost: Floats, ceiling: float) -> float:
    """Return the least price of the dollar at which the prompts' best arms keep the ceiling."""
    if _spent(_best_at(0.0, quality, cost), cost) <= ceiling:
        return 0.0
    gain, extra = quality - quality[:, :1], cost - cost[:, :1]
    dearer = (extra > 0) & np.isfinite(extra)
    low, high = 0.0, 2.0 * float((gain[dearer] / extra[dearer]).max())  # above it each prompt takes its cheapest arm
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        low, high = (low, middle) if _spent(_best_at(middle, quality, cost), cost) <= ceiling else (middle, high)
    return high


def _with_steps_up(places: Indices, quality: Floats, cost: Floats, *, room_usd: float) -> Indices:
    """Return the places with better arms for some prompts, the most gain for a dollar first, as far as there is room.

    Among them are all that the price left undecided: those whose gain is worth it exactly.
    """
    rows = np.arange(len(places))
    gain, extra = quality - quality[rows, places][:, None], cost - cost[rows, places][:, None]
    prompts, arms = np.nonzero((gain > 0) & (extra > 0) & (extra <= room_usd))
    best_first = np.lexsort((arms, prompts, -gain[prompts, arms] / extra[prompts, arms]))
    taken, left = places.copy(), room_usd
    for prompt, arm in zip(prompts[best_first].tolist(), arms[best_first].tolist(), strict=True):
        before = taken[prompt]
        more_usd = cost[prompt, arm] - cost[prompt, before]
        if quality[prompt, arm] > quality[prompt, before] and more_usd <= left:
            taken[prompt], left = arm, left - more_usd
    return taken
