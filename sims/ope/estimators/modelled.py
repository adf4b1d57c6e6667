"""What the estimators with a reward model share: its prediction, corrected by what was seen."""

from abc import ABC, abstractmethod

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import ones, ratios
from highwayman.sims.ope.reward_model import RewardModel


class Modelled(ABC):
    """mean of sum_a target(a | x) q(x, a) + u(w) (r - q(x, a_t)): q a cross-fitted reward model, u(w) a weight.

    `fit` must have seen the whole log before `rounds` is asked about any of it.
    """

    learns = True

    def __init__(self, *, folds: int = 4, ridge: float = 2.0) -> None:
        """Take the reward model's options, see `RewardModel`."""
        self._model = RewardModel(folds=folds, ridge=ridge)

    @abstractmethod
    def _weights(self, ratio: Floats) -> Floats:
        """Return how strongly each round's residual counts, shape (n,), all >= 0."""

    @property
    @abstractmethod
    def _max_weight(self) -> float:
        """Return what no weight exceeds."""

    def fit(self, log: LoggedData) -> None:
        """Teach the reward model a chunk of the log."""
        self._model.fit(log)

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return the corrected predictions per round, in [-most, 1 + most] with `most` the largest possible weight.

        Raises as `ratios` and `RewardModel.values` do.
        """
        weight = self._weights(ratios(log, target))
        direct, taken = self._model.values(log, target)
        direct += weight * (log.rewards - taken)
        return RoundValues(direct, ones(log.n), weight, log.sessions, -self._max_weight, 1.0 + self._max_weight)
