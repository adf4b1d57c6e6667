"""Which flags of a context say that a part of it is missing; the others tell of the request, or of the draw."""

from collections.abc import Iterable
from typing import Final

from highwayman.env.data_class import TELLING
from highwayman.env.types import (
    BASELINE_FLAG,
    CLIENT_TASK,
    CONTROL,
    DELEGATED,
    NO_EXPLORATION,
    ONLY_DRAWN,
    RESTING_FLAG,
    SCRIPT_FLAG,
    SIMILARITY_FLAG,
    STORED_BY_FLAG,
    STORED_FROM_FLAG,
    TOOLS_DROPPED,
)

_OF_WHOLE: Final = frozenset({NO_EXPLORATION, CLIENT_TASK, TOOLS_DROPPED, CONTROL, DELEGATED, ONLY_DRAWN})
# What begins other such flags.
_TELLING = (
    SCRIPT_FLAG,
    RESTING_FLAG,
    BASELINE_FLAG,
    SIMILARITY_FLAG,
    STORED_BY_FLAG,
    STORED_FROM_FLAG,
    *TELLING,
)


def what_is_missing(flags: Iterable[str]) -> list[str]:
    """Return the flags of parts that are missing, such as `encoder_timeout`."""
    return [flag for flag in flags if flag not in _OF_WHOLE and not flag.startswith(_TELLING)]
