"""RouteLLM's evaluation responses (Ong et al. 2024, arXiv 2406.18665): a prompt, and whether each model was right.

A file is a task, named after it: gsm8k_responses.csv, or one of the 57 of MMLU. There are no costs.
"""

import numpy as np

from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells

_RESPONSE = "_response"
_DATASET = "routellm"
_SAMPLE_ROWS = 1000  # rows, to tell whether a file is in this format
_TRUTHS = (True, False, "True", "False", "true", "false")


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    if missing := sheet.lacking("prompt"):
        return missing
    models = _models(sheet)
    other = next((model for model in models if not _is_boolean(sheet, model)), "")
    if not models or other:
        return f"column {other!r} does not hold True and False" if other else "lacks columns of models"
    return ""


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file; its name is the task. Raises TableError."""
    models, task = _models(sheet), sheet.path.stem
    return AnswerCells.wide(
        [(_DATASET, f"{task}/{row}") for row in range(sheet.n)],
        models,
        prompts=sheet.texts("prompt").to_pylist(),
        tasks=[task] * sheet.n,
        values={"quality": np.stack([sheet.numbers(model, kind="quality") for model in models], axis=1)},
        where=sheet.where,
    )


def _models(sheet: Sheet) -> list[str]:
    answers = {name + _RESPONSE for name in sheet.columns}
    return [name for name in sheet.columns if name != "prompt" and name not in answers]


def _is_boolean(sheet: Sheet, column: str) -> bool:
    """Return whether the first value is true or false; the others are checked when they are read."""
    first = next((value for value in sheet.objects(column, upto=_SAMPLE_ROWS) if value is not None), None)
    return isinstance(first, bool | str) and first in _TRUTHS
