"""Which arms each policy chose, over time."""

from collections.abc import Mapping, Sequence

import numpy as np

from highwayman.env.types import Floats
from highwayman.pages.charts import Axis, Figure, Shares
from highwayman.pages.multiples import Multiples
from highwayman.pages.palette import OTHERS
from highwayman.sims.plots.bands import thinned
from highwayman.sims.plots.look import ARM_COLORS, Look
from highwayman.sims.sweeps.results import POLICY, Case

_POINTS = 32
_Areas = Mapping[str, tuple[Floats, Floats]]  # rounds (b,) and shares (b, K) of each policy


def shares(case: Case, look: Look) -> Multiples | None:
    """Return small charts, one per policy, of the arms' shares of the rounds; None where no run says which it took."""
    areas_of_policies = {
        name: policy_areas for name in case.names(POLICY) if (policy_areas := _mean_shares(case, name)) is not None
    }
    if not areas_of_policies:
        return None
    colors, folded = _folded(case.arms.names, areas_of_policies, look.arms[case.table])
    figures = [Figure(_chart(name, rounds, areas, colors), title=name) for name, (rounds, areas) in folded.items()]
    caption = "Means over seeds; each area is an arm's share."
    return Multiples(figures, title="Arms chosen over time", caption=caption, legend=colors)


def _mean_shares(case: Case, name: str) -> tuple[Floats, Floats] | None:
    rounds, values = case.curve(name, "shares")
    if values.ndim != 3 or not values.shape[2]:
        return None
    rounds, values = thinned(rounds, values, most=_POINTS)
    return rounds, np.asarray(values.mean(axis=0), dtype=np.float64)  # (b,), (b, K)


def _folded(
    names: Sequence[str], areas_of_policies: _Areas, colors: Mapping[str, str]
) -> tuple[Mapping[str, str], _Areas]:
    """Return the arms' colors, and areas in which all arms without a color of their own are one."""
    if len(names) <= ARM_COLORS:
        return colors, areas_of_policies
    top = [place for place, name in enumerate(names) if colors[name] != OTHERS]
    rest = [place for place, name in enumerate(names) if colors[name] == OTHERS]
    folded = {
        name: (rounds, np.column_stack([areas[:, top], areas[:, rest].sum(axis=1)]))
        for name, (rounds, areas) in areas_of_policies.items()
    }
    return {**{names[place]: colors[names[place]] for place in top}, _others(names, rest): OTHERS}, folded


def _others(names: Sequence[str], rest: Sequence[int]) -> str:
    return names[rest[0]] if len(rest) == 1 else f"{len(rest)} others"


def _chart(name: str, rounds: Floats, areas: Floats, colors: Mapping[str, str]) -> Shares:
    """Return the areas of one policy: each bin's shares from where it begins, and the last bin's where it ends."""
    steps = np.concatenate([areas, areas[-1:]])
    last = sorted(zip(areas[-1], colors, strict=True), reverse=True)[:3]
    return Shares(
        f"Shares of the arms over time: {name} ends at {', '.join(f'{arm} {share:.0%}' for share, arm in last)}.",
        Axis("round", "count", low=0.0, high=float(rounds[-1])),
        [0.0, *rounds.tolist()],
        {arm: steps[:, place].tolist() for place, arm in enumerate(colors)},
        colors,
        height=150,
    )
