"""Thompson sampling over regressions that share what is common to all arms: the default policy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.bandit.regression.regression_policy import RegressionPolicy
from highwayman.env.types import Context, Floats

_NEWCOMER = 4.0  # times its own weight is taken for what is known of the pool, where that is less
_TRIED = 2.0  # the same, where it is asked how far an arm has been tried out


@dataclass(frozen=True, slots=True, eq=False)
class _Scales:
    """How far each of K arms is explored, which hangs on no query."""

    noise_sd: float
    slope: Floats  # (K,) of the explored square, by the square of a deviation in units of the noise's
    by_least: Floats  # (K,) of it, by the least square that any query has
    least: Floats  # (K,) that least, where no level of a tag has another
    level: Floats  # (K,) what that adds to the explored square

    def explored(self, spreads: Floats, least: Floats | None = None) -> Floats:
        """Return the deviations that are explored, (..., K), for deviations in units of the noise's, (..., K).

        `least` (..., K) is the least square that a query has at the levels of its tags.
        """
        squares = spreads * spreads
        level = self.level if least is None else self.by_least * np.minimum(least, squares)
        squares *= self.slope
        squares += level
        return np.sqrt(squares, out=squares)


class HierTS(RegressionPolicy[HierPosterior]):
    """Chooses an arm with the probability that it is the best one, given what is known of it and of all arms.

    Hong, Kveton, Katariya, Zaheer & Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022 (arXiv 2111.06929),
    algorithm 1, but P(argmax) itself is integrated and returned, over the arms' own parts: what they share moves all of
    them alike. It explores less than the posterior says, and less still once there is feedback of weight
    `patience` on each arm, by the root of how much more: measured to earn more on routing tables within 20,000 rounds
    (docs/explanation/learning.md). An arm of less than a quarter of the usual weight, as a newcomer is, is measured by
    its own: by the pool's it waited thousands of rounds to be tried. And it explores an arm as a whole before it
    explores what it does with single queries: of the squared deviation that a query adds to the least that any query
    has, the arm's own 1 / (weight + `intercept_precision`), a share counts, `query_exploration`; more of it on an arm
    that has less than half of the usual weight, all on one that has none. At a level of a tag its own weight is the
    level's, so that an arm is explored as a whole at each level: other levels do not show who is best there. Queries
    differ, and by that alone try an arm's features out (Bastani, Bayati & Khosravi, "Mostly Exploration-Free Algorithms
    for Contextual Bandits", Management Science 2021); were all of it explored, the first 2,000 rounds would cost more
    than a sampler without contexts loses in them.
    Routing breaks their assumption that rewards arrive before the next round.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        exploration: float = 0.75,
        patience: float = 250.0,
        query_exploration: float = 0.3,
        half_life_events: float | None = None,
        half_life_hours: float | None = None,
        **prior: Any,
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations; 1 is Thompson sampling proper.
            patience: weight of feedback per arm from which on exploration shrinks; for an arm that has had little, four
                times its own.
            query_exploration: share in [0, 1] that is explored of what a query adds to an arm's least squared
                deviation, if the arm has as much feedback as others; 1 is Thompson sampling proper.
            half_life_events: rounds of feedback after which feedback counts half; None: it does not fade so.
            half_life_hours: hours after which feedback counts half; at most one of the two is given.
            prior: options of `HierPrior`.
        """
        for name, value in (("exploration", exploration), ("patience", patience)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        if not 0.0 <= query_exploration <= 1.0:
            raise ValueError(f"query_exploration must be in [0, 1], got {query_exploration!r}")
        beliefs = HierPrior(**prior)
        self.posterior = HierPosterior(
            d=d,
            fingerprint=fingerprint,
            prior=beliefs,
            forgetting=Forgetting.from_half_life(half_life_events, half_life_hours),
        )
        self._exploration = exploration
        self._patience = patience
        self._query_exploration, self._intercept_precision = query_exploration, beliefs.intercept_precision
        # What they were computed for: the posterior's revision, and the arms.
        self._scales_of: tuple[int, tuple[str, ...], _Scales] = self.posterior.revision, (), self._computed_scales(())

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        return self.probs_and_beliefs(context, arms, penalties)[0]

    def probs_and_beliefs(
        self, context: Context, arms: Sequence[str], penalties: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return `probs`, and with them `quality_and_deviation`, (K,) each."""
        means, spreads = self.posterior.mean_and_std(context.features, arms)
        scales = self._scales(arms)
        if self.posterior.tags:
            explored = self._explored(spreads, context.features, arms, scales)
        else:
            explored = scales.explored(spreads)
        return best_arm_probs(means - penalties, explored), means, spreads * scales.noise_sd

    def quality_and_deviation(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's expected quality and its standard deviation, (K,) at features (d,), (m, K) at (m, d)."""
        ask = self.posterior.mean_and_std if features.ndim == 1 else self.posterior.mean_and_std_many
        means, spreads = ask(features, arms)
        return means, spreads * self._scales(arms).noise_sd

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.mean_and_std_many(features, arms)
        return best_arm_probs_many(means - penalties, self._explored(spreads, features, arms, self._scales(arms)))

    def _explored(self, spreads: Floats, features: Floats, arms: Sequence[str], scales: _Scales) -> Floats:
        """Return the deviations that are explored at x (..., d), (..., K), by the rarest level of tags that it has."""
        at_levels = self.posterior.weights_at_levels(features, arms)
        if at_levels is None:
            return scales.explored(spreads)
        return scales.explored(spreads, np.maximum(1.0 / (at_levels + self._intercept_precision), scales.least))

    def _scales(self, arms: Sequence[str]) -> _Scales:
        """Return how far arms are explored, by what is known of them now; computed once for each thing learned."""
        revision, asked, scales = self._scales_of
        if revision != self.posterior.revision or asked != arms:
            scales = self._computed_scales(arms)
            self._scales_of = self.posterior.revision, tuple(arms), scales
        return scales

    def _computed_scales(self, arms: Sequence[str]) -> _Scales:
        noise = self.posterior.noise_variance()
        weights = self.posterior.weights_of(arms)
        usual = max(self.posterior.total_weight() / max(len(self.posterior.arms), 1), 1.0)
        known = np.minimum(_NEWCOMER * weights, usual)
        patience = self._patience / np.maximum(known, max(self._patience, 1.0))
        least = 1.0 / (weights + self._intercept_precision)
        left_out = (1.0 - self._query_exploration) * np.minimum(_TRIED * weights / usual, 1.0)
        factor = self._exploration**2 * noise * patience
        by_least = factor * left_out
        return _Scales(math.sqrt(noise), factor * (1.0 - left_out), by_least, least, by_least * least)
