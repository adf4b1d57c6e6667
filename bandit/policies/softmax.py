"""Softmax over posterior means."""

import math
from typing import Any

import numpy as np

from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats


class Softmax(LinearPolicy):
    """Boltzmann exploration over expected quality minus penalty.

    Cesa-Bianchi et al., "Boltzmann Exploration Done Right", NeurIPS 2017 (arXiv 1705.10257). A single temperature, as
    here, has no regret guarantee there: it neither knows how sure the means are nor ever stops exploring.
    """

    def __init__(self, *, d: int, fingerprint: str = "", temperature: float = 0.05, **prior: Any) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            temperature: an arm that is better by this much is e times as likely, in quality units.
            prior: options of `LinearPosterior`.
        """
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature must be a number > 0, got {temperature!r}")
        super().__init__(d=d, fingerprint=fingerprint, **prior)
        self._temperature = temperature

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return probabilities in proportion to exp(utility / temperature)."""
        weights = np.exp((utilities - utilities.max(axis=-1, keepdims=True)) / self._temperature)
        shares: Floats = weights / weights.sum(axis=-1, keepdims=True)
        return shares
