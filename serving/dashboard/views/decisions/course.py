"""How a call went: its attempts one after another, and the answers that a cascade looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.env.types import Outcome
from highwayman.env.upstream.answers.endings import Ending

_ENDINGS: Final[Mapping[str, tuple[str, str]]] = {  # in words, and how good that is
    Ending.ANSWERED: ("answered", "good"),
    Ending.CALLERS_FAULT: ("refused the request itself", "warn"),
    Ending.ARMS_FAULT: ("failed", "bad"),
    Ending.WINDOW_TOO_SMALL: ("its window was too small", "warn"),
    Ending.TOOLS_REFUSED: ("took no tools", "warn"),
    Ending.BROKE_OFF: ("broke off", "bad"),
    Ending.OVERTAKEN: ("another was faster", ""),
    Ending.CLIENT_LEFT: ("the caller left", "warn"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt; times are shares of all of them together, as nothing is on the log of what lies between two."""

    arm: str
    endpoint: str
    seconds: float
    said: str
    tone: str  # good, warn, bad or nothing
    begin: float
    width: float
    first_word: float | None = None  # where the answer began; None: not in this one


def steps(outcome: Outcome | None) -> Sequence[Step]:
    """Return the attempts of a call in their order, none where the log has none."""
    tried = () if outcome is None else outcome.tried
    whole = sum(attempt.seconds for attempt in tried) or 1.0
    shown, begin = [], 0.0
    for place, attempt in enumerate(tried):
        said, tone = _ENDINGS.get(attempt.ending, (attempt.ending.replace("_", " "), ""))
        served = place == len(tried) - 1 and outcome is not None and not outcome.stages
        ttft_s = outcome.ttft_s if served and outcome is not None else None
        shown.append(
            Step(
                attempt.arm,
                attempt.endpoint,
                attempt.seconds,
                f"{said}: {attempt.why}" if attempt.why else said,
                tone,
                begin / whole,
                attempt.seconds / whole,
                None if ttft_s is None or ttft_s > attempt.seconds else (begin + ttft_s) / whole,
            )
        )
        begin += attempt.seconds
    return shown
