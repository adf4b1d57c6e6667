"""Executes the notebooks of docs/notebooks/, side by side, each in a kernel of its own; part of CI.

    python -m scripts.notebooks [--write] [NAME ...]

A cell that fails ends it with an error that shows the cell. Nothing is written unless `--write` says so: then the
outputs go into the notebooks. That is how those that are committed came there: they can be read without being run.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
_PATIENCE_S = 110  # of one cell: all notebooks together take less


def executed(path: Path) -> Any:
    """Return the notebook with the outputs that it has today. Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(notebook, timeout=_PATIENCE_S, resources={"metadata": {"path": str(FOLDER)}})
    client.extra_arguments = ["--log-level=ERROR"]  # kernels warn that they listen on loopback, as they always have
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each ran: another one every time
    return notebook


def run(path: Path, *, write: bool) -> str:
    """Execute a notebook; return what is said of it, empty if all went well."""
    started = time.monotonic()
    try:
        notebook = executed(path)
    except CellExecutionError as error:
        return f"{path.name} failed:\n{error}"
    if write:
        notebook.metadata["language_info"] = {"name": "python"}
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {time.monotonic() - started:.0f} s")
    return ""


def main() -> None:
    """Execute those named, or all, and end with an error if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as replay; all if none is given")
    parser.add_argument("--write", action="store_true", help="put the outputs into the notebooks")
    options = parser.parse_args()
    paths = [FOLDER / f"{name}.ipynb" for name in options.names] or sorted(FOLDER.glob("*.ipynb"))
    # A kernel's sums on one thread each: two notebooks run side by side.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        failures = [said for said in threads.map(lambda path: run(path, write=options.write), paths) if said]
    sys.exit("\n\n".join(failures) if failures else None)


if __name__ == "__main__":
    main()
