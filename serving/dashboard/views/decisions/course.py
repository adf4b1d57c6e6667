"""How a call went: its attempts one after another, and the answers that a cascade looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.env.types import Attempt, Outcome
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
_ALL_AT_ONCE: Final = 0.97  # of an attempt's time: an answer that begins later came whole


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
    if outcome is None:
        return ()
    whole, shown, begin = sum(attempt.seconds for attempt in outcome.tried) or 1.0, [], 0.0
    for attempt in outcome.tried:
        said, tone = _ENDINGS.get(attempt.ending, (attempt.ending.replace("_", " "), ""))
        first_s = _first_word_s(outcome, attempt)
        step = Step(
            attempt.arm,
            attempt.endpoint,
            attempt.seconds,
            f"{said}: {attempt.why}" if attempt.why else said,
            tone,
            begin / whole,
            attempt.seconds / whole,
            None if first_s is None else (begin + first_s) / whole,
        )
        shown.append(step)
        begin += attempt.seconds
    return shown


def _first_word_s(outcome: Outcome, attempt: Attempt) -> float | None:
    """Return after how many seconds an attempt's answer began, None where it is not known, or it came whole."""
    if attempt is not outcome.tried[-1] or outcome.stages or outcome.ttft_s is None:
        return None
    return outcome.ttft_s if outcome.ttft_s <= _ALL_AT_ONCE * attempt.seconds else None
