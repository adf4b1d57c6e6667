"""TensorZero's tables as a log of ours: inferences as decisions with the probabilities that its weights tell."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import ConfigError
from highwayman.env.types import DEFAULT_TENANT, TOLD, Decision, Feedback, JsonObject, Mode, Outcome, Query, Status
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.manifest import ArchiveManifest
from highwayman.feedback.log.events import Event, encode
from highwayman.serving.cli.imports.tensorzero.config import Drawing
from highwayman.serving.cli.imports.tensorzero.tables import chat_of, milliseconds, read_rows, table_files
from highwayman.serving.completions.requests.request import parse_chat
from highwayman.serving.http.validation import BadRequest

INFERENCES: Final = ("ChatInference", "JsonInference")
FEEDBACK: Final = ("BooleanMetricFeedback", "FloatMetricFeedback")
_WORDS: Final = ("CommentFeedback", "DemonstrationFeedback")
_INFERENCE: Final = frozenset(
    {"id", "function_name", "variant_name", "episode_id", "input", "processing_time_ms", "ttft_ms", "tags",
     "output_schema", "inference_params"}
)  # fmt: skip
_CALL: Final = frozenset({"inference_id", "input_tokens", "output_tokens", "finish_reason", "cost"})
_STATEMENT: Final = frozenset({"id", "target_id", "metric_name", "value", "tags"})
_MOST_ERRORS: Final = 5.0  # standard errors that a variant's share may be away from its weight
_PART_EVENTS: Final = 50_000
_BATCH: Final = 512  # queries that are encoded together


class _Call(NamedTuple):
    """What the providers' answers to one inference took."""

    tokens_in: int = 0
    tokens_out: int = 0
    finish_reason: str | None = None
    cost_usd: float | None = None


@dataclass(slots=True)
class ImportedLog:
    """What a log came to."""

    decisions: int = 0
    drawn: int = 0  # of these, those with a propensity that tells something of other variants
    statements: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # rows, by why
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)  # of the values of each metric


