"""A bandit log in memory: one arm seen per round, with the probability it was drawn with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Floats

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

_NEVER_DRAWN = (
    "is 0: the action logged there could not have been drawn. Was the log written by a policy without a floor?"
)
LEAST_PROPENSITY: Final = 1e-100  # the square of its inverse, times any number of rounds, is still a number
TOO_SMALL: Final = "is too small to divide by: what was drawn there does not happen. Was it rounded, or underflowed?"
_PER_ROUND = ("contexts", "eligible", "actions", "propensities", "rewards", "costs_usd", "penalties", "sessions", "at",
              "weights", "kept")  # fmt: skip


class LogError(HighwaymanError):
    """A bandit log cannot be used; names the file where there is one, the row (from 0) and the column."""


def no_floats() -> Floats:
    """Return an empty array, which stands for one that is left out."""
    return np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedData:
    """n rounds over K arms with d features, in the order they were decided."""

    arms: tuple[str, ...]  # (K,)
    contexts: Floats  # (n, d), the last feature 1.0
    eligible: Bools  # (n, K): arms that had a positive probability of being drawn
    actions: Indices  # (n,) index into arms
    propensities: Floats  # (n,) probability of the action, after the floor
    rewards: Floats  # (n,) quality in [0, 1]; NaN: no feedback (censored, not zero)
    costs_usd: Floats  # (n,) metered dollars; NaN where the arm has no price
    penalties: Floats  # (n, K) in quality units, as the decision was made with; 0 where not eligible
    sessions: npt.NDArray[np.int64]  # (n,) equal for rounds of one person: those are not independent
    at: Floats  # (n,) seconds since the epoch
    encoder: str = ""  # fingerprint of the encoder that made the contexts
    weights: Floats = field(default_factory=no_floats)  # (n,) > 0: what the reward counts; left out: every one counts 1
    kept: Floats = field(
        default_factory=no_floats
    )  # (n,) in (0, 1]: probability that the round was put on the log; or 1

    def __post_init__(self) -> None:
        """Fill in weights, and probabilities of being kept, of 1."""
        for name in ("weights", "kept"):
            if not len(getattr(self, name)) and self.n:
                object.__setattr__(self, name, np.ones(self.n))

    @property
    def n(self) -> int:
        """The number of rounds."""
        return len(self.actions)

    @property
    def d(self) -> int:
        """The number of features."""
        return int(self.contexts.shape[1])

    def utilities(self) -> Floats:
        """Return what each round earned in the objective's units, quality minus penalty, shape (n,); NaN: unknown."""
        utilities: Floats = self.rewards - self.penalties[np.arange(self.n), self.actions]
        return utilities

    def learning_weights(self) -> Floats:
        """Return what each round counts where something is learned of its reward, shape (n,)."""
        return self.weights / self.kept

    def draws_per_reward(self) -> Floats:
        """Return of how many draws each reward was said, shape (n,): of one."""
        return np.ones(self.n)

    def take(self, rounds: slice | Indices | Bools) -> Self:
        """Return the log of some of the rounds."""
        return replace(self, **{name: getattr(self, name)[rounds] for name in _PER_ROUND})

    def check(self, *, first_row: int = 0) -> None:
        """Return if every round could have happened.

        Args:
            first_row: number of the first round, for the message.

        Raises:
            LogError: shapes do not fit each other, or the first row and column that cannot be.
        """
        self._check_shapes()
        propensities, rewards, costs = self.propensities, self.rewards, self.costs_usd
        inside = (self.actions >= 0) & (self.actions < len(self.arms))
        was_eligible = self.eligible[np.arange(self.n), np.where(inside, self.actions, 0)]
        claims: list[tuple[str, str, Bools, Floats | Indices | None]] = [
            ("action", f"must be an index of one of {len(self.arms)} arms", inside, self.actions),
            ("propensity", "is missing; no estimate can do without it", ~np.isnan(propensities), propensities),
            ("propensity", _NEVER_DRAWN, propensities != 0, propensities),
            ("propensity", "must be in (0, 1]", (propensities > 0) & (propensities <= 1), propensities),
            ("propensity", TOO_SMALL, propensities >= LEAST_PROPENSITY, propensities),
            ("action", "is an arm that was not eligible", was_eligible, self.actions),
            ("reward", "must be in [0, 1] or null", np.isnan(rewards) | ((rewards >= 0) & (rewards <= 1)), rewards),
            ("context", "holds a number that is not finite", np.asarray(np.isfinite(self.contexts).all(axis=1)), None),
            (
                "penalties",
                "hold a number that is not finite",
                np.asarray(np.isfinite(self.penalties).all(axis=1)),
                None,
            ),
            ("at", "must be a finite number", np.isfinite(self.at), self.at),
            ("cost_usd", "must be >= 0 or null", np.isnan(costs) | ((costs >= 0) & np.isfinite(costs)), costs),
            ("weight", "must be > 0 and finite", (self.weights > 0) & np.isfinite(self.weights), self.weights),
            ("pdrop", "must be in [0, 1)", (self.kept > 0) & (self.kept <= 1), 1 - self.kept),
        ]
        for column, problem, holds, values in claims:
            if not holds.all():
                row = int(np.flatnonzero(~holds)[0])
                detail = "" if values is None else f" (it is {values[row].item()!r})"
                raise LogError(f"row {first_row + row}: {column} {problem}{detail}")

    def _check_shapes(self) -> None:
        n, k = self.n, len(self.arms)
        shapes = {"contexts": (n, self.contexts.shape[-1]), "eligible": (n, k), "penalties": (n, k)}
        for name in _PER_ROUND:
            shape = getattr(self, name).shape
            if shape != shapes.get(name, (n,)):
                raise LogError(f"{name} has shape {shape}, {n} rounds of {k} arms have {shapes.get(name, (n,))}")

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one log of several, one after another. Raises LogError where their arms or encoders differ."""
        for part in parts[1:]:
            for attribute in ("arms", "encoder"):
                value, expected = getattr(part, attribute), getattr(parts[0], attribute)
                if value != expected:
                    raise LogError(f"logs of different {attribute} do not join: {value!r} and {expected!r}")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PER_ROUND}
        return replace(parts[0], **arrays)  # type: ignore[arg-type]
