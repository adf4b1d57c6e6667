"""A table made ready for a sweep: its contexts encoded, its baselines fitted, its texts left behind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.encoder import Encoder
from highwayman.env.objective import penalties
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.baselines.protocol import BaselineError, baseline_named
from highwayman.sims.hull import Hull
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.results import Arms, Baseline
from highwayman.sims.tables.table import FullTable


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What a run needs of a table: small enough to be sent to another process."""

    name: str
    table: FullTable  # without its prompts' texts
    features: Floats  # (n, d)
    fingerprint: str  # of the encoder
    prompt_tokens: tuple[int, ...]  # (n,)
    choices: Mapping[str, Floats]  # (n, K) by baseline
    digest: str  # of the whole table, texts and all
    missing: Mapping[str, str]  # baselines that this table does not allow, with the reason

    def contexts(self) -> list[Context]:
        """Return the context of every prompt."""
        pairs = zip(self.features, self.prompt_tokens, strict=True)
        return [Context(row, self.fingerprint, tokens) for row, tokens in pairs]

    def arms(self, cost_weight: float) -> Arms:
        """Return what the report says of the arms and of the baselines on the table as a whole."""
        quality, cost, price = self.table.quality, self.table.cost_usd, fixed_penalties(self.table, cost_weight)
        means = cost.mean(axis=0)
        priced = np.isfinite(means)
        hull = Hull.of(means[priced], quality.mean(axis=0)[priced]) if priced.any() else None
        worth = {
            name.replace("_", " "): _worth(quality, cost, price, choices) for name, choices in self.choices.items()
        }
        corners = zip(hull.cost.tolist(), hull.quality.tolist(), strict=True) if hull is not None else ()
        return Arms(
            self.table.arms,
            quality=tuple(quality.mean(axis=0).tolist()),
            cost_usd=tuple(means.tolist()),
            penalty=tuple(price.tolist()),
            hull=tuple(corners),
            baselines=worth,
        )


def prepare(name: str, table: FullTable, encoder: Encoder, plan: Plan) -> Prepared:
    """Return the table ready for the sweep that `plan` describes."""
    digest = table.fingerprint()
    if plan.arms is not None:
        table = table.spread(plan.arms)
    contexts = encoder.contexts_of([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    features = np.array([context.features for context in contexts])
    price, choices, missing = fixed_penalties(table, plan.cost_weights[0]), {}, {}
    for baseline in plan.baselines:
        try:
            found = baseline_named(baseline)
            choices[baseline] = found.choices(table, features, price, np.random.default_rng(plan.first_seed))
        except BaselineError as error:
            missing[baseline] = str(error)
    tokens = tuple(context.prompt_tokens for context in contexts)
    bare = replace(table, prompts=("",) * table.n)
    return Prepared(name, bare, features, encoder.fingerprint, tokens, choices, digest, missing)


def fixed_penalties(table: FullTable, cost_weight: float) -> Floats:
    """Return the penalty of each arm at its mean cost, shape (K,), in quality units."""
    costs = table.mean_costs()
    return penalties(costs, pool_usd=costs, cost_weight=cost_weight)


def _worth(quality: Floats, cost_usd: Floats, price: Floats, choices: Floats) -> Baseline:
    chosen = choices > 0
    spent = np.multiply(cost_usd, choices, where=chosen, out=np.zeros(choices.shape)).sum(axis=1).mean()
    return Baseline(
        float(((quality - price) * choices).sum(axis=1).mean()), float((quality * choices).sum(axis=1).mean()),
        float(spent),
    )  # fmt: skip
