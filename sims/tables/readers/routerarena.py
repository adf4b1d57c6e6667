"""RouterArena's answers (Lu et al. 2025, arXiv 2510.00202): cached_results/<model>.jsonl, a line for each question.

A folder of such files is one table. Where a model was asked several times (`run_number`), its mean counts; an answer
that was not evaluated does not. The task is the dataset that the question's index begins with.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells, TableError, cells_of

_DATASET = "routerarena"
_NEEDED = ("global_index", "question", "llm_selected", "evaluation_result")


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    return sheet.lacking(*_NEEDED)


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file. Raises TableError."""
    answers = cells_of(_rows(sheet), name=str(sheet.path))
    first: dict[str, int] = {}
    for row, name in enumerate(sheet.texts("global_index").to_pylist()):
        first.setdefault(name, row)
    return replace(answers, rows=np.array([first[name] for _, name in answers.keys], dtype=np.intp))


def _rows(sheet: Sheet) -> Iterator[dict[str, Any]]:
    """Yield a row in long format for each question and model, in the order of their first answers."""
    ids, models = sheet.texts("global_index").to_pylist(), sheet.texts("llm_selected").to_pylist()
    questions, results = sheet.texts("question").to_pylist(), sheet.objects("evaluation_result")
    usages = sheet.objects("token_usage") if "token_usage" in sheet.columns else [None] * sheet.n
    answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    texts: dict[str, str] = {}
    for row, (name, model, result, usage) in enumerate(zip(ids, models, results, usages, strict=True)):
        texts.setdefault(name, questions[row])
        if isinstance(result, Mapping):
            answers.setdefault((name, model), []).append(_values(result, usage, sheet.where(row)))
    for (name, model), values in answers.items():
        means = {column: _mean([value[column] for value in values]) for column in values[0]}
        task = name.rpartition("_")[0]
        yield {"dataset": _DATASET, "prompt_id": name, "prompt": texts[name], "task": task, "model": model, **means}


def _values(result: Mapping[str, Any], usage: Any, where: str) -> dict[str, float | None]:
    tokens = usage if isinstance(usage, Mapping) else {}
    given = {
        "quality": result.get("score"),
        "cost_usd": result.get("inference_cost"),
        "input_tokens": tokens.get("input_tokens"),
        "output_tokens": tokens.get("output_tokens"),
    }
    for column, value in given.items():
        if value is not None and not isinstance(value, int | float):
            raise TableError(f"{where}: {column} must be a number, got {value!r}")
    return given


def _mean(amounts: list[float | None]) -> float | None:
    """Return the mean of what is known, None if nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) / len(known) if known else None
