"""What every baseline is, and how one is found by the name of its file."""

from typing import Any, Protocol

import numpy as np

import highwayman.sims.baselines as folder
from highwayman.env.class_paths import class_at, classes_in
from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Floats
from highwayman.sims.tables.table import FullTable


class BaselineError(HighwaymanError):
    """A baseline is unknown, or a table lacks what it needs; says what."""


class Baseline(Protocol):
    """A way to choose arms that is allowed what no bandit has: every arm's quality on every prompt."""

    def choices(self, table: FullTable, contexts: Floats, penalties: Floats, rng: np.random.Generator) -> Floats:
        """Return the probability of each arm on each prompt, shape (n, K).

        What is learned is learned on other prompts than it is used on; equal generators give equal choices.

        Args:
            table: n prompts by K arms.
            contexts: (n, d) features of the prompts, the last of them 1.0.
            penalties: (K,) or (n, K) in quality units.
            rng: splits the prompts.

        Raises:
            BaselineError: the table lacks what the baseline needs, such as prices or tasks.
        """


def greedy_choices(utility: Floats, table: FullTable) -> Floats:
    """Return probability 1 on the arm of the highest `utility` (n, K) in each row, shape (n, K).

    Of equally good arms the one of the least mean cost, of unknown cost last: free quality is not to be paid for.
    """
    costs = np.array([np.inf if cost is None else cost for cost in table.mean_costs()])
    order = np.argsort(costs, kind="stable")
    best = order[utility[:, order].argmax(axis=1)]
    return np.asarray(np.eye(len(order))[best], dtype=np.float64)


def constant_choices(mixture: Floats, table: FullTable) -> Floats:
    """Return the probabilities `mixture` (K,) for every prompt, shape (n, K)."""
    return np.tile(mixture, (table.n, 1))


def load_baseline(name: str, **options: Any) -> Baseline:
    """Return the baseline of the file sims/baselines/`name`.py, or at an import path `module:Class`.

    Args:
        name: as `baseline_names` lists them, or the import path of one of your own.
        options: of its constructor.

    Raises:
        BaselineError: there is none of that name, or it does not take these options.
    """
    if ":" in name:
        try:
            baseline_class: Any = class_at(name)
        except (ImportError, AttributeError) as error:
            raise BaselineError(f"baseline {name!r}: {error}") from error
    else:
        baseline_class = _classes().get(name)
    if baseline_class is None:
        raise BaselineError(f"no baseline {name!r}: give one of {', '.join(_classes())}, or module:Class")
    try:
        baseline: Baseline = baseline_class(**options)
    except (TypeError, ValueError) as error:
        raise BaselineError(f"baseline {name!r}: {error}") from error
    return baseline


def baseline_names() -> tuple[str, ...]:
    """Return the names of the baselines that come with Highwayman: the files that hold a class with `choices`."""
    return tuple(_classes())


def _classes() -> dict[str, type]:
    kinds = (kind for kind in classes_in(folder) if hasattr(kind, "choices") and kind is not Baseline)
    return {kind.__module__.rpartition(".")[2]: kind for kind in kinds}
