"""A table made ready for a sweep: its contexts encoded, its baselines fitted, its texts left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.errors import ConfigError
from highwayman.env.types import Context, Floats, Query
from highwayman.sims.baselines.protocol import BaselineError, load_baseline
from highwayman.sims.measures.hull import Hull
from highwayman.sims.measures.value import mean_cost, mean_quality, value
from highwayman.sims.sweeps.dial import dial_settings
from highwayman.sims.sweeps.plan import TAGS, Plan
from highwayman.sims.sweeps.results import Arms, BaselineResult
from highwayman.sims.tables.table import FullTable


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What a run needs of a table: small enough to be sent to another process."""

    name: str
    table: FullTable  # n prompts by K arms, without the prompts' texts
    features: Floats  # (n, d)
    fingerprint: str  # of the encoder
    prompt_tokens: tuple[int, ...]  # (n,) estimated
    choices: Mapping[str, Floats]  # (n, K) probabilities, by the baseline's label
    digest: str  # SHA-256 of the whole table, texts, and arms that do not run, and all
    missing: Mapping[str, str]  # baselines that this table does not allow, by label, with the reason

    def contexts(self) -> list[Context]:
        """Return the context of every prompt, in the table's order."""
        pairs = zip(self.features, self.prompt_tokens, strict=True)
        return [Context(row, self.fingerprint, tokens) for row, tokens in pairs]

    def arms(self, objective: Objective) -> Arms:
        """Return what the report says of the arms and of the baselines on the table as a whole."""
        quality, cost, penalties = self.table.quality, self.table.cost_usd, fixed_penalties(self.table, objective)
        means = cost.mean(axis=0)
        priced = np.isfinite(means)
        hull = Hull.of(means[priced], quality.mean(axis=0)[priced]) if priced.any() else None
        corners = zip(hull.cost.tolist(), hull.quality.tolist(), strict=True) if hull is not None else ()
        return Arms(
            self.table.arms,
            quality=tuple(quality.mean(axis=0).tolist()),
            cost_usd=tuple(means.tolist()),
            penalty=tuple(penalties.tolist()),
            hull=tuple(corners),
            baselines={
                label: BaselineResult(
                    value(quality, penalties, choices), mean_quality(quality, choices), mean_cost(cost, choices)
                )
                for label, choices in self.choices.items()
            },
        )

    def notes(self) -> list[str]:
        """Return what whoever reads the results should know of the table, in words."""
        unpriced = [arm for arm, cost in zip(self.table.arms, self.table.mean_costs(), strict=True) if cost is None]
        notes = []
        if self.table.left_out:
            notes.append(f"{self.table.left_out:,} prompts are left out, which not every arm has answered")
        if len(unpriced) == len(self.table.arms):
            notes.append("no arm has a cost for every prompt, so value is quality alone")
        elif unpriced:
            notes.append(f"{', '.join(unpriced)}: no cost for every prompt, so taken to be as dear as the dearest")
        return [*notes, *(f"no baseline {label}: {reason}" for label, reason in self.missing.items())]


def prepare(name: str, table: FullTable, encoder: Encoder, plan: Plan) -> Prepared:
    """Return the table ready for the sweep that `plan` describes; the plan is checked already.

    Raises:
        ConfigError: the table has one arm, between which and nothing there is no choice, or not one that is to be on
            probation; or it says nothing of a tag.
    """
    if len(table.arms) < 2:
        raise ConfigError(f"{name}: has {table.arms[0]!r} alone; a sweep needs two arms or more to choose between")
    unknown = [arm for arm in plan.router.probation if arm not in table.arms]
    if unknown:
        raise ConfigError(f"{name}: no arm {unknown[0]!r} to be on probation; arms are {', '.join(table.arms)}")
    digest = table.fingerprint()
    if plan.arms is not None:
        table = table.spread(plan.arms)
    contexts = encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in table.prompts])
    contexts = _tagged(name, contexts, table, plan.told_tags())
    features = np.array([context.features for context in contexts])
    choices, missing = _baselines(table, features, plan)
    tokens = tuple(context.prompt_tokens for context in contexts)
    bare = replace(table, prompts=("",) * table.n)
    return Prepared(name, bare, features, contexts[0].fingerprint, tokens, choices, digest, missing)


def _tagged(name: str, contexts: Sequence[Context], table: FullTable, tags: Sequence[Tag]) -> list[Context]:
    """Return the contexts of a table's prompts with what it says of each as tags, as production would have them.

    A prompt of which it says nothing lacks the tag. Columns that no level would get are left away.
    """
    told: list[list[tuple[str, int]]] = [[] for _ in contexts]
    narrow = []
    for tag in tags:
        levels = _levels(name, table, tag.name)
        narrow.append(replace(tag, slots=min(tag.slots, len(set(levels)))))
        for places, level, place in zip(told, levels, narrow[-1].places(levels), strict=True):
            if level:
                places.append((tag.name, place))
    columns = TagColumns(tuple(narrow))
    return [columns.apply(context, places) for context, places in zip(contexts, told, strict=True)]


def _levels(name: str, table: FullTable, tag: str) -> tuple[str, ...]:
    """Return what a table says of each prompt under a tag, (n,). Raises ConfigError where it says nothing."""
    columns: dict[str, tuple[str, ...]] = {
        **{told: getattr(table, column) for told, column in TAGS.items()},
        **table.labels,
    }
    if not any(columns.get(tag, ())):
        known = ", ".join(told for told, levels in columns.items() if any(levels))
        raise ConfigError(f"{name}: says nothing of the tag {tag!r}; " + (f"it has {known}" if known else "nor of any"))
    return columns[tag]


def fixed_penalties(table: FullTable, objective: Objective) -> Floats:
    """Return the penalty of each arm at its mean cost, latency and energy, shape (K,), in quality units."""
    return objective.penalties(*(getattr(table, column).mean(axis=0) for column in ("cost_usd", "latency_s", "wh")))


def label(baseline: str) -> str:
    """Return what the results call a baseline: `best fixed` for `best_fixed`; an import path stays as it is."""
    return baseline if ":" in baseline else baseline.replace("_", " ")


def _baselines(table: FullTable, features: Floats, plan: Plan) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return each baseline's choices (n, K), and why there are none of the others, by label.

    Each has a generator of its own: what one chooses does not depend on which others there are.
    """
    penalties = fixed_penalties(table, dial_settings(table, plan)[0].objective)
    choices: dict[str, Floats] = {}
    missing: dict[str, str] = {}
    for name in plan.baselines:
        baseline, rng = load_baseline(name), np.random.default_rng(plan.first_seed)
        try:
            choices[label(name)] = baseline.choices(table, features, penalties, rng)
        except BaselineError as error:
            missing[label(name)] = str(error)
    return choices, missing
