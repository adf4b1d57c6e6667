"""Results in which every policy's lead over the best fixed arm is set by hand, seed by seed."""

import math
from collections.abc import Mapping

from highwayman.sims.sweeps.results import BASELINE, POLICY, Case, Results, RunResult
from tests.sims.plots.synthetic import arms

FIXED = (0.5, 0.6, 0.7)  # what the best fixed arm earns under each seed


def made(
    *,
    later: float = 0.0,
    world: str = "w",
    costs: Mapping[str, float] | None = None,
    budget_usd: float = math.nan,
    budget_ratio: float = math.nan,
    **leads: tuple[float, ...],
) -> Results:
    """Return results of policies with these leads; `later` is added in the last quarter, costs are 0.1 by default."""
    rows = [("best fixed", (0.0,) * 3, BASELINE), *((name, lead, POLICY) for name, lead in leads.items())]
    runs = [
        RunResult(table="t", world=world, policy=name, seed=seed, rounds=100, kind=kind, quality=0.5,
            cost_usd=(costs or {}).get(name, 0.1), value=FIXED[seed] + one, budget_usd=budget_usd,
            last_value=FIXED[seed] + one + later * (kind == POLICY), budget_ratio=budget_ratio,
            shares=(0.0, 0.1, 0.9, 0.0, 0.0))
        for name, lead, kind in rows
        for seed, one in enumerate(lead)
    ]  # fmt: skip
    return Results(tuple(runs), arms={"t": arms()})


def only(found: Results) -> Case:
    """Return the only case there is."""
    (case,) = found.cases()
    return case
