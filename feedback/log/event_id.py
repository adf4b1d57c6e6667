"""Ids of the log's events, and their order."""

from functools import lru_cache

EventId = str  # a Redis stream id, "milliseconds-sequence"

START: EventId = "0-0"


@lru_cache(maxsize=1_024)  # some 300 bytes each; an id is asked for when its event is read, and little later
def sort_key(event_id: EventId) -> tuple[int, int]:
    """Return the id as numbers, which sort in log order."""
    milliseconds, _, sequence = event_id.partition("-")
    return int(milliseconds), int(sequence)


def milliseconds_of(event_id: EventId) -> int:
    """Return when Redis wrote the event, in milliseconds since the epoch."""
    return sort_key(event_id)[0]


def previous_id(event_id: EventId) -> EventId:
    """Return the largest id smaller than this one."""
    milliseconds, sequence = sort_key(event_id)
    return f"{milliseconds}-{sequence - 1}" if sequence else f"{milliseconds - 1}-{2**64 - 1}"
