import numpy as np

from benchmarks.calibration import FLIP, world
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.judge.report import MORE_FLIPS, JudgeCalls, judge_report


def test_a_report_says_how_far_its_means_move_if_thumbs_are_flipped_more_often_than_taken() -> None:
    cells = world(np.random.default_rng(0), arms=3, answers=8000, gap=0.2).cells
    taken, more = (judge_report(cells, JudgeCalls(), flip=flip) for flip in (FLIP, FLIP + MORE_FLIPS))
    moved = [abs(one.quality - other.quality) for one, other in zip(taken.arms, more.arms, strict=True)
             if one.quality is not None and other.quality is not None]  # fmt: skip
    assert taken.flip_sensitivity == max(moved)
    assert 0.01 < max(moved) < 0.2


def test_without_a_thumb_nothing_is_said_of_flips() -> None:
    cells = CountTable.from_answers(["a"], [(0, 0.5, None)] * 20)
    assert judge_report(cells, JudgeCalls(), flip=FLIP).flip_sensitivity is None
