"""What a judge is handed, and what it gives back: a verdict, a preference, or the reason why there is neither."""

from dataclasses import dataclass, field
from typing import Literal

from highwayman.env.data_class import Clearance
from highwayman.env.types import Arm, Messages, Usage

NoVerdictReason = Literal[
    "junk",  # it answered with something that is no verdict
    "refused",  # it would not say
    "timeout",
    "failed",
    "suspect",  # the answer speaks to its judge
    "data_class",  # no judge may have what was asked, or answered
    "own_answer",  # there is no judge but the model that gave it
    "budget",
    "not_sampled",
    "queue_full",
]
ScoreMethod = Literal["logprobs", "text", "same"]  # same: two answers that are alike, about which nobody was asked
NO_USAGE = Usage(0, 0)


@dataclass(frozen=True, slots=True)
class JudgeInput:
    """An answer to be judged. What people wrote stays out of its repr, and so out of logs and tracebacks."""

    decision_id: str
    tenant: str
    arm: Arm  # who gave the answer
    messages: Messages = field(repr=False)  # the conversation, as it came
    answer: str = field(repr=False)
    reference: str | None = field(default=None, repr=False)  # a good answer, where there is one
    kind: str = ""  # of task; may have a rubric of its own
    clearance: Clearance | None = None  # who may read all this; None: anybody, as nobody has rules


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """What a judge found."""

    quality: float  # in [0, 1]
    stderr: float | None  # how far the judge itself is torn, in quality; None where it was read from words
    how: ScoreMethod
    arm: str  # who judged
    usage: Usage = NO_USAGE
    cost_usd: float | None = None  # None: the judge has no price
    latency_s: float = 0.0
    mass: float | None = None  # probability that lay on scores; None where it was read from words
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two answers is better, as seen in both orders."""

    share: float  # of the preference that the served answer got, in [0, 1]
    position_bias: float  # what the first place got beyond its half, in [-1, 1], whichever answer stood there
    consistent: bool  # whether both orders preferred the same answer
    how: ScoreMethod
    arm: str  # who judged; empty if nobody had to
    usage: Usage = NO_USAGE
    cost_usd: float | None = None
    latency_s: float = 0.0
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """No verdict, which says nothing about the answer: it is left out, and never counts as zero."""

    reason: NoVerdictReason
    cost_usd: float | None = 0.0  # as metered; None: the judge has no price
    arm: str = ""  # who was asked; empty: nobody
    usage: Usage = NO_USAGE
    latency_s: float = 0.0
