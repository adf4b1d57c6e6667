"""Which decisions are asked for, read from an address's query: every part known, every mistake named."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from highwayman.env.encoder.features.tags import Tag, tag_places
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Decision, Mode, Status
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.record import Record
from highwayman.serving.http.validation import BadRequest

_MOST = 100
_PARTS = ("limit", "after", "arm", "mode", "status", "since", "until", "tag", "feedback", "tenant")
_FIRST_YEAR, _LAST_YEAR = -62_135_596_800.0, 253_402_300_800.0  # begin and end of what a calendar tells, 1 to 9999
_PENDING = "under_way"  # beside the statuses of outcomes


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """What a decision must be to be shown; None: whatever it is."""

    tenant: str
    limit: int = 20
    after: EventId | None = None  # the place on the log from which it is read backwards; None: its end
    arm: str | None = None  # intended, or who served
    mode: Mode | None = None
    status: str | None = None
    since: float = -math.inf  # seconds since the epoch
    until: float = math.inf
    tag: tuple[str, int | None] | None = None  # its name, and the column of the level
    feedback: bool | None = None  # whether there is some

    def may_take(self, decision: Decision) -> bool:
        """Return whether a decision may be shown, as far as it can say itself."""
        if decision.tenant != self.tenant or not self.since <= decision.at <= self.until:
            return False
        if self.mode not in (None, decision.mode):
            return False
        if self.tag is None:
            return True
        place = tag_places(decision.context).get(self.tag[0])
        return place is not None and self.tag[1] in (None, place)

    def takes(self, record: Record) -> bool:
        """Return whether a decision that may be shown is, by what came of it."""
        if record.decision is None or record.erased_id is not None:
            return False
        status = _PENDING if record.outcome is None else record.outcome.status.value
        return (
            self.arm in (None, record.decision.arm, record.served_arm())
            and self.status in (None, status)
            and self.feedback in (None, bool(record.feedback))
        )


def parse_filter(parts: Mapping[str, str], tenant: str, tags: Mapping[str, Tag]) -> DecisionFilter:
    """Return what an address's query asks for of a tenant's decisions. Raises BadRequest naming what is wrong."""
    unknown = [name for name in parts if name not in _PARTS]
    if unknown:
        hint = did_you_mean(unknown[0], _PARTS)
        raise BadRequest(f"{unknown[0]!r} filters nothing{hint}; there are {', '.join(_PARTS)}.", param=unknown[0])
    return DecisionFilter(
        tenant=tenant,
        limit=parse_limit(parts.get("limit", "20")),
        after=_place(parts["after"]) if "after" in parts else None,
        arm=parts.get("arm"),
        mode=Mode(_one_of(parts, "mode", tuple(Mode))) if "mode" in parts else None,
        status=_one_of(parts, "status", (*Status, _PENDING)) if "status" in parts else None,
        since=parse_moment("since", parts["since"]) if "since" in parts else -math.inf,
        until=parse_moment("until", parts["until"]) if "until" in parts else math.inf,
        tag=_tag(parts["tag"], tags) if "tag" in parts else None,
        feedback=_one_of(parts, "feedback", ("true", "false")) == "true" if "feedback" in parts else None,
    )


def parse_limit(text: str, *, most: int = _MOST) -> int:
    """Return how many are asked for. Raises BadRequest."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise BadRequest(f"limit: must be a whole number from 1 to {most}, got {text[:20]!r}.", param="limit")
    return int(text)


def _place(text: str) -> EventId:
    try:
        milliseconds, sequence = sort_key(text[:40])
    except ValueError:
        raise BadRequest("after: must be what `next` of the page before says.", param="after") from None
    return f"{milliseconds}-{sequence}"


def _one_of(parts: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = parts[name]
    if value not in known:
        raise BadRequest(f"{name}: must be one of {', '.join(known)}, got {value[:40]!r}.", param=name)
    return value


def parse_moment(name: str, text: str) -> float:
    """Return a moment in seconds since the epoch, given so or as ISO 8601; without a zone, of UTC."""
    try:
        at = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadRequest(
                f"{name}: must be seconds since 1970, or a time such as 2026-11-30T12:00:00Z, got {text[:40]!r}.",
                param=name,
            ) from None
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if not _FIRST_YEAR <= at < _LAST_YEAR:
        raise BadRequest(f"{name}: must be a time, in seconds and not in milliseconds, got {text[:40]!r}.", param=name)
    return at


def _tag(text: str, tags: Mapping[str, Tag]) -> tuple[str, int | None]:
    """Return the tag of `name`, `name:level` or `name:column`, as levels that are not declared are known by column."""
    name, _, level = text.partition(":")
    if name not in tags:
        raise BadRequest(
            f"tag: {name[:40]!r} is not declared under `context`; there are {', '.join(tags) or 'none'}.",
            param="tag",
        )
    levels = tags[name].levels
    if not level:
        return name, None
    if level in levels:
        return name, levels.index(level)
    if level.isascii() and level.isdigit():
        return name, int(level[:9])
    raise BadRequest(
        f"tag: {name} has no level {level[:40]!r}; there are {', '.join(levels)}, or columns.", param="tag"
    )
