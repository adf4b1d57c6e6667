"""Logs in Vowpal Wabbit's dsjson, which Azure Personalizer and RL Client write: one event a line, joined with its cost.

https://github.com/VowpalWabbit/vowpal_wabbit/wiki/DSJSON, and what its readers and the RL Client's converters agree on.
Read are contextual bandits with one action; not slots (CCB, Slates) nor continuous actions.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LogError, LoggedData

SUFFIXES: Final = (".dsjson", ".json", ".jsonl", ".ndjson")  # and each of them with .gz
_FEATURES: Final = 64  # of the shared context: hashed ones, and the last one 1
_MOST_ARMS: Final = 500  # with more names than that, actions go by their position
_ROWS: Final = 10_000
_LABEL_TOLERANCE: Final = 1e-3  # relative: labels are rounded to single precision


@dataclass(frozen=True, slots=True)
class _Event:
    """A line that says what was drawn, and with which probability."""

    line: int
    event_id: str
    at: float
    names: tuple[str, ...]  # of the actions, by their tags, ids or features
    probs: Floats  # of each of them; NaN where only the label's is known
    action: int
    propensity: float
    kept: float
    reward: float
    shared: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Survey:
    """What must be known of all events before the first is a round."""

    arms: tuple[str, ...]
    by_position: bool
    low: float  # of the rewards
    high: float


@dataclass(slots=True)
class DsjsonLog:
    """A log in a file, or in all such files of a folder by name; `left_out` is whole once all chunks have been taken.

    Everything raises LogError, which names the file and the line.
    """

    path: Path
    left_out: dict[str, int] = field(default_factory=dict)  # lines, by why they are no rounds
    _survey: _Survey | None = None

    @staticmethod
    def fits(path: Path) -> bool:
        """Return whether a path looks like such a log: by its name, or the names in a folder without Parquet files."""
        if path.is_dir():
            return not any(path.glob("*.parquet")) and any(map(DsjsonLog.fits, sorted(path.iterdir())))
        return path.is_file() and path.name.removesuffix(".gz").endswith(SUFFIXES)

    def files(self) -> list[Path]:
        """Return the files, in order."""
        return sorted(filter(self.fits, self.path.iterdir())) if self.path.is_dir() else [self.path]

    def notes(self) -> list[str]:
        """Return what was made of the log that its reader should know, in words."""
        survey = self._surveyed()
        notes = []
        if (survey.low, survey.high) != (0.0, 1.0):
            notes.append(f"rewards, which are costs with the other sign, go from {survey.low:g} to {survey.high:g}: "
                         "they are taken for 0 to 1")  # fmt: skip
        if survey.by_position:
            notes.append("actions have no names that tell them apart: they are called by their positions, from 1")
        return notes

    def chunks(self) -> Iterator[LoggedData]:
        """Yield the log in chunks, each checked."""
        survey, events = self._surveyed(), list[_Event]()
        self.left_out = {}
        for path in self.files():
            for event in self._events(path):
                events.append(event)
                if len(events) == _ROWS:
                    yield _checked(events, survey, path)
                    events = []
            if events:
                yield _checked(events, survey, path)
                events = []

    def _surveyed(self) -> _Survey:
        if self._survey is None:
            self._survey = _survey(event for path in self.files() for event in self._events(path))
        return self._survey

    def _events(self, path: Path) -> Iterator[_Event]:
        at = 0.0
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    event = _parsed(line, (path.name, number), at)
                except (LogError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
                    why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
                    raise LogError(f"{path}: line {number}: {why}") from error
                if isinstance(event, str):
                    self.left_out[event] = self.left_out.get(event, 0) + 1
                else:
                    at = event.at
                    yield event


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a file as text, decompressed. Raises LogError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: {error}") from error


def _parsed(line: str, place: tuple[str, int], last_at: float) -> _Event | str:
    """Return the event of a line, whose `place` is its file's name and its number, or why it is none."""
    if not line.lstrip().startswith("{"):
        return "that are no events, as of checkpoints"
    values = json.loads(line)
    if values.get("_skipLearn") or values.get("skipLearn"):
        return "with skipLearn: the action was not taken, or is not to be learned from"
    context = values.get("c")
    if not isinstance(context, dict):
        return "without a context, as of rewards that came without their decisions"
    if "_slots" in context or "_outcomes" in values:
        raise LogError("decides several slots at once; only contextual bandits with one action are read")
    actions = context.get("_multi")
    if not isinstance(actions, list) or not actions:
        raise LogError("has no actions: c._multi must list them")
    probs, action = _probs(values, len(actions)), _action(values, len(actions))
    propensity, kept = _propensity(values, float(probs[action]))
    cost = values.get("_label_cost")
    return _Event(
        place[1],
        str(values.get("EventId") or place),
        _at(values.get("Timestamp"), last_at),
        tuple(map(_name, actions)),
        probs,
        action,
        propensity,
        kept,
        math.nan if cost is None else 0.0 - float(cost),
        {name: value for name, value in context.items() if not name.startswith("_")},
    )


def _probs(values: Mapping[str, Any], k: int) -> Floats:
    """Return the probability of each of k actions: `p` is in the order of `a`, which counts from 1 (some from 0)."""
    probs, order = values.get("p"), values.get("a")
    if probs is None:
        return np.full(k, np.nan)
    ranked = list(range(1, k + 1)) if order is None else list(order)
    if len(probs) != len(ranked):
        raise LogError(f"p has {len(probs)} numbers, a has {len(ranked)}")
    places = np.array(ranked) - (0 if 0 in ranked else 1)
    if len(set(ranked)) != len(ranked) or places.min() < 0 or places.max() >= k:
        raise LogError(f"a must number each of {k} actions once, got {ranked}")
    found = np.zeros(k)
    found[places] = probs
    return found


