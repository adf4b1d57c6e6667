"""The part of the configuration that says what is remembered of conversations."""

from typing import Annotated

from pydantic import Field

from highwayman.serving.config.strict import Strict


class ConversationsConfig(Strict):
    """How long a router remembers who called a tool."""

    lifetime_s: Annotated[float, Field(ge=1)] = 3600.0  # after the call
    entries: Annotated[int, Field(ge=100)] = 100_000  # of each process; in Redis only the lifetime bounds them
