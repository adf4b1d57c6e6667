"""Inverse propensity scoring: unbiased, and as noisy as the ratios are large."""

import math

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import NoModel, bounded, checked, ones, ratios


class IPS(NoModel):
    """mean of w r, with the ratio w = target(a | x) / propensity.

    Horvitz & Thompson, JASA 1952; for bandits Strehl et al., "Learning from Logged Implicit Exploration Data", NeurIPS
    2010. Unbiased whenever propensities are right and the log could have drawn whatever the target may, even if the
    logging policy learned from the log's past: the one estimator here on which a confidence sequence stands. Rewards
    must be in [0, 1]. Routing breaks the full feedback it assumes: it speaks of rounds with feedback, and is biased if
    whether people speak depends on the arm or on how good its answer is; the mean ratio need not show that.
    """

    def __init__(self, *, max_ratio: float = math.inf) -> None:
        """Take what no ratio will exceed, for intervals that need to know; a ratio above it is an error.

        That is K / floor where the floor is spread evenly, ten times as much where by what it loses, as by default."""
        self._max_ratio = checked("max_ratio", max_ratio)

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return w r per round, in [0, max_ratio]. Raises as `ratios` does, and LogError for a ratio above it."""
        ratio = bounded(ratios(log, target), self._max_ratio)
        return RoundValues(ratio * log.rewards, ones(log.n), ratio, log.sessions, 0.0, self._max_ratio, martingale=True)
