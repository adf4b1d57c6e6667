"""Self-normalised importance sampling: what another policy would have earned on a log with propensities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its standard error, 95% interval and effective sample size."""

    value: float
    stderr: float
    low: float
    high: float
    ess: float


def snips(actions: npt.NDArray[np.intp], propensities: Floats, rewards: Floats, target: Floats) -> Estimate:
    """Return the value of the policy whose probabilities on the logged rounds are `target`, shape (n, K).

    Swaminathan & Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS 2015. A ratio of
    means: biased by O(1/n), bounded by the rewards' range. Its interval is the delta method's and takes the rounds for
    independent, which a logging policy that learned while logging breaks: it is then too narrow.

    Args:
        actions: (n,) indices of the arms taken.
        propensities: (n,) probabilities with which they were drawn.
        rewards: (n,) what they earned.
        target: (n, K).

    Raises:
        ValueError: a propensity that is not in (0, 1], or no round the target policy could have produced.
    """
    if not ((propensities > 0) & (propensities <= 1)).all():
        row = int(np.flatnonzero(~((propensities > 0) & (propensities <= 1)))[0])
        raise ValueError(f"propensities must be in (0, 1]; row {row} has {propensities[row]!r}")
    ratio = target[np.arange(len(actions)), actions] / propensities  # (n,)
    if not ratio.sum() > 0:
        raise ValueError("the log holds no round that the target policy could have produced")
    value = float((ratio * rewards).sum() / ratio.sum())
    stderr = float(np.sqrt(((ratio * (rewards - value)) ** 2).sum()) / ratio.sum())
    ess = float(ratio.sum() ** 2 / (ratio**2).sum())
    return Estimate(value, stderr, value - _Z95 * stderr, value + _Z95 * stderr, ess)
