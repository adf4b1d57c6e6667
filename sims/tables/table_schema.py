"""The columns of a table in long format: one row for each prompt and model."""

from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.arrow import arrow

VERSION: Final = 1
VERSION_KEY: Final = b"highwayman.table"  # in the metadata of a Parquet file


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its Arrow type, what stands in it, and whether a table may do without it."""

    name: str
    type: str
    what: str
    optional: bool = False


COLUMNS: Final = (
    Column("dataset", "string", "where the prompt comes from; prompt_id is unique within it", optional=True),
    Column("prompt_id", "string", "names the prompt"),
    Column("prompt", "string", "what the models were asked"),
    Column("task", "string", "kind of prompt; where it is empty, the dataset counts as its task", optional=True),
    Column("model", "string", "the arm"),
    Column("quality", "double", "of its answer, in [0, 1]; null: it was not asked, and the prompt is left out"),
    Column("input_tokens", "double", "tokens read, >= 0; null: unknown, as in all that follow", optional=True),
    Column("output_tokens", "double", "tokens written, >= 0", optional=True),
    Column("cost_usd", "double", "what the call cost, >= 0", optional=True),
    Column("latency_s", "double", "seconds to the end of the answer, >= 0", optional=True),
)
REQUIRED: Final = tuple(one.name for one in COLUMNS if not one.optional)
VALUES: Final = tuple(one.name for one in COLUMNS if one.type == "double")  # of an answer: quality first
MEASURES: Final = VALUES[1:]  # these may be unknown


def schema() -> Any:
    """Return the Arrow schema, each field with its meaning, and the version of it all."""
    pa = arrow()
    types = {"string": pa.string(), "double": pa.float64()}
    fields = [pa.field(one.name, types[one.type], metadata={"what": one.what}) for one in COLUMNS]
    return pa.schema(fields, metadata={VERSION_KEY: str(VERSION).encode()})
