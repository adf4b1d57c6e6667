"""The columns of an archive: what a row of its Parquet files says of an event."""

from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.arrow import import_pyarrow

VERSION: Final = 1
VERSION_KEY: Final = b"highwayman.archive"  # in the metadata of a file

DECISION: Final = "decision"
OUTCOME: Final = "outcome"
FEEDBACK: Final = "feedback"
CONTROL: Final = "control"
UNREADABLE: Final = "unreadable"
KINDS: Final = (DECISION, OUTCOME, FEEDBACK, CONTROL)
_ABOUT_ONE: Final = (DECISION, OUTCOME, FEEDBACK)


@dataclass(frozen=True, slots=True)
class ArchiveColumn:
    """A column: its Arrow type, the kinds of event that fill it, and what stands in it."""

    name: str
    type: str
    kinds: tuple[str, ...]
    description: str
    optional: bool = False  # may be null for these kinds, too
    later: bool = False  # came after the first archives: their files have no such column


COLUMNS: Final = (
    ArchiveColumn("id", "string", KINDS, "of the event on the log, milliseconds-sequence, both numbers"),
    ArchiveColumn("kind", "string", KINDS, "decision, outcome, feedback, control or unreadable"),
    ArchiveColumn("decision_id", "string", _ABOUT_ONE,
               "the decision it is about; of a control event only for an erasure"),
    ArchiveColumn("at", "double", KINDS, "when it happened, seconds since the epoch"),
    ArchiveColumn("filed_before", "bool", KINDS, "whether something was filed under its decision before it"),
    ArchiveColumn("user", "string", (DECISION, FEEDBACK), "pseudonym of who asked, or of who said it; empty: not said"),
    ArchiveColumn("tenant", "string", (DECISION,), "whose key asked"),
    ArchiveColumn("features", "list<float>", (DECISION,), "the context, (d,), the last of them 1"),
    ArchiveColumn("encoder", "string", (DECISION,), "fingerprint of the encoder; features of another one do not mix"),
    ArchiveColumn("prompt_tokens", "int64", (DECISION, OUTCOME), "the estimate the decision was made on"),
    ArchiveColumn("flags", "list<string>", (DECISION,), "of the context, such as encoder_timeout"),
    ArchiveColumn("arms", "list<string>", (DECISION,), "the K eligible arms"),
    ArchiveColumn("penalties", "list<double>", (DECISION,), "of these arms, (K,), in quality units"),
    ArchiveColumn("probs", "list<double>", (DECISION,), "with which the arm was drawn, (K,)"),
    ArchiveColumn("action", "int64", (DECISION,), "index of the arm taken"),
    ArchiveColumn("arm", "string", (DECISION,), "its name: arms[action]"),
    ArchiveColumn("propensity", "double", (DECISION,), "its probability: probs[action]"),
    ArchiveColumn("policy", "string", (DECISION,), "class name of the policy that decided, or its import path"),
    ArchiveColumn("policy_version", "int64", (DECISION,), "version of what it had learned"),
    ArchiveColumn("objective", "string", (DECISION,), "such as auto, auto-cheap, auto-quality"),
    ArchiveColumn("mode", "string", (DECISION,),
               "route, cascade, shadow, forced or sticky; off-policy estimates take route"),
    ArchiveColumn("prompt", "string", (DECISION,),
               "the newest message, where the configuration keeps it", optional=True),
    ArchiveColumn("served_arm", "string", (OUTCOME,), "who answered; another than the decision's arm after a failover"),
    ArchiveColumn("status", "string", (OUTCOME,), "ok, refused, failed, timeout, client_gone, cut or lost"),
    ArchiveColumn("tokens_in", "int64", (OUTCOME,), "tokens read"),
    ArchiveColumn("tokens_out", "int64", (OUTCOME,), "tokens written"),
    ArchiveColumn("cost_usd", "double", (OUTCOME,), "null: the arm has no price", optional=True),
    ArchiveColumn("ttft_s", "double", (OUTCOME,), "seconds to the first meaningful event of the answer", optional=True),
    ArchiveColumn("latency_s", "double", (OUTCOME,), "seconds to its last"),
    ArchiveColumn("finish_reason", "string", (OUTCOME,), "as the arm gave it", optional=True),
    ArchiveColumn("attempts", "int64", (OUTCOME,), "calls made"),
    ArchiveColumn("tried", "string", (OUTCOME,),
               "each of them as JSON: arm, endpoint, seconds, ending, why", optional=True, later=True),
    ArchiveColumn("tokens_cached", "int64", (OUTCOME,),
               "of tokens_in, those that the prompt cache held", optional=True, later=True),
    ArchiveColumn("estimated", "bool", (OUTCOME,),
               "whether tokens are counted from the text", optional=True, later=True),
    ArchiveColumn("tools_dropped", "bool", (OUTCOME,),
               "whether it was asked without the tools offered", optional=True, later=True),
    ArchiveColumn("stages", "string", (OUTCOME,),
               "the answers a cascade looked at, as JSON: arm, signals, good, goes_on, went_on, next_arm, tokens_in, "
               "tokens_out, cost_usd, seconds", optional=True, later=True),
    ArchiveColumn("wh", "double", (OUTCOME,), "watt-hours; null: nobody can know", optional=True, later=True),
    ArchiveColumn("feedback_id", "string", (FEEDBACK,), "of the statement: sent again, it is the same"),
    ArchiveColumn("source", "string", (FEEDBACK,), "who or what said it"),
    ArchiveColumn("metric", "string", (FEEDBACK,), "what about"),
    ArchiveColumn("value", "double", (FEEDBACK,), "null: takes back what was said before", optional=True),
    ArchiveColumn("weight", "double", (FEEDBACK,), "how much it counts"),
    ArchiveColumn("control", "string", (CONTROL,), "what was changed, such as price_changed"),
    ArchiveColumn("detail", "string", (CONTROL,), "how, as JSON"),
    ArchiveColumn("raw", "binary", (), "the event's bytes, where the other columns alone would not give them back"),
)  # fmt: skip
LATER: Final = frozenset(column.name for column in COLUMNS if column.later)


def schema() -> Any:
    """Return the Arrow schema, each field with its meaning, and the version of it all."""
    pa = import_pyarrow(extra="parquet")
    fields = [
        pa.field(column.name, arrow_type(column.type), metadata={"what": column.description}) for column in COLUMNS
    ]
    return pa.schema(fields, metadata={VERSION_KEY: str(VERSION).encode()})


def arrow_type(name: str) -> Any:
    """Return the Arrow type a column names."""
    pa = import_pyarrow(extra="parquet")
    plain = {"string": pa.string(), "double": pa.float64(), "float": pa.float32(), "int64": pa.int64()}
    if name.startswith("list<"):
        return pa.list_(pa.field("element", plain[name[5:-1]]))
    return {**plain, "bool": pa.bool_(), "binary": pa.binary()}[name]
