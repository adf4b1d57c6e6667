"""`highwayman savings`, what it prints."""

from highwayman.feedback.savings.report import MeanDifference
from highwayman.serving.cli.evidence.savings import _dollars


def test_what_rounding_leaves_of_nothing_saved_is_told_as_nothing() -> None:
    assert _dollars(MeanDifference(-2.54e-21, -1e-19, 3.86e-6)) == "$0 ($0 to $3.86e-06)"
