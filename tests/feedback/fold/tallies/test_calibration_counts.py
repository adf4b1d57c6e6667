from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.errors import SnapshotError
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Feedback
from highwayman.feedback.fold.learner import LogEntry
from highwayman.feedback.fold.tallies.calibration_counts import PAIRS, CalibrationCell, CalibrationCounts, CellCounts
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import decision, make_learner, thumb


def judged(name: str, value: float | None) -> Feedback:
    return Feedback(f"j-{name}-{value}", name, 1_700_000_002.0, "judge", "judge", value)


def overlap_of(*events: Event) -> dict[CalibrationCell, CellCounts]:
    """The overlap of a log of events about one decision."""
    learner, said = make_learner(), {}
    made = decision("d")
    for number, event in enumerate(events, start=1):
        if isinstance(event, Feedback):
            said[f"{number}-0"] = event
        record = Record(made, "1-0", feedback=dict(said))
        learner.step([LogEntry(f"{number}-0", event, record)])
    return dict(learner.tally.calibration_counts.cells())


def test_a_score_and_a_thumb_on_one_answer_meet_in_a_cell() -> None:
    cells = overlap_of(decision("d"), judged("d", 0.72), thumb("d", 1.0))
    assert cells == {CalibrationCell("default", "a", 0, "judge", 7): CellCounts(1.0, 0.72, ups=1.0)}


def test_thumbs_alone_fill_no_cell_but_two_on_one_answer_are_a_pair() -> None:
    one, other = thumb("d", 1.0, user="ann"), thumb("d", 0.0, user="bob")
    assert overlap_of(decision("d"), one) == {}
    assert overlap_of(decision("d"), one, other) == {CalibrationCell("default", "a", 0, PAIRS, 0): CellCounts(1.0, 1.0)}


@settings(max_examples=50)
@given(values=st.lists(st.tuples(st.booleans(), st.sampled_from([None, 0.0, 0.31, 0.5, 1.0])), max_size=8))
def test_the_cells_are_those_of_what_was_said_last(values: list[tuple[bool, float | None]]) -> None:
    last: dict[bool, Feedback] = {}
    events: list[Feedback] = []
    for number, (is_judge, value) in enumerate(values):
        said = judged("d", value) if is_judge else thumb("d", None if value is None else float(value > 0.4))
        last[is_judge] = replace(said, id=f"s{number}", at=said.at + number)
        events.append(last[is_judge])
    found, wanted = overlap_of(decision("d"), *events), overlap_of(decision("d"), *last.values())
    assert found.keys() == wanted.keys()
    for cell, counts in found.items():
        assert astuple(counts) == pytest.approx(astuple(wanted[cell]))


def test_what_was_written_is_read_again_and_damage_is_told() -> None:
    learner = make_learner()
    record = Record(decision("d"), "1-0", feedback={"2-0": judged("d", 0.5)})
    learner.step([LogEntry("1-0", decision("d"), None), LogEntry("2-0", judged("d", 0.5), record)])
    overlap = learner.tally.calibration_counts
    assert dict(CalibrationCounts.from_json(overlap.to_json()).cells()) == dict(overlap.cells())
    assert DEFAULT_SPEC.metrics["judge"].needs_calibration
    with pytest.raises(SnapshotError, match="the overlap is damaged"):
        CalibrationCounts.from_json([["default", "a"]])


@pytest.mark.parametrize(("score", "place"), [(0.0, 0), (0.09, 0), (0.1, 1), (0.89, 8), (0.9, 9), (1.0, 9)])
def test_a_score_lies_in_its_tenth_of_the_range_and_the_best_one_in_the_last(score: float, place: int) -> None:
    (cell,) = overlap_of(decision("d"), judged("d", score))
    assert cell.bin == place
