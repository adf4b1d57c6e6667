"""What was said of an answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feedback:
    """One statement about one decision. `value` None retracts the same person's and source's earlier one on the metric.

    `at`, the time it was accepted, is its revision: of two statements the later one counts, in whichever order they
    reach the log. What a calibration, an episode's share or a cap on influence made of it is settled when it is
    accepted, and stands here as `quality` and `weight`.
    """

    id: str  # of the statement; sent again, it is the same. Before a dot: the name by which its decisions are found
    decision_id: str  # what it is about
    at: float  # seconds since the epoch
    source: str  # who or what said it: user, tool, grader, judge, or an adapter's name
    metric: str  # such as thumbs
    value: float | None  # what was said, on the metric's own scale; None: taken back
    weight: float = 1.0  # how much it counts beside other statements
    user: str = ""  # pseudonym of the person who gave it
    key: str = ""  # id of the API key it came with
    text: str = ""  # a comment, a choice's name or a better answer, in the person's words
    compared_arm: str = ""  # of a preference: the arm whose answer it was compared with
    quality: float | None = None  # what it says about quality, in [0, 1], where a calibration corrected `value`
    quarantined: bool = False  # accepted from a key in quarantine: counts once that is released
