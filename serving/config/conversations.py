"""The part of the configuration that says what is known of conversations."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from highwayman.serving.config.strict import Strict
from highwayman.serving.http.client_tasks import ClientTasks, client_tasks


def _pattern(text: str) -> str:
    """Return `text`. Raises ValueError where it is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return text


class ConversationsConfig(Strict):
    """How long a router remembers who called a tool, and which calls are a chat client's own."""

    lifetime_s: Annotated[float, Field(ge=1)] = Field(
        default=3600.0, description="Seconds after a call for which it is known who called a tool."
    )
    entries: Annotated[int, Field(ge=100)] = Field(
        default=100_000, description="Conversations that each process knows; in Redis only the lifetime bounds them."
    )
    task_headers: list[str] = Field(
        default_factory=lambda: ["x-highwayman-task", "x-openwebui-task"],
        description="Headers whose value names the task of a chat client's own call; empty: a person's message.",
    )
    task_prompts: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default_factory=list, description="regular expressions for how such prompts begin, beside the known ones"
    )

    def client_tasks(self) -> ClientTasks:
        """Return what recognises a client's own calls."""
        return client_tasks(self.task_headers, self.task_prompts)
