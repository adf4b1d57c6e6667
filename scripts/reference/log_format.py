"""docs/reference/log_format.md: what stands on the log and in an archive, from the types of events and columns."""

import ast
import inspect
import io
import json
import sys
import tokenize
from collections.abc import Iterator
from enum import EnumType
from typing import Any, Final

import msgpack
import numpy as np

from highwayman.env.types import (
    Attempt,
    CascadeStage,
    Context,
    Control,
    ControlKind,
    Decision,
    Feedback,
    Mode,
    Outcome,
    Status,
)
from highwayman.feedback.archive.schema import COLUMNS, KINDS, VERSION
from highwayman.feedback.log.events import SCHEMA, Event, encode
from scripts.reference.tables import page, sentence, table

_INTRO = f"""Everything that happens is one event on a Redis stream, `highwayman:{{NAMESPACE}}:log`; the field `e` of an
entry is the event, a msgpack array: the schema's version ({SCHEMA}), a letter for the kind, and the fields below.
Numbers of features are float32, of probabilities and penalties float64, little-endian. What is learned, every report
and the archive are computed from these alone: [the log](../explanation/log.md). In Python:

```python
from highwayman.feedback.log.events import decode

event = decode(entry[b"e"])  # a Decision, an Outcome, a Feedback or a Control
```

Events of older releases stay readable: what came later has a default, and stands at the end or by its name."""
_ARCHIVE = f"""`highwayman export` writes one row for each event ([the archive](archive.md)); columns that a kind of
event does not have are null. The version of these columns is {VERSION}."""
_SAMPLES: Final[tuple[Event, ...]] = (
    Decision(
        id="hw-a", tenant="default", at=1796049697.5, context=Context(np.array([0.5, 1.0]), "static", 20),
        arms=("small", "large"), penalties=np.array([0.0, 0.1]), probs=np.array([0.75, 0.25]), action=0,
        propensity=0.75, policy="HierTS", policy_version=2, objective="auto",
    ),
    Outcome("hw-a", 1796049698.5, "small", Status.OK, 20, 24, 2, 1e-6, 0.5, 1.0, "stop"),
    Feedback("hw-a:b", "hw-a", 1796049700.0, "user", "thumbs", 1.0),
    Control(1796049600.0, ControlKind.PRICE_CHANGED, {"arm": "small"}),
)  # fmt: skip


def log_format_page() -> str:
    """Return docs/reference/log_format.md."""
    kinds = [part for sample in _SAMPLES for part in (_section(type(sample)), _as_written(sample))]
    parts = [_section(kind) for kind in (Context, Attempt, CascadeStage, Mode, Status, ControlKind)]
    return page("The log's format", _INTRO, ["## Events", *kinds, "## Their parts", *parts, _archive()])


def _section(of: type) -> str:
    heads = ("value", "what") if isinstance(of, EnumType) else ("field", "type", "what")
    rows = _values(of) if isinstance(of, EnumType) else _fields(of)
    return f"### {of.__name__}\n\n{' '.join((inspect.getdoc(of) or '').split())}\n\n{table(heads, rows)}"


def _as_written(event: Event) -> str:
    written = json.dumps(msgpack.unpackb(encode(event)), default=lambda raw: f"{len(raw)} bytes")
    return f"As it is written, for example:\n\n```json\n{written}\n```"


def _fields(of: type) -> Iterator[tuple[str, str, str]]:
    for node, said in _commented(of):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield f"`{node.target.id}`", ast.unparse(node.annotation), said


def _values(of: type) -> Iterator[tuple[str, str]]:
    for node, said in _commented(of):
        if isinstance(node, ast.Assign):
            yield f"`{ast.literal_eval(node.value)}`", said


def _commented(of: type) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each statement of a class with the comment that stands above or behind it, as a sentence."""
    source = inspect.getsource(sys.modules[of.__module__])
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    wanted = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == of.__name__)
    end = 0
    for node in next(wanted).body:
        lines = range(end + 1, (node.end_lineno or node.lineno) + 1)
        yield node, sentence(" ".join(comments[line] for line in lines if line in comments))
        end = node.end_lineno or node.lineno


def _archive() -> str:
    rows: list[tuple[Any, ...]] = [
        (f"`{column.name}`", f"`{column.type}`", _filled_for(column.kinds), sentence(column.description))
        for column in COLUMNS
    ]
    return f"## Columns of the archive\n\n{_ARCHIVE}\n\n{table(('column', 'type', 'filled for', 'what'), rows)}"


def _filled_for(kinds: tuple[str, ...]) -> str:
    return "all" if kinds == KINDS else ", ".join(kinds) or "where needed"
