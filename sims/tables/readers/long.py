"""Long format: a row for each prompt and model, in Parquet, CSV or JSON lines; what `write_table` writes."""

from typing import Any

import numpy as np

from highwayman.sims.logs.logged import Indices
from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells
from highwayman.sims.tables.table_schema import REQUIRED, VALUES


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    return sheet.lacking(*REQUIRED)


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file. Raises TableError."""
    datasets, dataset = _coded(sheet.texts("dataset", default=""))
    ids, prompt_id = _coded(sheet.texts("prompt_id"))
    models, model = _coded(sheet.texts("model"))
    _, first, prompt = np.unique(dataset * len(ids) + prompt_id, return_index=True, return_inverse=True)
    order = np.argsort(first)  # prompts stand in the order of their first rows
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rows = first[order]
    return AnswerCells(
        keys=[
            (datasets[dataset_code], ids[id_code])
            for dataset_code, id_code in zip(dataset[rows], prompt_id[rows], strict=True)
        ],
        prompts=sheet.texts("prompt").take(rows).to_pylist(),
        tasks=sheet.texts("task", default="").take(rows).to_pylist(),
        models=models,
        prompt=rank[prompt],
        model=model,
        values={name: sheet.numbers(name, kind=name) for name in VALUES},
        where=sheet.where,
        rows=rows,
    )


def _coded(texts: Any) -> tuple[list[str], Indices]:
    """Return the different texts, and of which of them each row is."""
    encoded = texts.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp)
