"""LLMRouterBench's results (Li et al. 2026, arXiv 2601.07206): bench/<dataset>/<split>/<model>/<time>.json.

A file holds one model's answers to one dataset, under `records`; all of them together are one table. Older files do not
name dataset, split and model: then their folders do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells, TableError, cells_of

_FIELDS = {
    "score": "quality",
    "cost": "cost_usd",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
}
_NEEDED = ("index", "score")


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    return sheet.lacking("records", "performance", "counts")


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file; its dataset is the task. Raises TableError."""
    answers = cells_of(_rows(sheet), name=str(sheet.path))
    return replace(answers, rows=np.zeros(len(answers.keys), dtype=np.intp))


def _rows(sheet: Sheet) -> Iterator[dict[str, Any]]:
    """Yield a row in long format for each record."""
    folders = [folder.name for folder in sheet.path.absolute().parents[:3]]  # model, split, dataset
    named = [_name(sheet, column) for column in ("model_name", "split", "dataset_name")]
    model, split, dataset = (given or folder for given, folder in zip(named, folders, strict=True))
    (records,) = sheet.objects("records")
    if not isinstance(records, list):
        raise TableError(f"{sheet.path}: records must be a list, got {records!r:.60}")
    for number, record in enumerate(records):
        if not isinstance(record, Mapping) or any(name not in record for name in _NEEDED):
            raise TableError(f"{sheet.path}: record {number} must be an object with {' and '.join(_NEEDED)}")
        prompt = record.get("prompt") or record.get("origin_query") or ""
        values = {column: record.get(field) for field, column in _FIELDS.items()}
        prompt_id = f"{split}/{record['index']}"
        yield {"dataset": dataset, "prompt_id": prompt_id, "prompt": prompt, "task": dataset, "model": model, **values}


def _name(sheet: Sheet, column: str) -> str:
    return sheet.texts(column, default="").to_pylist()[0] if column in sheet.columns else ""
