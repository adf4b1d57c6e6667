"""What another router decided, as a decision here."""

import numpy as np
import pytest

from highwayman.env.types import NO_EXPLORATION, ONLY_DRAWN, TOLD, Context, Decision
from highwayman.serving.completions.delegated.told import ToldChoice, as_drawn

ARMS = ("a", "b", "c")


def decided(arms: tuple[str, ...] = ARMS) -> Decision:
    context = Context(np.ones(1), "f", 10, frozenset({NO_EXPLORATION}))
    probs = np.eye(len(arms))[0]
    return Decision("d", "default", 1.0, context, arms, np.zeros(len(arms)), probs, 0, 1.0, "HierTS", 3, "auto")


def test_probabilities_of_all_candidates_stand_as_they_were_told() -> None:
    drawn = as_drawn(decided(), ToldChoice("b", 0.2, {"a": 0.8, "b": 0.2}))
    assert drawn is not None
    assert (drawn.arm, drawn.propensity, drawn.policy, drawn.context.flags) == ("b", 0.2, TOLD, frozenset())
    assert drawn.probs.tolist() == [0.8, 0.2, 0.0]


@pytest.mark.parametrize("probabilities", [None, {"b": 0.2, "elsewhere": 0.8}])
def test_where_only_the_propensity_is_known_the_decision_says_so(probabilities: dict[str, float] | None) -> None:
    drawn = as_drawn(decided(), ToldChoice("b", 0.2, probabilities))
    assert drawn is not None
    assert drawn.context.flags == {ONLY_DRAWN}
    assert drawn.probs.tolist() == pytest.approx([0.4, 0.2, 0.4])


def test_an_arm_that_is_no_candidate_here_was_not_drawn_here() -> None:
    assert as_drawn(decided(("a",)), ToldChoice("b", 0.2)) is None
