"""RouterEval (Huang et al. 2025, arXiv 2503.10657): one pool of candidates, and what each scored on every prompt.

It is distributed as pickles, <dataset>_router_dataset.pkl, of several pools by difficulty, number of candidates and
group. What is read here is one of those pools as JSON, converted as docs/reference/tables.md says: `model`, the
candidates' names; `prompt`, the texts of its splits; `data`, their scores. There are no costs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells, TableError, check_values

_SPLITS = ("train", "val", "test")
_DATASET = "routereval"


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    if missing := sheet.lacking("model", "prompt", "data"):
        return missing
    (data,) = sheet.objects("data", upto=1)
    return "" if isinstance(data, Mapping) and "test_score" in data else "data lacks test_score"


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file; its name is the task. Raises TableError."""
    if sheet.n != 1:
        raise TableError(f"{sheet.path}: must hold one object, it holds {sheet.n}")
    (models,), (prompts,), (data,) = (sheet.objects(column) for column in ("model", "prompt", "data"))
    if not _are_texts(models) or len(set(models)) < len(models) or not isinstance(prompts, Mapping):
        raise TableError(f"{sheet.path}: model must be a list of different names, and prompt an object")
    keys, texts, scores = [], list[str](), []
    for split in _SPLITS:
        of_split = prompts.get(f"{split}_prompt", [])
        if not _are_texts(of_split):
            raise TableError(f"{sheet.path}: {split}_prompt must be a list of texts")
        keys += [(_DATASET, f"{sheet.path.stem}/{split}/{number}") for number in range(len(of_split))]
        texts += of_split
        scores.append(_scores(sheet, data.get(f"{split}_score", []), split, (len(of_split), len(models))))
    quality = np.concatenate(scores)
    where = [f"{sheet.path}: {name}" for _, name in keys]
    for k, model in enumerate(models):
        known = np.ones(len(keys), dtype=np.bool_)
        check_values(quality[:, k], "quality", known=known, where=where.__getitem__, named=f"score of {model!r}")
    answers = AnswerCells.wide(
        keys,
        models,
        prompts=texts,
        tasks=[sheet.path.stem] * len(keys),
        values={"quality": quality},
        where=where.__getitem__,
    )
    return replace(answers, rows=np.zeros(len(keys), dtype=np.intp))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _scores(sheet: Sheet, rows: Any, split: str, shape: tuple[int, int]) -> Floats:
    """Return the scores of a split (prompts, models). Raises TableError for anything else."""
    try:
        scores = np.array(rows, dtype=np.float64).reshape(-1, shape[1])
    except (TypeError, ValueError) as error:
        raise TableError(f"{sheet.path}: {split}_score must be rows of {shape[1]} numbers") from error
    if scores.shape != shape:
        raise TableError(f"{sheet.path}: {split}_score has {len(scores)} rows for {shape[0]} prompts")
    return scores
