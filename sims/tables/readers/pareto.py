"""ParetoBandit's rewards as JSON lines: a prompt, its source, and for each arm its reward and cost in dollars."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells, TableError, check_values

_DATASET = "pareto"
_FIELDS = {"quality": "reward", "cost_usd": "cost", "input_tokens": "input_tokens", "output_tokens": "output_tokens"}


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    missing = sheet.lacking("prompt", "arms")
    if missing and not sheet.lacking("prompt", "input_tokens", "output_tokens"):
        return "it holds one arm's token counts; rewards, with their prompts, are in files such as val_k4.jsonl"
    return missing


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file; the sources of its prompts are the tasks. Raises TableError."""
    arms = [_arms(cell, sheet.where(row)) for row, cell in enumerate(sheet.objects("arms"))]
    models = list(dict.fromkeys(model for row in arms for model in row))
    return AnswerCells.wide(
        [(_DATASET, f"{sheet.path.stem}/{row}") for row in range(sheet.n)],
        models,
        prompts=sheet.texts("prompt").to_pylist(),
        tasks=sheet.texts("source", default="").to_pylist(),
        values={column: _values(sheet, arms, models, column) for column in _FIELDS},
        where=sheet.where,
    )


def _arms(cell: Any, where: str) -> dict[str, Mapping[str, Any]]:
    if not isinstance(cell, Mapping) or not all(
        answer is None or isinstance(answer, Mapping) for answer in cell.values()
    ):
        raise TableError(f"{where}: arms must hold an object for each model, got {cell!r}")
    return {model: answer for model, answer in cell.items() if answer is not None}


def _values(sheet: Sheet, arms: list[dict[str, Mapping[str, Any]]], models: list[str], column: str) -> Floats:
    """Return one number of each arm's, shape (p, k), NaN where there is none."""
    field = _FIELDS[column]
    values = np.full((len(arms), len(models)), np.nan)
    for k, model in enumerate(models):
        amounts = [row.get(model, {}).get(field) for row in arms]
        for row, value in enumerate(amounts):
            if value is not None and not isinstance(value, int | float):
                raise TableError(f"{sheet.where(row)}: {field} of arm {model!r} must be a number, got {value!r}")
        known = np.array([value is not None for value in amounts])
        values[known, k] = [value for value in amounts if value is not None]
        check_values(values[:, k], column, known=known, where=sheet.where, named=f"{field} of arm {model!r}")
    return values
