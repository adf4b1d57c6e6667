"""Statements that are to be taken back, but cannot be looked up now."""

from dataclasses import dataclass, replace

import msgpack

_KIND = "retraction"


@dataclass(frozen=True, slots=True)
class PendingRetraction:
    """What is taken back once it is found."""

    feedback_id: str  # ours, or with `source` the sender's own
    tenant: str
    source: str | None
    said_at: float  # seconds since the epoch; what was said later stands
    held_at: float | None = None  # since when it could have been found

    def pack(self) -> bytes:
        """Return it as bytes."""
        fields = (_KIND, self.feedback_id, self.tenant, self.source, self.said_at, self.held_at)
        packed: bytes = msgpack.packb(fields)
        return packed

    def held_since(self, now: float) -> "PendingRetraction":
        """Return it as one that could have been found since `now`, if not since earlier."""
        return self if self.held_at is not None else replace(self, held_at=now)


def unpack_retraction(data: bytes) -> PendingRetraction | None:
    """Return what `PendingRetraction.pack` packed, None for anything else."""
    try:
        kind, *fields = msgpack.unpackb(data)
        return PendingRetraction(*fields) if kind == _KIND else None
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
