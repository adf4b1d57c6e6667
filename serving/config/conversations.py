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

    lifetime_s: Annotated[float, Field(ge=1)] = 3600.0  # after the call
    entries: Annotated[int, Field(ge=100)] = 100_000  # of each process; in Redis only the lifetime bounds them
    # Their value names the task; empty: it is a message of a person's.
    task_headers: list[str] = Field(default_factory=lambda: ["x-highwayman-task", "x-openwebui-task"])
    task_prompts: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default_factory=list, description="regular expressions for how such prompts begin, beside the known ones"
    )

    def client_tasks(self) -> ClientTasks:
        """Return what recognises a client's own calls."""
        return client_tasks(self.task_headers, self.task_prompts)
