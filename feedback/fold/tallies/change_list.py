"""The latest changes by operators, routers and learners, as the log tells of them: what a time axis is marked with."""

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.types import Control, ControlKind

_KEPT: Final = 100
_TOGETHER_S: Final = 3_600.0  # erasures, and turns of feedback, no further apart are one entry
_MOST_KEYS: Final = 8  # of a configuration, that an entry names
_COUNTED: Final = frozenset({ControlKind.ERASURE, ControlKind.QUARANTINE})
_TOURNAMENT: Final = ("step", "reason", "by", "champion", "challenger", "share")


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One change; what `detail` holds depends on the kind, and it holds no evidence and no decision's id."""

    at: float  # seconds since the epoch
    kind: ControlKind
    detail: Mapping[str, Any]


class ChangeList:
    """The last hundred changes, in log order."""

    def __init__(self) -> None:
        """Start with none."""
        self._entries: deque[RecordedChange] = deque(maxlen=_KEPT)
        self._prices: dict[str, list[Any]] = {}  # in force, by arm
        self._digests: dict[str, str] = {}  # of the configuration in force, by its top key

    def __iter__(self) -> Iterator[RecordedChange]:
        """Iterate over the changes in log order."""
        return iter(self._entries)

    def add(self, control: Control) -> None:
        """Take the next event."""
        if control.kind in _COUNTED:
            self._count(control)
            return
        self._entries.append(RecordedChange(control.at, control.kind, self._told(control)))

    def to_json(self) -> dict[str, Any]:
        """Return them as JSON has it."""
        entries = [[change.at, change.kind.value, dict(change.detail)] for change in self._entries]
        return {"entries": entries, "prices": self._prices, "digests": self._digests}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ChangeList":
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError where it is damaged."""
        changes = cls()
        for at, kind, detail in values["entries"]:
            changes._entries.append(RecordedChange(float(at), ControlKind(kind), dict(detail)))
        changes._prices = {str(arm): list(prices) for arm, prices in values["prices"].items()}
        changes._digests = {str(key): str(digest) for key, digest in values["digests"].items()}
        return changes

    def _count(self, control: Control) -> None:
        """Count an erasure, or statements quarantined or released, with those shortly before it."""
        last = self._entries[-1] if self._entries else None
        count = 1 if control.kind is ControlKind.ERASURE else len(control.detail.get("feedback", ()))
        if last is not None and last.kind is control.kind and control.at - last.detail["since"] <= _TOGETHER_S:
            self._entries[-1] = RecordedChange(
                control.at, last.kind, {**last.detail, "count": last.detail["count"] + count}
            )
            return
        self._entries.append(RecordedChange(control.at, control.kind, {"count": count, "since": control.at}))

    def _told(self, control: Control) -> dict[str, Any]:
        """Return of an event's detail what a reader wants of it, with what was in force before."""
        detail = control.detail
        match control.kind:
            case ControlKind.TOURNAMENT:
                return {name: detail[name] for name in _TOURNAMENT if name in detail}
            case ControlKind.CONFIGURATION:
                return self._configuration(detail)
            case ControlKind.ARM_ADDED | ControlKind.PRICE_CHANGED:
                arm = str(detail.get("arm"))
                before, prices = self._prices.get(arm), [detail.get(f"usd_per_mtok_{way}") for way in ("in", "out")]
                self._prices[arm] = prices
                told = {"arm": arm, "usd_per_mtok": prices, **_by(detail)}
                return told if before is None or before == prices else {**told, "before": before}
            case ControlKind.ARM_DROPPED:
                self._prices.pop(str(detail.get("arm")), None)
        return dict(detail)

    def _configuration(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """Return which keys of a configuration changed; at the very first, none."""
        given, digests = detail.get("changed"), {}
        for key, value in detail.items():
            if key not in ("changed", "by"):
                text = json.dumps(value, sort_keys=True, default=str)
                digests[key] = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        known, self._digests = self._digests, digests
        changed = given if isinstance(given, Mapping) else [key for key in digests if known.get(key) != digests[key]]
        keys = sorted(changed) if known else []
        return {"keys": keys[:_MOST_KEYS], "first": not known, **_by(detail)}


def _by(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {"by": detail["by"]} if detail.get("by") else {}
