"""Doubly robust with large ratios shrunk smoothly."""

import math

from highwayman.env.types import Floats
from highwayman.sims.ope.estimators.modelled import Modelled
from highwayman.sims.ope.estimators.ratios import checked


class DROS(Modelled):
    """mean of sum_a target(a | x) q(x, a) + lam w / (w^2 + lam) (r - q(x, a_t)).

    Doubly robust with optimistic shrinkage: Su, Dimakopoulou, Krishnamurthy & Dudik, "Doubly Robust Off-policy
    Evaluation with Shrinkage", ICML 2020, equation 8, with a given lam. lam = infinity is `DoublyRobust`, lam = 0
    `DirectMethod`. The weight is largest, sqrt(lam) / 2, at a ratio of sqrt(lam), and falls beyond: the rounds that
    would carry everything carry little, and the model's bias on them stays.
    """

    def __init__(self, *, lam: float = 10_000.0, folds: int = 4, ridge: float = 2.0) -> None:
        """Take the shrinkage, in squared ratios, and the model's options."""
        super().__init__(folds=folds, ridge=ridge)
        self._lam = checked("lam", lam)

    def _weights(self, ratio: Floats) -> Floats:
        if math.isinf(self._lam):
            return ratio
        shrunk: Floats = self._lam * ratio / (ratio**2 + self._lam)
        return shrunk

    @property
    def _max_weight(self) -> float:
        return math.sqrt(self._lam) / 2
