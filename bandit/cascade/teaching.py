"""Whom feedback on an answer teaches what, where answers were looked at: a function of what stands on the log."""

from collections.abc import Sequence

from highwayman.bandit.cascade.gates import Gates
from highwayman.env.types import CascadeStage

_MOST_INVERSE = 10.0  # that a kept answer stands for


def first_arms_outcome(stages: Sequence[CascadeStage], quality: float) -> tuple[str, float]:
    """Return the arm of the first answer that was looked at, and what feedback on the served answer says of its own.

    Feedback tells of a first answer only where it was kept, so an arm would be taught by its good-looking answers
    alone. Of one that was kept with probability k the doubly robust pseudo-outcome g + (r - g) / k is taught, of one
    that was rejected g, both with the weight of the feedback (Robins, Rotnitzky & Zhao, "Estimation of Regression
    Coefficients When Some Regressors Are Not Always Observed", JASA 1994): its mean is right if the gate's g is, or if
    k is, and k is known. 1 / k stops at 10, for the noise's sake: of answers that were kept more rarely, part of the
    gate's error stays. Routing breaks that it be chance who gives feedback: happy and unhappy users may differ in it.
    """
    first = stages[0]
    if first.went_on:
        return first.arm, first.good
    kept = max(1.0 - first.goes_on, 1.0 / _MOST_INVERSE)
    return first.arm, first.good + (quality - first.good) / kept


def teach_gates(
    gates: Gates,
    stages: Sequence[CascadeStage],
    served: str,
    *,
    weight: float,
    weighted: float,
    squared: float,
    counts: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Teach what feedback on the answer of `served` changes of sums of w, w*r and w*r**2, r its quality.

    If it was looked at, that teaches the gate of it; and if another was rejected before, what is made of that one's
    query. It counts as `Gates.weigh` says.
    """
    fades, share = counts
    sums = {"weight": fades * weight, "weighted": fades * weighted, "squared": fades * squared}
    last = stages[-1]
    if not last.went_on and last.arm == served:
        gates.learn(served, last.signals, **sums, share=share)
    rejected = [stage for stage in stages if stage.went_on]
    if rejected and rejected[-1].next_arm == served:
        own = {name: share * value for name, value in sums.items()}
        gates.learn_next(served, rejected[-1].signals, rejected[-1].good, **own)
