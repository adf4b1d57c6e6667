"""What the log's own policy earned: the mean of what was logged."""

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.difference import as_logged
from highwayman.sims.ope.estimators.ratios import NoModel


class OnPolicy(NoModel):
    """r, whatever the target is: every ratio is 1.

    The value to beat. It needs no propensities, so nothing about them can be wrong in it; it speaks of the policy as it
    was in each round, learning and exploration included.
    """

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return r per round."""
        return as_logged(log)
