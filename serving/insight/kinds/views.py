"""Traffic by kind of query: each named, who gets it, what is expected of whom, what moved it; and where it lies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.encoder.features.tags import Tag, tag_places
from highwayman.env.types import Floats
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.serving.insight.kinds.clustering import FeatureColumns, Labels, group, laid_out
from highwayman.serving.insight.kinds.movements import movement
from highwayman.serving.insight.kinds.names import WordTable, own_words
from highwayman.serving.insight.kinds.sample import Sample

_BINS: Final = 12  # of time, over which a kind's traffic is told
_GOOD: Final = 0.5  # quality from which on a rating is a thumb up
_MOST_CHARS: Final = 160  # of a prompt on the map
_OTHER: Final = "other"  # the level of a tag that has no column of its own

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedQuality:
    """What is believed of the sample's decisions now: quality and deviation (n, A), and each arm's penalty (A,)."""

    quality: Floats
    deviation: Floats
    penalties: Floats

    def preferred(self) -> Rows:
        """Return the arm that is expected to bring most for each decision, (n,); -1 where nothing is known."""
        utility = self.quality - self.penalties
        best: Rows = np.where(np.isnan(utility), -np.inf, utility).argmax(axis=1)
        return np.where(np.isnan(utility).all(axis=1), -1, best)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of query: the decisions of a sample that are of it."""

    id: str
    name: str
    rows: Rows


def kinds_by_words(sample: Sample, columns: FeatureColumns, table: Callable[[], WordTable | None]) -> list[Kind]:
    """Return kinds that lie together by what their texts say, the largest first, named by words."""
    labels = group(columns.points(sample.features), rng=np.random.default_rng(0)) if sample.n else _none()
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max(initial=-1)) + 1)]
    names = own_words([[sample.decisions[row].prompt for row in rows.tolist()] for rows in members])
    words = table() if columns.text and not all(names) else None
    if words is not None:
        text = sample.features[:, columns.text]
        near = words.nearest(np.stack([text[rows].mean(axis=0) for rows in members]), text.mean(axis=0))
        names = [own or by_table for own, by_table in zip(names, near, strict=True)]
    return [
        Kind(f"words-{place}", ", ".join(name) or f"kind {place + 1}", rows)
        for place, (rows, name) in enumerate(zip(members, names, strict=True))
    ]


def kinds_by_tag(sample: Sample, tag: Tag) -> list[Kind]:
    """Return a kind for each level of a tag that occurs, the most usual first; none where it never does."""
    places = [tag_places(decision.context).get(tag.name, -1) for decision in sample.decisions]
    by_level = {level: np.flatnonzero(np.array(places) == level) for level in sorted({*places} - {-1})}
    ranked = sorted(by_level.items(), key=lambda item: -len(item[1]))
    return [Kind(f"{tag.name}-{level}", f"{tag.name} {_level(tag, level)}", rows) for level, rows in ranked]


def kinds_view(
    sample: Sample, groups: Mapping[str, Sequence[Kind]], beliefs: ExpectedQuality, changes: Sequence[RecordedChange]
) -> dict[str, Any]:
    """Return kinds as JSON has them, in groups by what they are told apart by; each group covers the same decisions."""
    middle = sample.halfway()
    return {
        "object": "highwayman.kinds",
        "decisions": sample.n,
        "begin": float(sample.at[0]) if sample.n else None,
        "middle": middle if sample.n else None,
        "end": float(sample.at[-1]) if sample.n else None,
        "arms": list(sample.arms),
        "groups": [
            {"by": by, "kinds": [_kind_view(kind, sample, beliefs, changes, middle=middle) for kind in kinds]}
            for by, kinds in groups.items()
        ],
    }