def _action(values: Mapping[str, Any], k: int) -> int:
    """Return the index of the action taken."""
    order = values.get("a") or [None]
    if "_labelIndex" in values:
        action = int(values["_labelIndex"])
    elif "_label_Action" in values:
        action = int(values["_label_Action"]) - 1
    else:  # the one that was served is the first
        action = int(order[0]) - (0 if 0 in order else 1)
    if not 0 <= action < k:
        raise LogError(f"the action taken is number {action + 1} of {k}")
    return action


def _propensity(values: Mapping[str, Any], drawn_with: float) -> tuple[float, float]:
    """Return the propensity, and the probability that the event was kept, 1 - pdrop.

    RL Client's converter says no pdrop, and a label's probability that has it in it.
    """
    kept, label = 1.0 - float(values.get("pdrop") or 0.0), values.get("_label_probability")
    if math.isnan(drawn_with):
        return float(values["_label_probability"]), kept
    if label is None or abs(label - drawn_with) <= _LABEL_TOLERANCE * drawn_with:
        return drawn_with, kept
    if abs(label - drawn_with * kept) <= _LABEL_TOLERANCE * drawn_with:
        return drawn_with, kept
    if kept == 1.0 and 0.0 < label < drawn_with:
        return drawn_with, label / drawn_with
    raise LogError(f"_label_probability is {label!r}, p says {drawn_with!r}")


def _at(timestamp: str | None, otherwise: float) -> float:
    """Return a moment in seconds since the epoch; without a zone it is UTC."""
    if timestamp is None:
        return otherwise
    moment = datetime.fromisoformat(timestamp)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _name(action: Any) -> str:
    """Return what an action is called: its tag, its id, else its features."""
    if not isinstance(action, dict):
        raise LogError("an action in c._multi is no JSON object")
    parts = [action, *(value for value in action.values() if isinstance(value, dict))]
    for key in ("_tag", "_id", "id"):
        for part in parts:
            if part.get(key):
                return str(part[key])
    return ",".join(key if value == 1 else f"{key}={value}" for key, value in _leaves(action, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the features in a namespace or deeper, by their names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.startswith("_"):
                yield from _leaves(inner, key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, name if isinstance(inner, dict) else f"{name}{place}")
    elif value is not None:
        yield name, value


def _survey(events: Iterator[_Event]) -> _Survey:
    """Return the arms and the range of rewards. Raises LogError without an event."""
    names: dict[str, None] = {}
    longest, low, high, tells_apart = 0, 0.0, 1.0, True
    for event in events:
        longest = max(longest, len(event.names))
        if tells_apart:
            names.update(dict.fromkeys(event.names))
            tells_apart = len(set(event.names)) == len(event.names) and all(event.names) and len(names) <= _MOST_ARMS
        if not math.isnan(event.reward):
            low, high = min(low, event.reward), max(high, event.reward)
    arms = tuple(names) if tells_apart else tuple(str(place + 1) for place in range(longest))
    return _Survey(arms, not tells_apart, low, high)


def _checked(events: Sequence[_Event], survey: _Survey, path: Path) -> LoggedData:
    """Return events as rounds. Raises LogError, which names the line of one that cannot be."""
    log = _rounds(events, survey)
    try:
        log.check()
    except LogError:
        for row, event in enumerate(events):
            try:
                log.take(slice(row, row + 1)).check()
            except LogError as error:
                raise LogError(f"{path}: line {event.line}: {str(error).removeprefix('row 0: ')}") from error
        raise
    return log


def _rounds(events: Sequence[_Event], survey: _Survey) -> LoggedData:
    column_of = {arm: column for column, arm in enumerate(survey.arms)}
    n, k = len(events), len(survey.arms)
    eligible, actions = np.zeros((n, k), dtype=np.bool_), np.zeros(n, dtype=np.intp)
    for row, event in enumerate(events):
        places = range(len(event.names)) if survey.by_position else [column_of[name] for name in event.names]
        eligible[row, list(places)] = ~(event.probs <= 0)  # NaN: not known, so taken for possible
        actions[row] = places[event.action]
    rewards = np.array([event.reward for event in events])
    return LoggedData(
        arms=survey.arms,
        contexts=np.array([_hashed(event.shared) for event in events]),
        eligible=eligible,
        actions=actions,
        propensities=np.array([event.propensity for event in events]),
        rewards=(rewards - survey.low) / (survey.high - survey.low),
        costs_usd=np.full(n, np.nan),
        penalties=np.zeros((n, k)),
        sessions=np.array([_number(event.event_id) for event in events], dtype=np.int64),
        at=np.array([event.at for event in events]),
        encoder=f"dsjson/{_FEATURES}",
        kept=np.array([event.kept for event in events]),
    )


def _hashed(shared: Mapping[str, Any]) -> Floats:
    """Return the shared context as features (d,): text by its value, numbers by their logarithm, all hashed."""
    features = np.zeros(_FEATURES)
    for namespace, inner in shared.items():
        for name, value in _leaves(inner, namespace):
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            key = f"{namespace}^{name}" if is_number else f"{namespace}^{name}={value}"
            size = math.copysign(math.log1p(abs(value)), value) if is_number else 1.0
            bits = zlib.crc32(key.encode())
            features[bits % (_FEATURES - 1)] += size if bits >> 31 else -size
    features[-1] = 1.0
    return features


def _number(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "big", signed=True)
