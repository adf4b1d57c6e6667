"""RouterBench (Hu et al. 2024, arXiv 2403.12031): a row for each prompt, columns for each model.

`<model>` holds the quality of its answer, `<model>|total_cost` the dollars it cost. It is distributed as a pickle,
which must be converted first.
"""

import ast

import numpy as np

from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import AnswerCells

_COST = "|total_cost"
_DATASET = "routerbench"


def mismatch(sheet: Sheet) -> str:
    """Return why the file is not in this format, in words; nothing if it is."""
    if missing := sheet.lacking("sample_id", "prompt", "eval_name"):
        return missing
    return "" if _models(sheet) else f"lacks columns <model> with <model>{_COST}"


def cells(sheet: Sheet) -> AnswerCells:
    """Return the answers in a file; its evaluations are the tasks. Raises TableError."""
    models = _models(sheet)
    quality = [sheet.numbers(model, kind="quality") for model in models]
    costs = [sheet.numbers(model + _COST, kind="cost_usd") for model in models]
    return AnswerCells.wide(
        [(_DATASET, sample) for sample in sheet.texts("sample_id").to_pylist()],
        models,
        prompts=[_plain(text) for text in sheet.texts("prompt").to_pylist()],
        tasks=sheet.texts("eval_name", default="").to_pylist(),
        values={"quality": np.stack(quality, axis=1), "cost_usd": np.stack(costs, axis=1)},
        where=sheet.where,
    )


def _models(sheet: Sheet) -> list[str]:
    names = set(sheet.columns)
    return [name for name in sheet.columns if name + _COST in names]


def _plain(text: str) -> str:
    r"""Return a prompt's own text: many are stored as a list in Python's notation, with \n for every new line."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        parts = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return "\n".join(parts) if all(isinstance(part, str) for part in parts) else text
