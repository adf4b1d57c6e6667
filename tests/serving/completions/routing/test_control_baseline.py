from dataclasses import replace

from highwayman.env.types import ArmState
from highwayman.feedback.fold.tally import Tally
from highwayman.serving.completions.routing.control_baseline import ControlBaseline
from tests.serving.running_router import arm

ARMS = (arm("ada"), arm("bob"), replace(arm("cy"), state=ArmState.PROBATION))


def rated(**utilities: float) -> Tally:
    """A tally by which each arm would have earned so much, had it answered everything."""
    tally = Tally()
    for name, utility in utilities.items():
        for _ in range(30):
            tally.control._own("default").constants[name].add(2.0, utility, 1)
    return tally


def test_there_is_no_slice_before_a_best_constant_arm_is_known() -> None:
    assert ControlBaseline(0.01, None, ARMS).slice_for("default", Tally()) is None


def test_the_best_constant_arm_is_told_anew_by_every_tally_and_is_none_that_is_on_probation() -> None:
    baseline = ControlBaseline(0.01, None, ARMS)
    for tally, best in ((rated(ada=0.5, bob=0.6, cy=0.9), "bob"), (rated(ada=0.7, bob=0.6), "ada")):
        control = baseline.slice_for("default", tally)
        assert control is not None
        assert dict(control.baseline) == {best: 1.0}
        assert baseline.slice_for("default", tally) is control
        assert baseline.slice_for("other", tally) is None


def test_a_given_baseline_takes_part_from_the_first_request_on() -> None:
    control = ControlBaseline(0.05, {"cy": 1.0}, ARMS).slice_for("default", Tally())
    assert control is not None
    assert (control.share, dict(control.baseline)) == (0.05, {"cy": 1.0})
