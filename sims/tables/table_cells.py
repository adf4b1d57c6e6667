"""Answers, in whatever order files hold them, and the grid of prompts by arms that they make."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices
from highwayman.sims.tables.table_schema import MEASURES, REQUIRED, VALUES

Key = tuple[str, str]  # dataset and prompt_id
_NAMED = 8  # models in a message


class TableError(HighwaymanError):
    """A table cannot be used; names the file, the row (from 0; of JSON lines the line, from 1) and the column."""


@dataclass(frozen=True, slots=True, eq=False)
class AnswerCells:
    """What one file says: m answers of k models to p prompts."""

    keys: Sequence[Key]  # (p,)
    prompts: Sequence[str]  # (p,)
    tasks: Sequence[str]  # (p,)
    models: Sequence[str]  # (k,)
    prompt: Indices  # (m,) into keys
    model: Indices  # (m,) into models
    values: Mapping[str, Floats]  # (m,) of each of VALUES; a quality of NaN: not asked
    where: Callable[[int], str]  # names the place of an answer, for messages
    rows: Indices | None = None  # (p,) where in the file a prompt first stands; None: each in a row of its own
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)  # (p,) each, of other columns, by their names

    @classmethod
    def wide(cls, keys: Sequence[Key], models: Sequence[str], *, prompts: Sequence[str], tasks: Sequence[str],
             values: Mapping[str, Floats], where: Callable[[int], str]) -> "AnswerCells":  # fmt: skip
        """Return the answers of a file with a row for each prompt: `values` are (p, k), `where` names a row."""
        p, k = len(keys), len(models)
        unknown = np.full(p * k, np.nan)
        return cls(
            keys, prompts, tasks, models,
            prompt=np.repeat(np.arange(p, dtype=np.intp), k),
            model=np.tile(np.arange(k, dtype=np.intp), p),
            values={name: values[name].reshape(-1) if name in values else unknown for name in VALUES},
            where=lambda cell: where(cell // k),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """n prompts by K arms, complete."""

    keys: tuple[Key, ...]  # (n,)
    prompts: tuple[str, ...]  # (n,)
    tasks: tuple[str, ...]  # (n,)
    arms: tuple[str, ...]  # (K,)
    values: Mapping[str, Floats]  # (n, K) of each of VALUES
    labels: Mapping[str, tuple[str, ...]]  # (n,) each
    left_out: int  # prompts that not every arm has answered


def grid(parts: Sequence[AnswerCells], *, name: str) -> Grid:
    """Return the grid of the answers in several files, prompts and arms in the order they first stand there.

    Raises:
        TableError: a pair of prompt and model stands twice, or no prompt has an answer of every model.
    """
    keys, arms = _numbered(parts, "keys"), _numbered(parts, "models")
    prompt = _joined([_codes(keys, part.keys)[part.prompt] for part in parts])
    arm = _joined([_codes(arms, part.models)[part.model] for part in parts])
    _refuse_twice(parts, prompt * len(arms) + arm)
    quality = np.concatenate([part.values["quality"] for part in parts]) if parts else np.empty(0)
    answered = ~np.isnan(quality)
    complete = np.bincount(prompt[answered], minlength=len(keys)) == len(arms)
    if not complete.any():
        raise TableError(f"{name}: {_why_none(arm[answered], tuple(arms), len(keys))}")
    is_used = answered & complete[prompt]
    row = np.cumsum(complete) - 1
    texts, tasks = (_by_prompt(parts, [getattr(part, name) for part in parts]) for name in ("prompts", "tasks"))
    labels = {name: _by_prompt(parts, [part.labels[name] for part in parts]) for name in parts[0].labels}
    values = {}
    for column in VALUES:
        values[column] = np.empty((int(complete.sum()), len(arms)))
        cells = np.concatenate([part.values[column] for part in parts])
        values[column][row[prompt[is_used]], arm[is_used]] = cells[is_used]
    complete_keys = [key for key, is_complete in zip(keys, complete, strict=True) if is_complete]
    return Grid(
        keys=tuple(complete_keys),
        prompts=tuple(texts[key] for key in complete_keys),
        tasks=tuple(tasks[key] for key in complete_keys),
        arms=tuple(arms),
        values=values,
        labels={name: tuple(label[key] for key in complete_keys) for name, label in labels.items()},
        left_out=len(keys) - len(complete_keys),
    )


def _numbered(parts: Sequence[AnswerCells], field: str) -> dict[Any, int]:
    names = dict.fromkeys(name for part in parts for name in getattr(part, field))
    return {name: number for number, name in enumerate(names)}


def _codes(numbers: Mapping[Any, int], names: Sequence[Any]) -> Indices:
    return np.array([numbers[name] for name in names], dtype=np.intp)


def _joined(parts: Sequence[Indices]) -> Indices:
    return np.concatenate([np.empty(0, dtype=np.intp), *parts])


def _by_prompt(parts: Sequence[AnswerCells], columns: Sequence[Sequence[str]]) -> dict[Key, str]:
    """Return what a column of each part, (p,), says of each prompt, as it first stands."""
    texts: dict[Key, str] = {}
    for part, column in zip(reversed(parts), reversed(columns), strict=True):
        texts.update(zip(part.keys, column, strict=True))
    return texts


def _refuse_twice(parts: Sequence[AnswerCells], pairs: Indices) -> None:
    order = np.argsort(pairs, kind="stable")
    repeats = np.flatnonzero(pairs[order][1:] == pairs[order][:-1])
    if not repeats.size:
        return
    position = repeats[order[repeats + 1].argmin()]
    first, second = _placed(parts, int(order[position])), _placed(parts, int(order[position + 1]))
    part, cell = second
    (dataset, prompt_id), model = part.keys[part.prompt[cell]], part.models[part.model[cell]]
    of_dataset = f" of dataset {dataset!r}" if dataset else ""
    raise TableError(
        f"{part.where(cell)}: model {model!r} stands twice for prompt {prompt_id!r}{of_dataset}; "
        f"the first time in {first[0].where(first[1])}"
    )


def _placed(parts: Sequence[AnswerCells], cell: int) -> tuple[AnswerCells, int]:
    """Return the part that a cell of all of them is in, and its number there."""
    for part in parts:
        if cell < len(part.prompt):
            return part, cell
        cell -= len(part.prompt)
    raise IndexError(cell)


def _why_none(arm: Indices, arms: Sequence[str], prompts: int) -> str:
    if not arms:
        return "holds no prompt"
    counts = np.bincount(arm, minlength=len(arms))
    least = int(counts.argmin())
    names = ", ".join(arms[:_NAMED]) + (f" and {len(arms) - _NAMED} more" if len(arms) > _NAMED else "")
    return (
        f"no prompt has a quality for each of the models {names}: "
        f"{arms[least]!r} has one for {counts[least]} of {prompts} prompts"
    )


def cells_of(rows: Iterable[Mapping[str, Any]], *, name: str) -> AnswerCells:
    """Return the answers in rows of the long format. Raises TableError, naming row and column."""
    keys: dict[Key, int] = {}
    models: dict[str, int] = {}
    texts: list[tuple[str, str]] = []
    places: list[tuple[int, int]] = []
    values: list[list[float]] = []
    known: list[list[bool]] = []
    for number, row in enumerate(rows):
        missing = [column for column in REQUIRED if column not in row or (row[column] is None and column != "quality")]
        if missing:
            raise TableError(f"{name}: row {number}: no value for {', '.join(missing)}")
        key = str(row.get("dataset") or ""), str(row["prompt_id"])
        if keys.setdefault(key, len(keys)) == len(texts):
            texts.append((str(row["prompt"]), str(row.get("task") or "")))
        places.append((keys[key], models.setdefault(str(row["model"]), len(models))))
        values.append([_number(row.get(column)) for column in VALUES])
        known.append([row.get(column) is not None for column in VALUES])
    at, value_rows = np.array(places, dtype=np.intp).reshape(-1, 2), np.array(values).reshape(-1, len(VALUES))
    prompts, tasks = zip(*texts, strict=True) if texts else ((), ())
    cells = AnswerCells(
        list(keys), prompts, tasks, list(models), prompt=at[:, 0], model=at[:, 1],
        values=dict(zip(VALUES, value_rows.T, strict=True)), where=lambda row: f"{name}: row {row}",
    )  # fmt: skip
    for column, is_known in zip(VALUES, np.array(known, dtype=np.bool_).reshape(-1, len(VALUES)).T, strict=True):
        check_values(cells.values[column], column, known=is_known, where=cells.where)
    return cells


def _number(value: object) -> float:
    """Return the value as a number, one that no column may hold if it is none."""
    if value is None:
        return math.nan
    return float(value) if isinstance(value, int | float | np.number | np.bool_) else math.inf


def check_values(values: Floats, column: str, *, known: Bools, where: Callable[[int], str], named: str = "") -> None:
    """Raise TableError for the first number that may not stand in one of VALUES; a measure may be NaN: unknown.

    Args:
        values: (n,).
        column: one of VALUES.
        known: (n,) whether there is a number at all.
        where: names a row.
        named: what the file calls the column, if not that.
    """
    bad = known & ~valid_mask(values, column)
    if bad.any():
        row = int(bad.argmax())
        raise TableError(
            f"{where(row)}: {named or column} must be {describe_valid(column)}, got {values[row].item()!r}"
        )


def valid_mask(values: Floats, column: str) -> Bools:
    """Return which numbers may stand in one of VALUES; an unknown measure (NaN) may."""
    maximum = 1.0 if column == "quality" else np.finfo(np.float64).max
    inside: Bools = (values >= 0) & (values <= maximum)
    return inside | np.isnan(values) if column in MEASURES else inside


def describe_valid(column: str) -> str:
    """Return what may stand in one of VALUES, in words."""
    return "a number in [0, 1]" if column == "quality" else "a number >= 0"
