"""The columns of a table in long format: one row for each prompt and model."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.arrow import import_pyarrow

VERSION: Final = 1
VERSION_KEY: Final = b"highwayman.table"  # in the metadata of a Parquet file


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its Arrow type, what stands in it, and whether a table may do without it."""

    name: str
    type: str
    description: str
    optional: bool = False


COLUMNS: Final = (
    TableColumn("dataset", "string", "where the prompt comes from; prompt_id is unique within it", optional=True),
    TableColumn("prompt_id", "string", "names the prompt"),
    TableColumn("prompt", "string", "what the models were asked"),
    TableColumn("task", "string", "kind of prompt; where it is empty, the dataset counts as its task", optional=True),
    TableColumn("model", "string", "the arm"),
    TableColumn("quality", "double", "of its answer, in [0, 1]; null: it was not asked, and the prompt is left out"),
    TableColumn("input_tokens", "double", "tokens read, >= 0; null: unknown, as in all that follow", optional=True),
    TableColumn("output_tokens", "double", "tokens written, >= 0", optional=True),
    TableColumn("cost_usd", "double", "what the call cost, >= 0", optional=True),
    TableColumn("latency_s", "double", "seconds to the end of the answer, >= 0", optional=True),
    TableColumn("wh", "double", "energy that the call took, in watt hours, >= 0", optional=True),
)
COLUMN_NAMES: Final = tuple(column.name for column in COLUMNS)
REQUIRED: Final = tuple(column.name for column in COLUMNS if not column.optional)
VALUES: Final = tuple(column.name for column in COLUMNS if column.type == "double")  # of an answer: quality first
MEASURES: Final = VALUES[1:]  # these may be unknown


def schema(labels: Iterable[str] = ()) -> Any:
    """Return the Arrow schema, each field with its meaning, and the version of it all; `labels` name more texts."""
    pa = import_pyarrow()
    types = {"string": pa.string(), "double": pa.float64()}
    fields = [pa.field(column.name, types[column.type], metadata={"what": column.description}) for column in COLUMNS]
    fields += [pa.field(name, pa.string()) for name in labels]
    return pa.schema(fields, metadata={VERSION_KEY: str(VERSION).encode()})
