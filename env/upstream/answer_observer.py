"""Who hears what answers tell of arms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from highwayman.env.types import Arm


def _ignored(*_: Any) -> None:
    pass


@dataclass(frozen=True, slots=True)
class AnswerObserver:
    """What is called with what a server's answer says of its arm; nothing, where nobody listens."""

    on_answered: Callable[[Arm, int], None] = _ignored  # it has begun to answer a request of about so many tokens
    # It refused a request as too long: its window, if it named it, and about what the request needed, in tokens.
    on_window_too_small: Callable[[Arm, int | None, int], None] = _ignored
    on_tools_refused: Callable[[Arm], None] = _ignored  # its server says that it takes no tools


NO_OBSERVER = AnswerObserver()
