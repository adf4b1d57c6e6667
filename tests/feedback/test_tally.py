import pytest

from highwayman.env.types import Mode, Status
from highwayman.feedback.tally import Tally
from tests.feedback.worlds import decision, outcome


def test_shares_count_routed_decisions_only() -> None:
    tally = Tally()
    for name, arm, mode in (("1", "a", Mode.ROUTE), ("2", "b", Mode.ROUTE), ("3", "b", Mode.FORCED)):
        tally.decided(decision(name, arm=arm, mode=mode))
    assert (tally.share("a"), tally.share("b")) == (0.5, 0.5)
    assert tally.arm("b").decisions == 2


def test_the_recent_share_follows_the_latest_decisions() -> None:
    tally = Tally()
    for k in range(300):
        tally.decided(decision(str(k), arm="a" if k < 200 else "b"))
    assert tally.share("a") == pytest.approx(2 / 3)
    assert tally.recent_share("a") < 0.15


def test_a_served_call_is_counted_where_it_was_served() -> None:
    tally = Tally()
    tally.ended(outcome("d", arm="b"))
    served = tally.arm("b")
    assert (served.calls, served.tokens_out, served.overhead_tokens, served.cost_usd) == (1, 7, 8.0, 0.002)


def test_a_failed_call_counts_as_a_failure_and_not_as_token_use() -> None:
    tally = Tally()
    tally.ended(outcome("d", status=Status.FAILED))
    assert (tally.arm("a").failures, tally.arm("a").calls, tally.arm("a").tokens_out) == (1, 0, 0)


def test_quality_of_one_thumb_up_is_wilsons_interval() -> None:
    tally = Tally()
    arm = tally.arm("a")
    arm.weight = arm.weighted = arm.squared = 1.0
    mean, low, high = arm.quality()
    assert (mean, low, high) == (1.0, pytest.approx(0.2065, abs=1e-4), pytest.approx(1.0))


def test_an_arm_without_feedback_has_no_quality() -> None:
    assert Tally().arm("a").quality() == (None, 0.0, 1.0)


def test_the_tally_round_trips() -> None:
    tally = Tally()
    tally.decided(decision("1"))
    tally.ended(outcome("1"))
    assert Tally.from_json(tally.to_json()).arms == tally.arms
