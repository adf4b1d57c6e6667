"""Inverse propensity scoring with a cap on the ratio: less noise, and a value that is too low rather than too high."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import NoModel, checked, ones, ratios


class ClippedIPS(NoModel):
    """mean of min(w, cap) r.

    Ionides, "Truncated Importance Sampling", JCGS 2008; Bottou et al., "Counterfactual Reasoning and Learning Systems",
    JMLR 2013. As rewards are nonnegative, what the cap takes away can only lower the estimate: a lower bound that needs
    no more than propensities (a confidence sequence clips the complement as well, so both its ends hold). Every other
    interval is one for the capped expectation, not for the value.
    """

    def __init__(self, *, cap: float = 100.0) -> None:
        """Take the largest ratio a round may count with. Raises ValueError unless it is > 0."""
        self._cap = checked("cap", cap)

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return min(w, cap) r per round, in [0, cap]. Raises as `ratios` does."""
        ratio = np.minimum(ratios(log, target), self._cap)
        return RoundValues(ratio * log.rewards, ones(log.n), ratio, log.sessions, 0.0, self._cap, martingale=True)
