"""What thumbs say a statement is worth: by the arm that served, and by the kind of its query."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Feedback
from highwayman.feedback.calibration.calibrator import CalibrationSettings, Calibrator
from highwayman.feedback.fold.tallies.calibration_counts import CalibrationCounts
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.log.record import Record
from tests.feedback.intake.tenants import OURS, Clock, Records, decided, decision_ids, record_of
from tests.feedback.worlds import outcome

# Of a thousand answers of each arm that were asked for again, people with thumbs liked a quarter of a's, half of b's.
REGENERATED = [
    [OURS, "a", 0, "regenerated", 0, 1000.0, 0.0, 150.0, 450.0],
    [OURS, "b", 0, "regenerated", 0, 1000.0, 0.0, 300.0, 300.0],
]
IDS = decision_ids(Clock())


def calibrator(rows: list[list[Any]]) -> Calibrator:
    counts = CalibrationCounts.from_json(rows)
    made = Calibrator(DEFAULT_SPEC, lambda: counts, CalibrationSettings())
    made._found = made.compute()
    return made


async def no_records(decision_ids: Sequence[str]) -> dict[str, Record]:
    raise AssertionError("nothing needs to be looked up")


def regenerated(decision_id: str) -> Feedback:
    return Feedback(f"f-{decision_id}", decision_id, 0.0, "implicit", "regenerated", 1.0)


async def test_a_statement_is_corrected_by_the_arm_that_served_its_answer() -> None:
    liked, failed_over = decided(IDS, arm="b"), decided(IDS, arm="b")
    records = Records([record_of(liked), record_of(failed_over, outcome=outcome(failed_over.id, arm="a"))])
    calibration = StatementCalibration(calibrator(REGENERATED), records)
    metric = DEFAULT_SPEC.metric("regenerated")
    by_b, by_a = await calibration.apply([regenerated(liked.id), regenerated(failed_over.id)], metric, OURS)
    assert (by_b.decision_id, by_a.decision_id) == (liked.id, failed_over.id)
    assert by_a.quality is not None
    assert by_b.quality is not None
    assert by_a.quality < by_b.quality
    assert 0 < by_a.weight < 1


@pytest.mark.parametrize("said", [1.0, 0.5, 0.1])
async def test_what_a_statement_weighs_by_itself_is_multiplied_by_what_it_is_worth(said: float) -> None:
    made = decided(IDS, arm="b")
    calibration = StatementCalibration(calibrator(REGENERATED), Records([record_of(made)]))
    metric = DEFAULT_SPEC.metric("regenerated")
    (whole,) = await calibration.apply([regenerated(made.id)], metric, OURS)
    (part,) = await calibration.apply([replace(regenerated(made.id), weight=said)], metric, OURS)
    assert part.weight == pytest.approx(said * whole.weight)
    assert part.quality == whole.quality


async def test_a_statement_is_corrected_by_the_kind_of_its_query() -> None:
    rows = [[OURS, "a", kind, "regenerated", 0, 1000.0, 0.0, ups, 600.0 - ups] for kind, ups in ((0, 500.0), (1, 60.0))]
    nearest = ([0.9, 0.1, 1.0], [0.1, 0.9, 1.0])  # to the first of two kinds, and to the second
    decisions = [replace(decided(IDS), context=Context(np.array(features), "test/near-2-x", 1)) for features in nearest]
    calibration = StatementCalibration(calibrator(rows), Records([record_of(made) for made in decisions]))
    liked, disliked = await calibration.apply(
        [regenerated(made.id) for made in decisions], DEFAULT_SPEC.metric("regenerated"), OURS
    )
    assert liked.quality is not None
    assert disliked.quality is not None
    assert liked.quality > 0.65  # of all the arm's answers, less than half are liked
    assert disliked.quality < 0.3


async def test_a_judges_score_of_which_thumbs_say_nothing_has_a_quarter_of_its_weight() -> None:
    made = decided(IDS)
    calibration = StatementCalibration(calibrator([]), Records([record_of(made)]))
    score = Feedback("f", made.id, 0.0, "judge", "judge", 0.5, weight=0.5)
    (corrected,) = await calibration.apply([score], DEFAULT_SPEC.metric("judge"), OURS)
    assert (corrected.quality, corrected.weight) == (None, 0.125)


async def test_a_statement_on_a_decision_that_is_not_known_yet_is_corrected_as_nobodys() -> None:
    calibration = StatementCalibration(calibrator(REGENERATED), Records([]))
    statement = regenerated("later")
    assert await calibration.apply([statement], DEFAULT_SPEC.metric("regenerated"), OURS) == [statement]


@pytest.mark.parametrize(("metric", "value"), [("rating", 4.0), ("thumbs", 1.0), ("regenerated", None)])
async def test_what_needs_no_correction_is_looked_up_nowhere(metric: str, value: float | None) -> None:
    calibration = StatementCalibration(calibrator([]), no_records)
    statements = [Feedback("f", name, 0.0, "user", metric, value) for name in ("one", "other")]
    assert await calibration.apply(statements, DEFAULT_SPEC.metric(metric), OURS) == statements


async def test_thumbs_are_weighed_by_how_rarely_such_answers_get_one_and_keep_their_shares() -> None:
    rows = [[OURS, "a", 0, "judge", place, 500.0, 500.0 * (place + 0.5) / 5, ups, downs] for place, ups, downs in (
        (0, 1.0, 80.0), (1, 2.0, 60.0), (2, 8.0, 40.0), (3, 15.0, 20.0), (4, 20.0, 2.0))]  # fmt: skip
    known = calibrator(rows)
    thumbs = [Feedback("f", name, 0.0, "user", "thumbs", 1.0, weight=0.5) for name in ("one", "other")]
    weight = known.thumb_weight(thumbs[0], tenant=OURS)
    assert weight != 1.0
    weighed = await StatementCalibration(known, no_records).apply(thumbs, DEFAULT_SPEC.metric("thumbs"), OURS)
    assert [thumb.weight for thumb in weighed] == [0.5 * weight] * 2
    assert [thumb.quality for thumb in weighed] == [None, None]
