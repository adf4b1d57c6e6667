"""Full-information tables: for every prompt, what each arm scored and cost. What a bandit never sees, a judge needs."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Floats


class TableError(HighwaymanError):
    """A table cannot be used; names the file, the row and the column."""


@dataclass(frozen=True, slots=True, eq=False)
class FullTable:
    """n prompts by K arms, complete: prompts without a quality for every arm are left out when it is read."""

    prompt_ids: tuple[str, ...]  # (n,)
    prompts: tuple[str, ...]  # (n,)
    tasks: tuple[str, ...]  # (n,)
    arms: tuple[str, ...]  # (K,)
    quality: Floats  # (n, K) in [0, 1]
    cost_usd: Floats  # (n, K); NaN where unknown, as in all that follow
    input_tokens: Floats  # (n, K)
    output_tokens: Floats  # (n, K)
    latency_s: Floats  # (n, K)

    @property
    def n(self) -> int:
        """The number of prompts."""
        return len(self.prompts)

    @classmethod
    def made(cls, arms: Sequence[str], quality: Floats, *, prompts: Sequence[str] = (), tasks: Sequence[str] = (),
             **known: Floats) -> "FullTable":  # fmt: skip
        """Return the table of `quality` (n, K), numbered prompts, and of `known` columns (n, K); the others are NaN."""
        n = len(quality)
        names = ("cost_usd", "input_tokens", "output_tokens", "latency_s")
        columns = {name: known.get(name, np.full(quality.shape, np.nan)) for name in names}
        ids = tuple(str(number) for number in range(n))
        return cls(ids, tuple(prompts) or ids, tuple(tasks) or ("",) * n, tuple(arms), quality, **columns)

    def mean_costs(self) -> tuple[float | None, ...]:
        """Return each arm's mean cost in dollars, None where any is unknown."""
        means = self.cost_usd.mean(axis=0)
        return tuple(None if math.isnan(mean) else float(mean) for mean in means)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], *, name: str = "table") -> "FullTable":
        """Return the table of long-format rows: prompt_id, prompt, model, quality; task and cost_usd if there are any.

        Raises:
            TableError: a column is missing, a quality is not in [0, 1], a pair stands twice, or no prompt is complete.
        """
        cells: dict[str, dict[str, tuple[float, float]]] = {}
        texts: dict[str, tuple[str, str]] = {}
        arms: dict[str, None] = {}
        for number, row in enumerate(rows, start=1):
            prompt_id, arm, quality, cost = _cell(row, f"{name}: row {number}")
            if arm in cells.setdefault(prompt_id, {}):
                raise TableError(f"{name}: row {number}: model {arm!r} stands twice for prompt {prompt_id!r}")
            cells[prompt_id][arm] = quality, cost
            texts[prompt_id] = str(row["prompt"]), str(row.get("task") or "")
            arms[arm] = None
        whole = [prompt_id for prompt_id, found in cells.items() if len(found) == len(arms)]
        if not whole:
            raise TableError(f"{name}: no prompt has a quality for each of the models {', '.join(arms) or '(none)'}")
        values = np.array([[cells[prompt_id][arm] for arm in arms] for prompt_id in whole])
        prompts, tasks = zip(*(texts[prompt_id] for prompt_id in whole), strict=True)
        return cls.made(tuple(arms), values[:, :, 0], prompts=prompts, tasks=tasks, cost_usd=values[:, :, 1])

    @classmethod
    def read_jsonl(cls, path: Path) -> "FullTable":
        """Return the table in a file of JSON lines, one row each. Raises TableError."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TableError(f"{path.name}: {error}") from error
        return cls.of((_parsed(line, f"{path.name}: line {n}") for n, line in enumerate(lines, 1)), name=path.name)


def _parsed(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TableError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TableError(f"{where}: not a JSON object")
    return row


def _cell(row: Mapping[str, Any], where: str) -> tuple[str, str, float, float]:
    missing = [column for column in ("prompt_id", "prompt", "model", "quality") if row.get(column) is None]
    if missing:
        raise TableError(f"{where}: no value for {', '.join(missing)}")
    quality, cost = row["quality"], row.get("cost_usd")
    if isinstance(quality, str) or not 0.0 <= float(quality) <= 1.0:
        raise TableError(f"{where}: quality must be a number in [0, 1], got {quality!r}")
    return str(row["prompt_id"]), str(row["model"]), float(quality), math.nan if cost is None else float(cost)
