"""Why an arm was taken, as sentences made from numbers. Nothing here is guessed: what is not known is not said."""

import math
from dataclasses import dataclass
from typing import Final

from highwayman.env.types import CONTROL, ONLY_DRAWN, Decision, Mode, Outcome, Status
from highwayman.feedback.fold.tallies.control_tally import JUDGE

_WITHOUT_COMPARISON: Final = {
    Mode.FORCED: "The caller named {arm}; no policy was asked.",
    Mode.STICKY: "{arm} called the tool whose result this is, and so read it.",
    Mode.SHADOW: "An unseen second answer, to be compared with the one that was served: {arm} was drawn with "
    "probability {probability}.",
}

_JUDGES_CALL: Final = "{arm} was asked to judge an answer; no policy was asked."
_NTH: Final = {2: "2nd", 3: "3rd"}
_IN_SHORT: Final = {
    Mode.FORCED: "named",
    Mode.STICKY: "reads its tool's result",
    Mode.SHADOW: "unseen second answer",
}


@dataclass(frozen=True, slots=True)
class ArmNumbers:
    """What is known of one candidate; NaN where the policy says nothing of it."""

    name: str
    probability: float
    quality: float  # expected
    deviation: float  # of that belief
    penalty: float  # in quality units

    @property
    def utility(self) -> float:
        """What it is expected to bring: quality minus penalty."""
        return self.quality - self.penalty

    def __str__(self) -> str:
        return (
            f"{self.name} with {self.utility:.2f} ({self.quality:.2f} ± {self.deviation:.2f} less {self.penalty:.2g})"
        )


def why(decision: Decision, arms: list[ArmNumbers], outcome: Outcome | None = None) -> str:
    """Return why the arm of a decision was taken; `arms` are its candidates, in the decision's order."""
    return " ".join(filter(None, (_choice(decision, arms), _failover(decision, outcome))))


def why_in_short(decision: Decision, outcome: Outcome | None = None) -> str:
    """Return why the arm of a decision was taken in a few words, by the log alone."""
    told = "judges an answer" if decision.objective == JUDGE else _IN_SHORT.get(decision.mode)
    if told is None and CONTROL in decision.context.flags:
        told = "control slice"
    if told is None and ONLY_DRAWN in decision.context.flags:
        told = "told by another router"
    if told is None and len(decision.arms) == 1:
        told = "only candidate"
    if told is None:
        place = 1 + int((decision.probs > decision.propensity).sum())
        nth = "" if place == 1 else f"{_NTH.get(place, f'{place}th')} "
        told = f"{nth}most probable of {len(decision.arms)}"
    if outcome is None or outcome.arm == decision.arm or outcome.status is Status.LOST:
        return told
    looked_at = any(stage.arm == decision.arm for stage in outcome.stages)
    return f"{told}; {'did not do' if looked_at else 'failed'}, {outcome.arm} answered"


def _choice(decision: Decision, arms: list[ArmNumbers]) -> str:
    taken = arms[decision.action]
    told = _JUDGES_CALL if decision.objective == JUDGE else _WITHOUT_COMPARISON.get(decision.mode)
    if told is None and CONTROL in decision.context.flags:
        told = "The control slice took the baseline's arm, {arm}, to measure what routing saves."
    if told is None and len(arms) == 1:
        told = "{arm} was the only arm that could answer."
    if told is not None:
        return told.format(arm=taken.name, probability=f"{taken.probability:.3g}")
    if math.isnan(taken.utility):
        return f"{_drawn(taken)}; the policy does not say what quality it expects."
    return _compared(taken, sorted(arms, key=lambda arm: arm.utility, reverse=True))


def _compared(taken: ArmNumbers, ranked: list[ArmNumbers]) -> str:
    best, second = ranked[0], ranked[1]
    if taken is best:
        return f"{taken} looks best, before {second}. {_drawn(taken)}."
    return (
        f"{best} looks better than {taken}, by {best.utility - taken.utility:.2f}. {_drawn(taken)}: arms are tried out "
        f"as long as the policy is not sure of them, and by the exploration floor."
    )


def _drawn(arm: ArmNumbers) -> str:
    return f"{arm.name} was drawn with probability {arm.probability:.3g}"


def _failover(decision: Decision, outcome: Outcome | None) -> str:
    if outcome is None or outcome.arm == decision.arm or outcome.status is Status.LOST:
        return ""
    if any(stage.arm == decision.arm for stage in outcome.stages):
        return f"Its answer was looked at and did not do; {outcome.arm} answered."
    return f"It did not answer; {outcome.arm} did."