def map_view(
    sample: Sample, columns: FeatureColumns, kinds: Sequence[Kind], beliefs: ExpectedQuality, *, limit: int
) -> dict[str, Any]:
    """Return the newest decisions, at most `limit`, as points in two dimensions, oldest first."""
    flat = laid_out(columns.points(sample.features)) if sample.n else np.zeros((0, 2))
    kind_of = {int(row): kind.id for kind in kinds for row in kind.rows}
    preferred = beliefs.preferred() if sample.n else _none()
    return {
        "object": "highwayman.map",
        "arms": list(sample.arms),
        "kinds": [{"id": kind.id, "name": kind.name} for kind in kinds],
        "points": [
            _point(sample, row, flat[row], kind=kind_of.get(row), preferred=int(preferred[row]))
            for row in range(max(sample.n - limit, 0), sample.n)
        ],
    }


def _point(sample: Sample, row: int, place: Floats, *, kind: str | None, preferred: int) -> dict[str, Any]:
    decision = sample.decisions[row]
    return {
        "id": decision.id,
        "at": decision.at,
        "x": round(float(place[0]), 4),
        "y": round(float(place[1]), 4),
        "kind": kind,
        "arm": decision.arm,
        "preferred": None if preferred < 0 else sample.arms[preferred],
        "quality": _or_null(sample.quality[row]),
        "prompt": None if decision.prompt is None else decision.prompt[:_MOST_CHARS],
    }


def _kind_view(
    kind: Kind, sample: Sample, beliefs: ExpectedQuality, changes: Sequence[RecordedChange], *, middle: float
) -> dict[str, Any]:
    rows = kind.rows
    before = sample.at[rows] < middle
    ratings = sample.quality[rows][sample.rated[rows] >= 0]
    utility = _column_means(beliefs.quality[rows]) - beliefs.penalties
    best = -1 if np.isnan(utility).all() else int(np.nanargmax(utility))
    return {
        "id": kind.id,
        "name": kind.name,
        "count": len(rows),
        "share": len(rows) / max(sample.n, 1),
        "share_before": float(before.sum() / max((sample.at < middle).sum(), 1)),
        "share_now": float((~before).sum() / max((sample.at >= middle).sum(), 1)),
        "preferred": None if best < 0 else sample.arms[best],
        "up": int((ratings >= _GOOD).sum()),
        "down": int((ratings < _GOOD).sum()),
        "arms": {
            name: _arm_view(place, rows, sample, beliefs, middle=middle) for place, name in enumerate(sample.arms)
        },
        "over_time": _over_time(rows, sample),
        "moved": movement(sample, rows, changes, middle=middle).to_dict(),
    }


def _arm_view(place: int, rows: Rows, sample: Sample, beliefs: ExpectedQuality, *, middle: float) -> dict[str, Any]:
    before = sample.at[rows] < middle
    probs, own = sample.probs[rows, place], rows[sample.rated[rows] == place]
    weights = sample.weight[own]
    return {
        "drawn": int((sample.drawn[rows] == place).sum()),
        "share_before": _mean(probs[before]),
        "share_now": _mean(probs[~before]),
        "expected_quality": _mean(beliefs.quality[rows, place]),
        "deviation": _mean(beliefs.deviation[rows, place]),
        "penalty_before": _mean(sample.penalties[rows[before], place]),
        "penalty_now": _mean(sample.penalties[rows[~before], place]),
        "rated": len(own),
        "quality": float(np.average(sample.quality[own], weights=weights)) if len(own) else None,
    }


def _over_time(rows: Rows, sample: Sample) -> list[dict[str, Any]]:
    """Return how often each arm was drawn for a kind in equal stretches of the sample's time."""
    edges, bins = sample.time_bins(_BINS)
    counts = np.zeros((_BINS, len(sample.arms)), dtype=np.intp)
    np.add.at(counts, (bins[rows], sample.drawn[rows]), 1)
    return [
        {
            "begin": float(edges[place]),
            "end": float(edges[place + 1]),
            "arms": {name: int(count) for name, count in zip(sample.arms, counts[place], strict=True) if count},
        }
        for place in range(_BINS)
    ]


def _level(tag: Tag, place: int) -> str:
    if place == tag.rest:
        return _OTHER
    return tag.levels[place] if tag.levels else f"column {place}"


def _none() -> Labels:
    return np.zeros(0, dtype=np.intp)


def _column_means(values: Floats) -> Floats:
    """Return the mean of each column (n, A) over what is known, (A,); NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
