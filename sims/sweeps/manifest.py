"""What makes a run the same run again: hashes of data and code, the plan, the versions of what computed it."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

import highwayman
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import Prepared


def manifest(
    plan: Plan, tables: Sequence[Prepared], *, command: str, at: str, data: Mapping[str, str]
) -> dict[str, Any]:
    """Return the manifest of a sweep, in what JSON can say.

    Args:
        plan: what is run.
        tables: as prepared, one or more, by one encoder.
        command: the command line that repeats it.
        at: when it was made, as text; the only part that two runs of one command on one machine differ in.
        data: where each table came from, by its name.
    """
    return {
        "command": command,
        "made": at,
        "plan": json.loads(json.dumps(asdict(plan))),  # lists, as they come back from a file
        "tables": {
            prepared.name: {
                "source": data.get(prepared.name, ""),
                "sha256": prepared.digest,
                "prompts": prepared.table.n,
                "left_out": prepared.table.left_out,
                "arms": list(prepared.table.arms),
                "without": dict(prepared.missing),
            }
            for prepared in tables
        },
        "encoder": tables[0].fingerprint,
        "code": {"highwayman": highwayman.__version__, "sha256": code_digest()},
        "machine": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def files_digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of files, names and contents, in the order given. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def code_digest() -> str:
    """Return the SHA-256 of all of Highwayman's Python files, names and contents, in the order of their names."""
    digest = hashlib.sha256()
    for name, content in sorted(_sources(files("highwayman"), "")):
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    sources: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            sources += _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            sources.append((path + entry.name, entry.read_bytes()))
    return sources
