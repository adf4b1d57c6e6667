"""A small case that every chart can be made of."""

from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Case, Results
from tests.sims.plots.synthetic import results

WHOLE = results(policies={"lin_ts": 0.05, "softmax": 0.01}, seeds=2, bins=3, budget_usd=0.001)
LOOK = Look.of(WHOLE)


def only(made: Results) -> Case:
    """Return the only case there is."""
    (case,) = made.cases()
    return case
