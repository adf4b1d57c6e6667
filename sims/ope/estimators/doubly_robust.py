"""The reward model, corrected by inverse propensity scoring of what it has wrong."""

import math

from highwayman.env.types import Floats
from highwayman.sims.ope.estimators.modelled import Modelled
from highwayman.sims.ope.estimators.ratios import bounded, checked


class DoublyRobust(Modelled):
    """mean of sum_a target(a | x) q(x, a) + w (r - q(x, a_t)).

    Dudik, Erhan, Langford & Li, "Doubly Robust Policy Evaluation and Optimization", Statistical Science 2014, equation
    5, with propensities known exactly: then it is unbiased however bad the model, provided that no round's own reward
    is in its prediction, which cross-fitting by session sees to (Chernozhukov et al., Econometrics Journal 2018). The
    better the model, the less the ratios hurt. A logging policy that learned while logging breaks that proviso, as its
    later propensities hold what the model is then asked to predict.
    """

    def __init__(self, *, folds: int = 4, ridge: float = 2.0, max_ratio: float = math.inf) -> None:
        """Take the model's options, and what no ratio will exceed, for intervals that need to know (see `IPS`)."""
        super().__init__(folds=folds, ridge=ridge)
        self._max_ratio = checked("max_ratio", max_ratio)

    def _weights(self, ratio: Floats) -> Floats:
        return bounded(ratio, self._max_ratio)

    @property
    def _max_weight(self) -> float:
        return self._max_ratio
