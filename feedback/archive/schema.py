"""The columns of an archive: what a row of its Parquet files says of an event."""

from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.arrow import arrow

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
class Column:
    """A column: its Arrow type, the kinds of event that fill it, and what stands in it."""

    name: str
    type: str
    kinds: tuple[str, ...]
    what: str
    optional: bool = False  # may be null for these kinds, too


COLUMNS: Final = (
    Column("id", "string", KINDS, "of the event on the log, milliseconds-sequence, both numbers"),
    Column("kind", "string", KINDS, "decision, outcome, feedback, control or unreadable"),
    Column("decision_id", "string", _ABOUT_ONE, "the decision it is about; of a control event only for an erasure"),
    Column("at", "double", KINDS, "when it happened, seconds since the epoch"),
    Column("filed_before", "bool", KINDS, "whether something was filed under its decision before it"),
    Column("user", "string", (DECISION, FEEDBACK), "pseudonym of who asked, or of who said it; empty: not said"),
    Column("tenant", "string", (DECISION,), "whose key asked"),
    Column("features", "list<float>", (DECISION,), "the context, (d,), the last of them 1"),
    Column("encoder", "string", (DECISION,), "fingerprint of the encoder; features of another one do not mix"),
    Column("prompt_tokens", "int64", (DECISION, OUTCOME), "the estimate the decision was made on"),
    Column("flags", "list<string>", (DECISION,), "of the context, such as encoder_timeout"),
    Column("arms", "list<string>", (DECISION,), "the K eligible arms"),
    Column("penalties", "list<double>", (DECISION,), "of these arms, (K,), in quality units"),
    Column("probs", "list<double>", (DECISION,), "with which the arm was drawn, (K,)"),
    Column("action", "int64", (DECISION,), "index of the arm taken"),
    Column("arm", "string", (DECISION,), "its name: arms[action]"),
    Column("propensity", "double", (DECISION,), "its probability: probs[action]"),
    Column("policy", "string", (DECISION,), "class name of the policy that decided, or its import path"),
    Column("policy_version", "int64", (DECISION,), "version of what it had learned"),
    Column("objective", "string", (DECISION,), "such as auto, auto-cheap, auto-quality"),
    Column("mode", "string", (DECISION,), "route, cascade, shadow, forced or sticky; off-policy estimates take route"),
    Column("prompt", "string", (DECISION,), "the newest message, where the configuration keeps it", optional=True),
    Column("served_arm", "string", (OUTCOME,), "who answered; another than the decision's arm after a failover"),
    Column("status", "string", (OUTCOME,), "ok, refused, failed, timeout, client_gone or lost"),
    Column("tokens_in", "int64", (OUTCOME,), "tokens read"),
    Column("tokens_out", "int64", (OUTCOME,), "tokens written"),
    Column("cost_usd", "double", (OUTCOME,), "null: the arm has no price", optional=True),
    Column("ttft_s", "double", (OUTCOME,), "seconds to the first byte of the answer", optional=True),
    Column("latency_s", "double", (OUTCOME,), "seconds to its last"),
    Column("finish_reason", "string", (OUTCOME,), "as the arm gave it", optional=True),
    Column("attempts", "int64", (OUTCOME,), "calls made"),
    Column("feedback_id", "string", (FEEDBACK,), "of the statement: sent again, it is the same"),
    Column("source", "string", (FEEDBACK,), "who or what said it"),
    Column("metric", "string", (FEEDBACK,), "what about"),
    Column("value", "double", (FEEDBACK,), "null: takes back what was said before", optional=True),
    Column("weight", "double", (FEEDBACK,), "how much it counts"),
    Column("control", "string", (CONTROL,), "what was changed, such as price_changed"),
    Column("detail", "string", (CONTROL,), "how, as JSON"),
    Column("raw", "binary", (), "the event's bytes, where the other columns alone would not give them back"),
)  # fmt: skip


def schema() -> Any:
    """Return the Arrow schema, each field with its meaning, and the version of it all."""
    pa = arrow(extra="parquet")
    fields = [pa.field(one.name, arrow_type(one.type), metadata={"what": one.what}) for one in COLUMNS]
    return pa.schema(fields, metadata={VERSION_KEY: str(VERSION).encode()})


def arrow_type(name: str) -> Any:
    """Return the Arrow type a column names."""
    pa = arrow(extra="parquet")
    plain = {"string": pa.string(), "double": pa.float64(), "float": pa.float32(), "int64": pa.int64()}
    if name.startswith("list<"):
        return pa.list_(pa.field("element", plain[name[5:-1]]))
    return {**plain, "bool": pa.bool_(), "binary": pa.binary()}[name]
