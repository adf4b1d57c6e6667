"""What moved a kind's traffic from one arm to another, as a sentence made from numbers and events of the log.

Nothing here is guessed: what went on meanwhile is told, not called the cause.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.types import ControlKind
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.serving.insight.change_words import change_view, is_told_twice
from highwayman.serving.insight.kinds.sample import Sample

_LEAST: Final = 10  # queries in either half
_MOVED: Final = 0.1  # share of the draws
_DEARER: Final = 0.02  # quality units of penalty
_NEAR: Final = 0.2  # of the time that is looked at: what lies further from the movement is not in its sentence
_TOLD: Final = 2  # events in the sentence
_EVERYBODYS: Final = frozenset({ControlKind.POLICY_PROMOTED, ControlKind.TOURNAMENT, ControlKind.ROLLBACK})

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Movement:
    """What became of a kind's traffic between the first half of the time and the second."""

    words: str
    to: str | None = None  # the arm that gained most; None: nothing moved
    away_from: str | None = None
    when: float | None = None  # the arm that gained reached half of its gain, seconds since the epoch
    events: Sequence[RecordedChange] = ()  # meanwhile, that are of these arms or of everybody

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        events = [change_view(change) for change in self.events]
        return {"words": self.words, "to": self.to, "from": self.away_from, "when": self.when, "events": events}


def movement(
    sample: Sample, rows: npt.NDArray[np.intp], changes: Iterable[RecordedChange], *, middle: float
) -> Movement:
    """Return what became of the traffic of a kind: the decisions `rows` of a sample, before and since `middle`."""
    at, probs = sample.at[rows], sample.probs[rows]
    before = at < middle
    if min(before.sum(), (~before).sum()) < _LEAST:
        return Movement("Too few queries of this kind to tell whether anything moved.")
    shares, now = probs[before].mean(axis=0), probs[~before].mean(axis=0)
    gained, lost = int((now - shares).argmax()), int((now - shares).argmin())
    if now[gained] - shares[gained] < _MOVED:
        top = int(now.argmax())
        return Movement(f"Nothing moved: {sample.arms[top]} had {shares[top]:.0%} of them and has {now[top]:.0%}.")
    when = _crossing(at, probs[:, gained], (shares[gained] + now[gained]) / 2)
    names = sample.arms[gained], sample.arms[lost]
    meanwhile = [change for change in changes if at[0] <= change.at <= at[-1] and _concerns(change, names)]
    facts = [
        f"{names[0]} went from {shares[gained]:.0%} to {now[gained]:.0%} of them, {names[1]} from {shares[lost]:.0%} "
        f"to {now[lost]:.0%}; half-way by {_moment(when)}.",
        *(_candidacy(sample, rows, place, before) for place in (gained, lost)),
        *(_penalty(sample, rows, place, before) for place in (gained, lost)),
        _ratings(sample, rows, (gained, lost)),
        *_told([change for change in meanwhile if abs(change.at - when) <= _NEAR * (at[-1] - at[0])], when),
    ]
    return Movement(" ".join(filter(None, facts)), *names, when, meanwhile)


def _concerns(change: RecordedChange, names: Sequence[str]) -> bool:
    detail = change.detail
    if is_told_twice(change) or detail.get("keys") == ["refused"]:
        return False
    is_news = change.kind is ControlKind.CONFIGURATION and not detail.get("first") and bool(detail.get("keys"))
    return change.kind in _EVERYBODYS or is_news or detail.get("arm") in names


def _crossing(at: np.ndarray[Any, Any], probs: np.ndarray[Any, Any], level: float) -> float:
    """Return when the running mean of an arm's probabilities first reached a level for good."""
    width = max(len(probs) // 8, 3)
    running = np.convolve(probs, np.full(width, 1 / width), mode="valid")
    below = np.flatnonzero(running < level)
    first = int(below[-1]) + 1 if len(below) else 0
    return float(at[min(first + width // 2, len(at) - 1)])


def _candidacy(sample: Sample, rows: npt.NDArray[np.intp], place: int, before: Bools) -> str:
    """Return since when an arm could be drawn, or could not any more; empty where that did not change."""
    candidate = ~np.isnan(sample.penalties[rows, place])
    then, since = candidate[before].mean(), candidate[~before].mean()
    if since - then > 0.5 * since and since > 0.5:
        return f"{sample.arms[place]} was first a candidate at {_moment(sample.at[rows][candidate.argmax()])}."
    if then - since > 0.5 * then and then > 0.5:
        last = len(candidate) - 1 - candidate[::-1].argmax()
        return f"{sample.arms[place]} was last a candidate at {_moment(sample.at[rows][last])}."
    return ""


def _penalty(sample: Sample, rows: npt.NDArray[np.intp], place: int, before: Bools) -> str:
    penalties = sample.penalties[rows, place]
    known = ~np.isnan(penalties)
    if not (known & before).any() or not (known & ~before).any():
        return ""
    then, now = penalties[known & before].mean(), penalties[known & ~before].mean()
    if abs(now - then) < _DEARER:
        return ""
    way = "rose" if now > then else "fell"
    return f"The penalty of {sample.arms[place]}, what its calls cost in quality, {way} from {then:.2f} to {now:.2f}."


def _ratings(sample: Sample, rows: npt.NDArray[np.intp], places: Sequence[int]) -> str:
    """Return what was said of two arms' answers to queries of the kind."""
    told = []
    for place in places:
        own = rows[sample.rated[rows] == place]
        if len(own):
            mean = float(np.average(sample.quality[own], weights=sample.weight[own]))
            answers = "rated answer" if len(own) == 1 else "rated answers"
            told.append(f"{len(own)} {answers} of {sample.arms[place]}: {mean:.2f} on average")
    return f"{'; '.join(told)}." if told else ""


def _told(events: Sequence[RecordedChange], when: float) -> list[str]:
    """Return the events nearest to the movement, in order of time, in a sentence each."""
    ranked = sorted(events, key=lambda change: abs(change.at - when))
    nearest = sorted(ranked[:_TOLD], key=lambda change: change.at)
    return [f"Meanwhile, at {_moment(change.at)}: {change_view(change)['words']}" for change in nearest]


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%b} {datetime.fromtimestamp(at, UTC):%d %H:%M}".replace(" 0", " ", 1)
