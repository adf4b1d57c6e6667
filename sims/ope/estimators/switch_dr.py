"""Doubly robust where the ratio is small, the reward model alone where it is large."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.ope.estimators.modelled import Modelled
from highwayman.sims.ope.estimators.ratios import checked


class SwitchDR(Modelled):
    """mean of sum_a target(a | x) q(x, a) + w 1(w <= tau) (r - q(x, a_t)).

    Wang, Agarwal & Dudik, "Optimal and Adaptive Off-policy Evaluation in Contextual Bandits", ICML 2017, section 3,
    with a given tau. tau = infinity is `DoublyRobust`, tau = 0 `DirectMethod`: bounded noise is paid for with the
    model's bias on actions that the log hardly ever took, which in routing are those of dear arms.
    """

    def __init__(self, *, tau: float = 100.0, folds: int = 4, ridge: float = 2.0) -> None:
        """Take the ratio above which the model alone speaks, and the model's options."""
        super().__init__(folds=folds, ridge=ridge)
        self._tau = checked("tau", tau)

    def _weights(self, ratio: Floats) -> Floats:
        return np.where(ratio <= self._tau, ratio, 0.0)

    @property
    def _max_weight(self) -> float:
        return self._tau
