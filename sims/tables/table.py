"""Full-information tables: for every prompt, what each arm scored and cost. What a bandit never sees, a judge needs."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices
from highwayman.sims.tables.table_cells import AnswerCells, TableError, cells_of, describe_valid, grid, valid_mask
from highwayman.sims.tables.table_schema import COLUMN_NAMES, MEASURES, VALUES

__all__ = ["FullTable", "TableError"]

_PER_PROMPT = ("datasets", "prompt_ids", "prompts", "tasks")


@dataclass(frozen=True, slots=True, eq=False)
class FullTable:
    """n prompts by K arms, complete: prompts without a quality for every arm are left out when it is read."""

    prompt_ids: tuple[str, ...]  # (n,) unique within a dataset
    prompts: tuple[str, ...]  # (n,)
    tasks: tuple[str, ...]  # (n,)
    arms: tuple[str, ...]  # (K,)
    quality: Floats  # (n, K) in [0, 1]
    cost_usd: Floats  # (n, K); NaN where unknown, as in all that follow
    input_tokens: Floats  # (n, K)
    output_tokens: Floats  # (n, K)
    latency_s: Floats  # (n, K)
    wh: Floats  # (n, K)
    datasets: tuple[str, ...]  # (n,) where each prompt comes from; empty: unknown
    left_out: int = 0  # prompts that were not complete when the table was read
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # (n,) each, of other columns, by their names

    @property
    def n(self) -> int:
        """The number of prompts."""
        return len(self.prompts)

    @classmethod
    def from_arrays(
        cls, arms: Sequence[str], quality: Floats, *, prompts: Sequence[str] = (), tasks: Sequence[str] = (),
        **measures: Floats,
    ) -> "FullTable":  # fmt: skip
        """Return the table of `quality` (n, K), numbered prompts, and of `measures` (n, K); the others are NaN."""
        n = len(quality)
        columns: dict[str, Any] = {name: measures.get(name, np.full(quality.shape, np.nan)) for name in MEASURES}
        ids, empty = tuple(str(number) for number in range(n)), ("",) * n
        texts = tuple(prompts) or ids, tuple(tasks) or empty
        return cls(ids, *texts, tuple(arms), quality, datasets=empty, **columns)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, name: str = "table") -> "FullTable":
        """Return the table of long-format rows: prompt_id, prompt, model, quality, and the other columns if they are.

        Raises:
            TableError: a column is missing, a value cannot be, a pair stands twice, or no prompt is complete.
        """
        return cls.from_cells([cells_of(rows, name=name)], name=name)

    @classmethod
    def from_cells(cls, parts: Sequence[AnswerCells], *, name: str) -> "FullTable":
        """Return the table of the answers in several files; a prompt without a task has its dataset as one.

        Raises:
            TableError: a pair of prompt and model stands twice, or no prompt is complete.
        """
        complete = grid(parts, name=name)
        datasets, ids = zip(*complete.keys, strict=True)
        tasks = tuple(task or dataset for task, dataset in zip(complete.tasks, datasets, strict=True))
        return cls(
            ids,
            complete.prompts,
            tasks,
            complete.arms,
            datasets=datasets,
            left_out=complete.left_out,
            labels=complete.labels,
            **complete.values,
        )

    def mean_costs(self) -> tuple[float | None, ...]:
        """Return each arm's mean cost in dollars, None where any is unknown."""
        return self.mean_amounts("cost_usd")

    def mean_amounts(self, column: str) -> tuple[float | None, ...]:
        """Return each arm's mean of `cost_usd`, `latency_s` or `wh`, None where any is unknown."""
        means = getattr(self, column).mean(axis=0).tolist()
        return tuple(None if math.isnan(mean) else mean for mean in means)

    def take(self, rows: slice | Indices | Bools) -> Self:
        """Return the table of some of the prompts."""
        numbers = np.arange(self.n)[rows]
        changes: dict[str, Any] = {name: tuple(getattr(self, name)[row] for row in numbers) for name in _PER_PROMPT}
        changes["labels"] = {name: tuple(column[row] for row in numbers) for name, column in self.labels.items()}
        return replace(self, **changes, **{name: getattr(self, name)[numbers] for name in VALUES})

    def with_arms(self, names: Sequence[str]) -> Self:
        """Return the table of these arms, in this order. Raises TableError for one it does not have, or has twice."""
        unknown = [name for name in names if name not in self.arms]
        if unknown or len(set(names)) != len(names) or not names:
            raise TableError(f"arms must be some of {', '.join(self.arms)}, each once, got {', '.join(names)}")
        pick = [self.arms.index(name) for name in names]
        return replace(self, arms=tuple(names), **{name: getattr(self, name)[:, pick] for name in VALUES})

    def spread(self, k: int) -> Self:
        """Return the table of k arms spread evenly over the order of mean quality, the worst first."""
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k!r}")
        order = np.argsort(self.quality.mean(axis=0), kind="stable")
        pick = order[np.unique(np.linspace(0, len(order) - 1, min(k, len(order))).astype(int))]
        return self.with_arms([self.arms[arm] for arm in pick])

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that the table says, as hexadecimal digits; two that say the same have the same."""
        digest = hashlib.sha256()
        labels = [texts for name in sorted(self.labels) for texts in ((name,), self.labels[name])]
        for names in (self.arms, *(getattr(self, name) for name in _PER_PROMPT), *labels):
            digest.update(len(names).to_bytes(8, "little"))
            for name in names:
                text = name.encode("utf-8", "surrogatepass")
                digest.update(len(text).to_bytes(8, "little") + text)
        for name in VALUES:
            values = getattr(self, name)
            if name == "wh" and np.isnan(values).all():
                continue  # tables had no such column once, and say the same without it
            digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        return digest.hexdigest()

    def check(self) -> None:
        """Return if the table can be one.

        Raises:
            TableError: shapes do not fit each other, a prompt or an arm stands twice, or a value cannot be.
        """
        n, k = self.n, len(self.arms)
        for name in (*_PER_PROMPT, *VALUES):
            shape, expected = np.shape(getattr(self, name)), (n, k) if name in VALUES else (n,)
            if shape != expected:
                raise TableError(f"{name} has shape {shape}, {n} prompts of {k} arms have {expected}")
        for name, column in self.labels.items():
            if name in COLUMN_NAMES or len(column) != n:
                raise TableError(f"label {name!r} needs a text for each of {n} prompts, and a name of its own")
        if n == 0 or len(set(self.arms)) != k or len(set(zip(self.datasets, self.prompt_ids, strict=True))) != n:
            raise TableError("a table has one prompt or more, and each prompt and each arm once")
        for name in VALUES:
            values = getattr(self, name)
            bad = np.argwhere(~valid_mask(values, name))
            if bad.size:
                row, arm = bad[0]
                where = f"prompt {self.prompt_ids[row]!r}, model {self.arms[arm]!r}"
                raise TableError(f"{where}: {name} must be {describe_valid(name)}, got {values[row, arm].item()!r}")
