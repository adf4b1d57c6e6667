"""What a request goes on with, as the router needs it: it knows no ids and no history."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Continuation:
    """What is known of the conversation that a request belongs to."""

    reads_tool_result: bool = False  # a tool's result is in it that no answer has read yet
    caller: str | None = None  # the arm that called that tool, where it is known
    holder: str | None = None  # the arm that answered the turn before, where that is known and a switch has a price
    cached_share: float = 0.0  # of the prompt, that the holder has read
    affinity: str = ""  # what names the conversation, the same in all its turns; empty: it has no name
    is_client_task: bool = (
        False  # it only speaks of the conversation: a client's own call for a title, tags, follow-ups
    )


NEW_CONVERSATION = Continuation()
