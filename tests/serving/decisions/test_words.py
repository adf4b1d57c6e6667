import math
from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.types import CONTROL, CascadeStage, Context, Decision, Mode, Outcome, Status
from highwayman.serving.decisions.words import ArmNumbers, why, why_in_short

NAN = math.nan
LARGE, SMALL = ArmNumbers("large", 0.91, 0.82, 0.05, 0.03), ArmNumbers("small", 0.09, 0.70, 0.10, 0.01)


def decided(action: int, *, mode: Mode = Mode.ROUTE, flags: frozenset[str] = frozenset()) -> Decision:
    context = Context(np.ones(1), "f", 5, flags)
    probs = np.array([0.91, 0.09])
    return Decision("d", "default", 0.0, context, ("large", "small"), np.zeros(2), probs, action, probs[action], "p", 1,
                    "auto", mode)  # fmt: skip


def test_the_arm_that_looks_best_is_told_with_the_next_one() -> None:
    assert why(decided(0), [LARGE, SMALL]) == (
        "large with 0.79 (0.82 ± 0.05 less 0.03) looks best, before small with 0.69 (0.70 ± 0.10 less 0.01). "
        "large was drawn with probability 0.91."
    )


def test_an_arm_that_was_tried_out_is_told_with_what_looked_better() -> None:
    assert why(decided(1), [LARGE, SMALL]) == (
        "large with 0.79 (0.82 ± 0.05 less 0.03) looks better than small with 0.69 (0.70 ± 0.10 less 0.01), by 0.10. "
        "small was drawn with probability 0.09: arms are tried out as long as the policy is not sure of them, and by "
        "the exploration floor."
    )


@pytest.mark.parametrize(
    ("mode", "flags", "words"),
    [
        (Mode.FORCED, frozenset(), "The caller named large; no policy was asked."),
        (Mode.STICKY, frozenset(), "large called the tool whose result this is, and so read it."),
        (Mode.SHADOW, frozenset(), "compared with the one that was served: large was drawn with probability 0.91."),
        (Mode.ROUTE, frozenset({CONTROL}), "The control slice took the baseline's arm, large,"),
    ],
)
def test_what_no_policy_drew_is_not_explained_by_quality(mode: Mode, flags: frozenset[str], words: str) -> None:
    said = why(decided(0, mode=mode, flags=flags), [LARGE, SMALL])
    assert words in said
    assert "±" not in said


def test_where_the_policy_says_nothing_of_quality_only_the_probability_is_told() -> None:
    silent = [ArmNumbers("large", 0.91, NAN, NAN, 0.0), ArmNumbers("small", 0.09, NAN, NAN, 0.0)]
    assert why(decided(1), silent) == (
        "small was drawn with probability 0.09; the policy does not say what quality it expects."
    )


def test_the_only_candidate_needs_no_comparison() -> None:
    alone = Decision("d", "default", 0.0, Context(np.ones(1), "f", 5), ("large",), np.zeros(1), np.ones(1), 0, 1.0, "p",
                     1, "auto")  # fmt: skip
    assert why(alone, [LARGE]) == "large was the only arm that could answer."


def test_who_answered_in_its_place_is_told() -> None:
    failed_over = Outcome("d", 1.0, "small", Status.OK)
    assert why(decided(0), [LARGE, SMALL], failed_over).endswith("It did not answer; small did.")
    stage = CascadeStage("large", {}, 0.2, 0.9, True, "small")
    went_on = Outcome("d", 1.0, "small", Status.OK, stages=(stage,))
    assert why(decided(0), [LARGE, SMALL], went_on).endswith("Its answer was looked at and did not do; small answered.")
    assert "answered" not in why(decided(0), [LARGE, SMALL], Outcome("d", 1.0, "small", Status.LOST))


def test_in_short_a_draw_is_told_by_its_place_among_the_probabilities_and_by_who_answered() -> None:
    outcome = Outcome("d", 1.0, "small", Status.OK)
    assert why_in_short(decided(0)) == "most probable of 2"
    assert why_in_short(decided(1)) == "2nd most probable of 2"
    assert why_in_short(decided(0), outcome) == "most probable of 2; failed, small answered"
    assert why_in_short(decided(0, flags=frozenset({CONTROL}))) == "control slice"
    assert why_in_short(decided(0, mode=Mode.STICKY)) == "reads its tool's result"


def test_a_judges_call_is_told_to_be_one() -> None:
    judging = replace(decided(0, mode=Mode.FORCED), objective="judge")
    assert why_in_short(judging) == "judges an answer"
    assert why(judging, [LARGE, SMALL]) == "large was asked to judge an answer; no policy was asked."
