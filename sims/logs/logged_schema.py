"""The columns of a bandit log on disk: one row for each round."""

import json
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.arrow import import_pyarrow
from highwayman.sims.logs.logged import LogError

VERSION: Final = 1
VERSION_KEY: Final = b"highwayman.log"  # in the metadata of a file, as the two that follow
ARMS_KEY: Final = b"highwayman.log.arms"  # their names, as a JSON list
ENCODER_KEY: Final = b"highwayman.log.encoder"  # fingerprint of the encoder that made the features


@dataclass(frozen=True, slots=True)
class LogColumn:
    """A column: its Arrow type, what stands in it, whether a row may hold nothing there, and a file lack all of it."""

    name: str
    type: str
    description: str
    optional: bool = False
    may_lack: bool = False


COLUMNS: Final = (
    LogColumn("at", "double", "when it was decided, seconds since the epoch"),
    LogColumn("session", "int64", "equal for rounds of one person: those are not independent; text is hashed"),
    LogColumn("features", "list<double>", "the context, (d,), the last of them 1"),
    LogColumn("eligible", "list<bool>", "which of the K arms could be drawn, in the order of the file's arms"),
    LogColumn("penalties", "list<double>", "of each of the K arms, in quality units; 0 where it is not eligible"),
    LogColumn("arm", "string", "the one that was drawn"),
    LogColumn("propensity", "double", "the probability it was drawn with, in (0, 1]"),
    LogColumn(
        "reward", "double", "its quality, in [0, 1]; null: nobody said anything (censored, not 0)", optional=True
    ),
    LogColumn("cost_usd", "double", "metered dollars, >= 0; null: the arm has no price", optional=True),
    LogColumn(
        "weight", "double", "what the reward counts, >= 0; null: 1; 0: as no reward", optional=True, may_lack=True
    ),
    LogColumn(
        "pdrop", "double", "probability that the round had been left off the log, in [0, 1); null: 0", optional=True,
        may_lack=True,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heading:
    """What the metadata of a log's file says."""

    arms: tuple[str, ...]
    encoder: str


def schema(heading: Heading) -> Any:
    """Return the Arrow schema, each field with its meaning, and in its metadata the version, arms and encoder."""
    pa = import_pyarrow()
    types = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64()}
    types["list<double>"] = pa.list_(pa.field("element", pa.float64()))
    types["list<bool>"] = pa.list_(pa.field("element", pa.bool_()))
    fields = [pa.field(column.name, types[column.type], metadata={"what": column.description}) for column in COLUMNS]
    return pa.schema(
        fields,
        metadata={
            VERSION_KEY: str(VERSION).encode(),
            ARMS_KEY: json.dumps(heading.arms).encode(),
            ENCODER_KEY: heading.encoder.encode(),
        },
    )


def heading_of(arrow_schema: Any, name: str) -> Heading:
    """Return what a file's Arrow schema says, when it can be read.

    Args:
        arrow_schema: the schema of the file.
        name: the file's, for messages.

    Raises:
        LogError: it is no log, of another version, or a column is missing or holds something else.
    """
    metadata = arrow_schema.metadata or {}
    version = metadata.get(VERSION_KEY)
    if version is None:
        raise LogError(f"{name}: is no bandit log of Highwayman's: its metadata has no {VERSION_KEY.decode()!r}")
    if version != str(VERSION).encode():
        raise LogError(f"{name}: has schema version {version.decode(errors='replace')}, this version reads {VERSION}")
    for column in COLUMNS:
        index = arrow_schema.get_field_index(column.name)
        if index < 0 and column.may_lack:
            continue
        if index < 0:
            raise LogError(f"{name}: there is no column {column.name}")
        if not _fits(arrow_schema.field(index).type, column):
            raise LogError(
                f"{name}: column {column.name} must hold {column.type}, it holds {arrow_schema.field(index).type}"
            )
    try:
        arms = json.loads(metadata.get(ARMS_KEY, b""))
    except ValueError:
        arms = None
    if not isinstance(arms, list) or not arms or not all(isinstance(arm, str) for arm in arms):
        raise LogError(f"{name}: its metadata must name the arms in {ARMS_KEY.decode()!r}, as a JSON list")
    return Heading(tuple(arms), metadata.get(ENCODER_KEY, b"").decode(errors="replace"))


def _fits(arrow_type: Any, column: LogColumn) -> bool:
    """Return whether a column can be read as the type wanted.

    A number of any kind is a double, and so is a truth value, where it stands alone; a moment is seconds since the
    epoch; a column of nulls is as good as any where nothing need be said.
    """
    types = import_pyarrow("pyarrow.types")
    if column.optional and types.is_null(arrow_type):
        return True
    if column.name == "at" and types.is_timestamp(arrow_type):
        return True
    if column.type == "double" and types.is_boolean(arrow_type):
        return column.name == "reward"
    return _is_of(arrow_type, column.type)


def _is_of(arrow_type: Any, type_name: str) -> bool:
    types = import_pyarrow("pyarrow.types")
    if type_name.startswith("list"):
        lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        inner = type_name.removeprefix("list<").removesuffix(">")
        return any(kind(arrow_type) for kind in lists) and _is_of(arrow_type.value_type, inner)
    if types.is_dictionary(arrow_type):
        return _is_of(arrow_type.value_type, type_name)
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    numbers = (types.is_floating, types.is_integer, types.is_decimal)
    session_types = (types.is_integer, *texts)  # a session that has a name is hashed
    kinds = {"double": numbers, "int64": session_types, "bool": (types.is_boolean,)}
    return any(kind(arrow_type) for kind in kinds.get(type_name, texts))
