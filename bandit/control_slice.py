"""A randomised slice of the draws that a baseline takes: what the policy is compared with, honestly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.bandit.draw import Draw, draw_from_mixture, shares_of
from highwayman.env.types import ControlDraw, Floats


@dataclass(frozen=True, slots=True, eq=False)
class ControlSlice:
    """A share of the draws that the baseline takes: an arm, or a split over several."""

    share: float  # in (0, 1)
    baseline: Mapping[str, float]  # by arm: how often the baseline takes it, in any unit

    def baseline_probs(self, arms: Sequence[str]) -> Floats | None:
        """Return the baseline's probability of each of K arms, (K,); None where it would take none of them."""
        return shares_of(self.baseline, arms)

    def draw(self, probs: Floats, baseline: Floats, *, rng: np.random.Generator) -> tuple[Draw, ControlDraw]:
        """Return what is drawn from (1 - share) * probs + share * baseline, both (K,), and whose draw it was.

        The probabilities on the log are the mixture's, whoever drew: every decision then says something of both, and
        no estimate needs to know of the slice.
        """
        shares = np.array([1.0 - self.share, self.share])
        drawn, component = draw_from_mixture(np.stack([probs, baseline]), shares, rng=rng)
        return drawn, ControlDraw(self.share, float(baseline[drawn.action]), is_control=component == 1)
