"""A policy let loose on a full table: it sees one arm a round, as in production; we see them all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.bandit.draw import draw
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.table import FullTable


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """What happened in n rounds."""

    rows: npt.NDArray[np.intp]  # (n,) which prompt of the table
    actions: npt.NDArray[np.intp]  # (n,)
    propensities: Floats  # (n,)
    rewards: Floats  # (n,) quality minus penalty of the arm chosen
    utilities: Floats  # (n, K) quality minus penalty of every arm: what could have been

    def best_fixed(self, rounds: slice = slice(None)) -> int:
        """Return the arm that would have earned most in `rounds`, in hindsight."""
        return int(self.utilities[rounds].mean(axis=0).argmax())


def rollout(
    policy: Policy,
    table: FullTable,
    contexts: Sequence[Context],
    penalties: Floats,
    *,
    rounds: int,
    floor: float,
    rng: np.random.Generator,
) -> Rollout:
    """Return `rounds` rounds of `policy` on prompts drawn from `table`, feedback at once and on the chosen arm only.

    Args:
        policy: learns while it runs.
        table: n prompts by K arms.
        contexts: (n,) of the table's prompts.
        penalties: (K,) in quality units, the same in every round.
        rounds: how many; a table is shuffled, and again whenever it is used up.
        floor: as in production.
        rng: draws prompts and arms.
    """
    for arm in table.arms:
        policy.add_arm(arm)
    passes = [rng.permutation(table.n) for _ in range(-(-rounds // table.n))]
    rows = np.concatenate(passes)[:rounds]
    actions = np.empty(rounds, dtype=np.intp)
    propensities = np.empty(rounds)
    for t, row in enumerate(rows):
        drawn = draw(policy.probs(contexts[row], table.arms, penalties), floor=floor, rng=rng)
        quality = float(table.quality[row, drawn.action])
        change = RewardChange(table.arms[drawn.action], contexts[row].features, 1.0, quality, quality**2)
        policy.learn([change])
        actions[t], propensities[t] = drawn.action, drawn.propensity
    utilities = table.quality[rows] - penalties
    return Rollout(rows, actions, propensities, utilities[np.arange(rounds), actions], utilities)