class TensorZeroLog:
    """Makes events of a folder of tables; `counts` is whole once all have been taken."""

    def __init__(self, folder: Path, function: str, drawing: Drawing, encoder: Encoder, *, user_key: bytes) -> None:
        """Take where the tables are, what of them counts, and a key under which users are made unknowable."""
        self._folder, self._function, self._drawing = folder, function, drawing
        self._encoder, self._user_key = encoder, user_key
        self._decisions: dict[str, Decision] = {}
        self._episodes: dict[str, list[str]] = {}
        self._rest: list[Event] = []
        self.counts = ImportedLog()

    def read(self, metrics: Sequence[str]) -> None:
        """Read all tables. `metrics` are those that the configuration declares.

        Raises:
            ConfigError: there are no inferences, a table cannot be read, or it was drawn with other weights.
        """
        calls = self._calls()
        rows = [row for table in INFERENCES for row in self._rows(table, _INFERENCE) if self._is_ours(row)]
        if not rows:
            tables = " and ".join(INFERENCES)
            raise ConfigError(
                f"{self._folder}: holds no inference of {self._function!r} in {tables} (Parquet or JSONL)"
            )
        rows.sort(key=lambda row: str(row["id"]))  # UUIDv7: in the order of their time
        for start in range(0, len(rows), _BATCH):
            self._add_decisions(rows[start : start + _BATCH], calls)
        self._check_weights()
        for table in FEEDBACK:
            for row in self._rows(table, _STATEMENT):
                self._add_statement(row, metrics)
        for table in _WORDS:
            self.counts.left_out[f"of {table}: words say nothing of quality"] = sum(
                1 for _ in self._rows(table, _STATEMENT)
            )

    def write(self, archive: Archive, namespace: str) -> None:
        """Write what was read as an archive, in the order of time. Raises ArchiveError; ConfigError for one in use."""
        if archive.files():
            raise ConfigError(f"{archive.folder}: holds a log already; give another folder")
        with archive.exclusive():
            ArchiveManifest(archive).claim(namespace)
            events = sorted([*self._decisions.values(), *self._rest], key=_moment)
            for start in range(0, len(events), _PART_EVENTS):
                part = range(start, min(start + _PART_EVENTS, len(events)))
                archive.append([
                    (f"{_moment(events[k])[0]}-{k}", encode(events[k]), isinstance(events[k], Feedback)) for k in part
                ])  # fmt: skip

    def _rows(self, table: str, columns: frozenset[str]) -> Iterator[dict[str, Any]]:
        for path in table_files(self._folder, table):
            yield from read_rows(path, columns)

    def _calls(self) -> dict[str, _Call]:
        """Return what each inference took, of all the calls that were made for it."""
        calls: dict[str, _Call] = {}
        for row in self._rows("ModelInference", _CALL):
            name, cost = str(row.get("inference_id")), row.get("cost")
            before = calls.get(name, _Call())
            calls[name] = _Call(
                before.tokens_in + int(row.get("input_tokens") or 0),
                before.tokens_out + int(row.get("output_tokens") or 0),
                row.get("finish_reason") or before.finish_reason,
                before.cost_usd if cost is None else float(cost) + (before.cost_usd or 0.0),
            )
        return calls

    def _is_ours(self, row: JsonObject) -> bool:
        """Whether a row is an inference of the function, by a variant that has become an arm."""
        if row.get("function_name") != self._function:
            self.counts.left_out["inferences of other functions"] += 1
        elif row.get("variant_name") not in self._drawing.arms:
            self.counts.left_out[f"inferences of the variant {row.get('variant_name')!r}, which is no arm"] += 1
        else:
            return True
        return False

    def _add_decisions(self, rows: Sequence[JsonObject], calls: dict[str, _Call]) -> None:
        readable: list[tuple[JsonObject, float, Query]] = []
        for row in rows:
            try:
                readable.append((row, milliseconds(row["id"]) / 1000, _query(row)))
            except (ValueError, KeyError, TypeError, AttributeError, BadRequest):
                self.counts.left_out["inferences whose id or input cannot be read"] += 1
        contexts = self._encoder.encode_many([query for _, _, query in readable])
        for (row, at, _), context in zip(readable, contexts, strict=True):
            episode, arm = str(row.get("episode_id") or row["id"]), self._drawing.arms[row["variant_name"]]
            arms, probs, mode = self._draw(row["variant_name"], is_first=episode not in self._episodes)
            action, name = arms.index(arm), str(row["id"])
            self._decisions[name] = Decision(
                name, DEFAULT_TENANT, at, context, arms, np.zeros(len(arms)), np.array(probs), action, probs[action],
                TOLD, 0, "auto", mode, user=self._pseudonym(row.get("tags")), links=(self._digest(episode),),
            )  # fmt: skip
            self._episodes.setdefault(episode, []).append(name)
            self.counts.decisions += 1
            self.counts.drawn += mode is Mode.ROUTE and probs[action] < 1
            call, seconds = calls.get(name, _Call()), float(row.get("processing_time_ms") or 0) / 1000
            self._rest.append(Outcome(
                name, at + seconds, arm, Status.OK, context.prompt_tokens, call.tokens_in, call.tokens_out,
                call.cost_usd, _seconds(row.get("ttft_ms")), seconds, call.finish_reason,
            ))  # fmt: skip

    def _draw(self, variant: str, *, is_first: bool) -> tuple[tuple[str, ...], list[float], Mode]:
        """Return the arms that could have been, their probabilities, and how it came about.

        An episode's later calls follow the first one's draw: nothing was drawn. A variant without a weight was pinned
        by the caller, or answered where others had failed: so it is as if it had been named.
        """
        probs, arm = self._drawing.probs, self._drawing.arms[variant]
        if probs and variant not in probs:
            return (arm,), [1.0], Mode.FORCED
        if not probs or not is_first:
            return (arm,), [1.0], Mode.STICKY
        drawable = {self._drawing.arms[name]: prob for name, prob in probs.items() if name in self._drawing.arms}
        total = sum(drawable.values())
        return tuple(drawable), [prob / total for prob in drawable.values()], Mode.ROUTE

    def _check_weights(self) -> None:
        """Raise ConfigError where a variant's share of the draws is five standard errors from what its weight says."""
        drawn = [decision for decision in self._decisions.values() if decision.mode is Mode.ROUTE]
        shares = Counter(decision.arm for decision in drawn)
        for arm, prob in zip(drawn[0].arms, drawn[0].probs.tolist(), strict=True) if drawn else ():
            n = len(drawn)
            if abs(shares[arm] - n * prob) > _MOST_ERRORS * math.sqrt(n * prob * (1 - prob)) + 1:
                raise ConfigError(
                    f"{arm!r} was drawn in {shares[arm] / n:.1%} of {n:,} episodes, and its weight says {prob:.1%}: "
                    "it was drawn with other weights. Give the file of then, the tables of one setting alone, or "
                    "--without-propensities: then policies learn from the log, and no other can be judged by it"
                )

    def _add_statement(self, row: JsonObject, metrics: Sequence[str]) -> None:
        target, metric = str(row.get("target_id")), str(row.get("metric_name"))
        names = [target] if target in self._decisions else self._episodes.get(target, [])
        if metric not in metrics:
            self.counts.left_out[f"statements on the metric {metric!r}, which the file does not declare"] += 1
            return
        if not names:
            self.counts.left_out["statements on inferences that are not there"] += 1
            return
        try:
            value, at = float(row["value"]), milliseconds(row["id"]) / 1000
        except (KeyError, TypeError, ValueError):
            self.counts.left_out["statements whose id or value cannot be read"] += 1
            return
        low, high = self.counts.ranges.get(metric, (value, value))
        self.counts.ranges[metric] = min(low, value), max(high, value)
        user = self._pseudonym(row.get("tags"))
        for name in names:  # on a whole episode: each answer has an equal share, as `POST /feedback` has it
            weight = 1 / len(names)
            self._rest.append(Feedback(str(row["id"]), name, at, "tensorzero", metric, value, weight, user))
        self.counts.statements += 1

    def _pseudonym(self, tags: Any) -> str:
        user = tags.get("user_id") if isinstance(tags, dict) else None
        return self._digest(str(user)) if user else ""

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self._user_key, digest_size=12).hexdigest()


def _query(row: JsonObject) -> Query:
    return parse_chat(json.dumps(chat_of(row.get("input"), row)).encode()).query


def _seconds(ms: Any) -> float | None:
    return None if ms is None else float(ms) / 1000


def _moment(event: Event) -> tuple[int, int]:
    """Return when an event happened, in milliseconds, and its place among those of that moment."""
    place = 0 if isinstance(event, Decision) else 1 if isinstance(event, Outcome) else 2
    return round(event.at * 1000), place
