"""The reward model's word for it: no noise from ratios, and no way to notice that the model is wrong."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.ope.estimators.modelled import Modelled


class DirectMethod(Modelled):
    """mean of sum_a target(a | x) q(x, a).

    Beygelzimer & Langford, "The Offset Tree", KDD 2009. Biased by whatever the model has wrong where the target goes
    and the log did not, and its interval does not know: for comparison, not for decisions. Routing breaks its
    assumption outright, as the quality of an answer is no linear function of an embedding.
    """

    def _weights(self, ratio: Floats) -> Floats:
        return np.zeros(len(ratio))

    @property
    def _max_weight(self) -> float:
        return 0.0
