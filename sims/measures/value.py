"""What choices earned, cost and missed, given what every arm would have: round by round, exact, no estimation."""

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices

Choices = npt.NDArray[np.intp] | Floats  # (n,) arms taken, or (n, K) probabilities of each: then in expectation


def taken(values: Floats, choices: Choices) -> Floats:
    """Return what each round's choice is worth in `values` (n, K), shape (n,).

    Args:
        values: (n, K) of every arm.
        choices: (n,) integers, the arms taken; or (n, K) probabilities, for the expectation. An arm of probability 0
            adds nothing, even where its value is NaN.

    Raises:
        ValueError: the shapes do not fit, or an arm is none of the K.
    """
    _check(choices, values.shape)
    if choices.ndim == 2:
        weighted = np.multiply(values, choices, where=choices > 0, out=np.zeros(values.shape))
        return np.asarray(weighted.sum(axis=1), dtype=np.float64)
    return np.asarray(values[np.arange(len(values)), choices.astype(np.intp)], dtype=np.float64)


def value(quality: Floats, penalties: Floats, choices: Choices) -> float:
    """Return the mean of quality minus penalty, in quality units: what a router maximises.

    Args:
        quality: (n, K) in [0, 1].
        penalties: (n, K) or (K,), in quality units.
        choices: as in `taken`.
    """
    return float(taken(quality - penalties, choices).mean())


def mean_quality(quality: Floats, choices: Choices) -> float:
    """Return the mean quality of what was chosen; `quality` (n, K), choices as in `taken`."""
    return float(taken(quality, choices).mean())


def mean_cost(cost_usd: Floats, choices: Choices) -> float:
    """Return the mean dollars per request; `cost_usd` (n, K), choices as in `taken`. NaN if one cost is unknown."""
    return float(taken(cost_usd, choices).mean())


def best_fixed(utility: Floats, available: Bools | None = None) -> Indices:
    """Return the arm that the best fixed rule takes in each round, shape (n,).

    One arm for all rounds, the one with the highest mean utility in hindsight. Where arms come and go, the best fixed
    ranking instead: arms in the order of their mean utility over the rounds they were there, and in each round the
    first that is. That is the benchmark of Kleinberg, Niculescu-Mizil & Sharma, "Regret Bounds for Sleeping Experts and
    Bandits", Machine Learning 2010, for rewards drawn from distributions that stay; under drift a better ranking may
    exist.

    Args:
        utility: (n, K) quality minus penalty.
        available: (n, K); None: all are.

    Raises:
        ValueError: a round in which no arm is available.
    """
    mask = _mask(utility, available)
    counts = mask.sum(axis=0)
    sums = np.where(mask, utility, 0.0).sum(axis=0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    ranked = np.where(mask, means, -np.inf)  # (n, K)
    return np.asarray(ranked.argmax(axis=1), dtype=np.intp)


def regret_best_fixed(utility: Floats, choices: Choices, available: Bools | None = None) -> Floats:
    """Return what each round's choice fell short of the best fixed arm's, shape (n,), in quality units.

    Its sum is the regret of stochastic bandits without context; it is negative where routing pays. In a single round
    it may have either sign. Arguments as in `best_fixed` and `taken`.
    """
    return taken(utility, best_fixed(utility, available)) - taken(utility, choices)


def regret_oracle(utility: Floats, choices: Choices, available: Bools | None = None) -> Floats:
    """Return what each round's choice fell short of the best arm for that very prompt, shape (n,), never negative.

    The oracle sees the answers before it chooses. Where quality is noisy no router can come near it: its lead over the
    best router is mostly luck that only hindsight can use. Arguments as in `best_fixed` and `taken`.
    """
    best = np.where(_mask(utility, available), utility, -np.inf).max(axis=1)
    return np.asarray(best - taken(utility, choices), dtype=np.float64)


def shares(choices: Choices, *, arms: int, bins: int = 10) -> Floats:
    """Return how often each arm was chosen in each of `bins` equal stretches of time, shape (bins, arms).

    Args:
        choices: (n,) arms taken, or (n, K) probabilities, in the order of rounds.
        arms: K.
        bins: stretches of n / bins rounds each, rounded.

    Raises:
        ValueError: fewer rounds than bins, or choices that are not among the K arms.
    """
    if not 1 <= bins <= len(choices):
        raise ValueError(f"bins must be from 1 to the number of rounds, {len(choices)}; got {bins!r}")
    _check(choices, (len(choices), arms))
    chosen = choices if choices.ndim == 2 else np.eye(arms)[choices.astype(np.intp)]
    return np.array([part.mean(axis=0) for part in np.array_split(chosen, bins)])


def _mask(utility: Floats, available: Bools | None) -> Bools:
    if available is None:
        return np.ones(utility.shape, dtype=np.bool_)
    if not available.any(axis=1).all():
        raise ValueError(f"no arm is available in round {int(np.flatnonzero(~available.any(axis=1))[0])}")
    return available


def _check(choices: Choices, shape: tuple[int, ...]) -> None:
    if choices.ndim == 2:
        if choices.shape != shape:
            raise ValueError(f"probabilities have shape {choices.shape}, need {shape}")
    elif choices.shape != shape[:1] or not np.issubdtype(choices.dtype, np.integer):
        raise ValueError(f"actions have shape {choices.shape} and type {choices.dtype}; need {shape[0]} integers")
    elif len(choices) and not (choices.min() >= 0 and choices.max() < shape[1]):
        raise ValueError(f"actions must be from 0 to {shape[1] - 1}, got {choices.min()} to {choices.max()}")
