"""A slice of a tenth, whose baseline is arm a; the draw's propensities are halves."""

import itertools
from dataclasses import replace

import pytest

from highwayman.env.types import Control, ControlDraw, ControlKind, Decision, Mode, Outcome
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.tallies.control_tally import TenantControl
from highwayman.feedback.fold.tally import Tally
from tests.feedback.worlds import context, decision, fold, outcome, thumb


def drawn(name: str, *, arm: str = "a", control: bool = True, tenant: str = "default") -> Decision:
    flags = ControlDraw(0.1, 1.0 if arm == "a" else 0.0, is_control=control).flags
    made = decision(name, arm=arm, at=replace(context(), flags=flags))
    return replace(made, tenant=tenant)


def judged(name: str, *, usd: float, at: float | None = None) -> tuple[Decision, Outcome]:
    call = replace(decision(name, arms=("a",), mode=Mode.FORCED), objective="judge")
    return replace(call, at=call.at if at is None else at), outcome(name, cost_usd=usd)


def control(learner: Learner, tenant: str = "default") -> TenantControl:
    return learner.tally.control.of(tenant)


def test_a_request_counts_once_its_decision_and_its_outcome_are_known_whichever_comes_first() -> None:
    made, ended = drawn("d"), outcome("d", cost_usd=0.5)
    assert control(fold(made)).cost.contrast() is None
    ordered, turned = control(fold(made, ended)), control(fold(ended, made))
    assert ordered.cost == turned.cost
    assert ordered.cost.sums[0] == ordered.drawn == 1


def test_sums_do_not_depend_on_the_order_of_requests_and_what_is_said_of_them() -> None:
    events = [drawn("d"), outcome("d"), drawn("e", arm="b", control=False), outcome("e"), thumb("d", 1.0)]
    folded = [control(fold(*order)) for order in itertools.permutations(events)]
    for each in folded[1:]:
        assert each.cost.sums == pytest.approx(folded[0].cost.sums)
        assert each.quality.sums == pytest.approx(folded[0].quality.sums)


def test_a_thumb_that_is_flipped_or_withdrawn_counts_as_it_stands() -> None:
    request = [drawn("d"), outcome("d")]
    flipped, final = fold(*request, thumb("d", 1.0), thumb("d", 0.0)), fold(*request, thumb("d", 0.0))
    assert control(flipped).quality.sums == pytest.approx(control(final).quality.sums)
    withdrawn = control(fold(*request, thumb("d", 1.0), thumb("d", None)))
    assert withdrawn.quality.contrast() is None
    assert withdrawn.constants["a"].weight == 0.0


def test_nothing_is_left_of_a_request_that_is_erased() -> None:
    kept = [drawn("d", arm="b", control=False), outcome("d"), thumb("d", 1.0)]
    gone = [drawn("e"), outcome("e"), thumb("e", 0.0)]
    erased = fold(*kept, *gone, Control(1.0, ControlKind.ERASURE, {"decision": "e"}))
    assert erased.tally.control.distance(fold(*kept).tally.control) < 1e-12
    assert erased.tally.efficiency.distance(fold(*kept).tally.efficiency) < 1e-12


def test_requests_without_a_slice_are_in_no_sum() -> None:
    assert control(fold(decision("d"), outcome("d"))).cost.contrast() is None


def test_an_answer_without_a_price_is_told_apart_and_one_that_failed_cost_nothing() -> None:
    known = control(fold(drawn("d"), outcome("d", cost_usd=None)))
    assert (known.unpriced, known.cost.contrast()) == (1, None)


def test_a_judges_calls_count_from_the_first_request_of_the_slice_on() -> None:
    first = drawn("d")
    before, after = judged("j", usd=1.0, at=first.at - 60), judged("k", usd=0.25)
    shadow = replace(decision("s", arms=("a",), mode=Mode.SHADOW), objective="shadow")
    known = control(fold(*before, first, outcome("d"), *after, shadow, outcome("s", cost_usd=0.5)))
    assert (known.judge_usd, known.shadow_usd) == (0.25, 0.5)


def test_each_tenant_has_sums_of_its_own_and_all_of_them_survive_the_tally() -> None:
    learner = fold(drawn("d"), outcome("d"), drawn("e", tenant="acme"), outcome("e"), thumb("e", 1.0))
    tally = Tally.from_json(learner.tally.to_json())
    for tenant in ("default", "acme"):
        assert tally.control.of(tenant) == control(learner, tenant)
    assert control(learner).quality.contrast() is None
    assert control(learner, "acme").quality.sums[0] == 1


def test_a_tally_without_a_slice_is_written_as_before() -> None:
    assert b"#control" not in fold(decision("d"), outcome("d")).tally.to_json()


def test_the_best_constant_arm_is_that_which_would_have_earned_most_had_it_answered_everything() -> None:
    """Arm b is chosen for easy queries only, with small probability elsewhere: its plain mean flatters it."""
    own = TenantControl()
    for _ in range(40):
        own.constants["a"].add(1 / 0.5, 0.7, 1)
        own.constants["b"].add(1 / 0.9, 0.9, 1)  # easy: likely chosen
    assert own.best_constant(["a", "b"]) == "b"
    for _ in range(8):
        own.constants["b"].add(1 / 0.1, 0.2, 1)  # hard: unlikely
    assert own.best_constant(["a", "b"]) == "a"
    assert own.best_constant(["b"]) is None, "eight draws of weight ten are too few to go by"


def test_a_cascade_that_begins_with_the_baselines_arm_says_nothing_of_the_baseline() -> None:
    def cascaded(name: str, *, control: bool) -> Decision:
        flags = ControlDraw(0.1, 1.0, is_control=control).apart(0.5).flags
        return decision(name, mode=Mode.CASCADE, at=replace(context(), flags=flags))

    own = control(
        fold(
            *(cascaded("d", control=True), outcome("d", cost_usd=0.1), thumb("d", 0.0)),
            *(cascaded("e", control=False), outcome("e", cost_usd=1.1), thumb("e", 1.0)),
        )
    )
    cost, quality = own.cost.contrast(), own.quality.contrast()
    assert cost is not None
    assert quality is not None
    assert (cost.baseline, cost.policy) == pytest.approx((0.1, 1.1))
    assert (quality.baseline, quality.policy) == pytest.approx((0.0, 1.0))
    assert not own.constants  # its answers were kept where they looked good
