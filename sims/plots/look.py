"""Who has which color in a report: each policy and each arm the same in every chart and table of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from highwayman.pages.palette import OTHERS, arm_colors, policy_colors
from highwayman.sims.sweeps.results import POLICY, Results

ARM_COLORS: Final = 8  # so many arms have colors of their own
DASHES: Final = ("", "7,3", "2,3")  # of the first eight policies, and of those that have their colors again


@dataclass(frozen=True, slots=True)
class Look:
    """Colors of policies and of each table's arms, as CSS; dashes where colors begin again."""

    policies: Mapping[str, str]
    dashes: Mapping[str, str]
    arms: Mapping[str, Mapping[str, str]]  # by table; grey but for the arms taken most, where there are many

    @classmethod
    def of(cls, results: Results) -> Self:
        """Return who has which color in these results."""
        names = results.policies()
        dashes = {name: DASHES[place // 8 % len(DASHES)] for place, name in enumerate(names) if place >= 8}
        return cls(policy_colors(names), dashes, {table: _arms(results, table) for table in results.arms})

    def dash(self, name: str) -> str:
        """Return a policy's pattern of dashes; empty for a line without."""
        return self.dashes.get(name, "")


def _arms(results: Results, table: str) -> Mapping[str, str]:
    names = results.arms[table].names
    if len(names) <= ARM_COLORS:
        return arm_colors(names)
    runs = [run.shares for run in results.runs if run.kind == POLICY and run.table == table and run.shares]
    taken = np.array(runs).mean(axis=0) if runs else np.zeros(len(names))
    most = {names[place] for place in np.argsort(-taken, kind="stable")[:ARM_COLORS]}
    colors = arm_colors(name for name in names if name in most)
    return {name: colors.get(name, OTHERS) for name in names}
