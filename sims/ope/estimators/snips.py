"""Self-normalised inverse propensity scoring: the one to start with."""

import math

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import NoModel, ratios


class SNIPS(NoModel):
    """sum of w r over sum of w.

    Swaminathan & Joachims, "The Self-Normalized Estimator for Counterfactual Learning", NeurIPS 2015 (Hajek 1971). A
    mean of rewards, so it stays within their range and moves with them when they are shifted, which IPS does not; for
    that it is biased by O(1/n). Propensities wrong by a common factor do not show in it, but they do in the support's
    mean ratio. Its intervals take sessions for independent, which a logging policy that learned while logging breaks.
    """

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return w r over w per round. Raises as `ratios` does."""
        ratio = ratios(log, target)
        return RoundValues(ratio * log.rewards, ratio, ratio, log.sessions, -math.inf, math.inf)
