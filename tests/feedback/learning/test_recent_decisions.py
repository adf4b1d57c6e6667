from highwayman.feedback.learning.recent_decisions import RecentDecisions
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import decision, outcome


def test_an_outcome_that_follows_its_decision_has_the_record_that_the_store_would_give() -> None:
    recent, made, ended = RecentDecisions(), decision("d"), outcome("d")
    recent.add("1-0", made)
    assert recent.record_of("2-0", ended) == Record(made, "1-0", ended, "2-0")


def test_what_was_not_read_before_is_not_known() -> None:
    recent = RecentDecisions()
    assert recent.record_of("2-0", outcome("d")) is None
    recent.add("5-0", decision("d"))  # and then the reader goes back
    assert recent.record_of("2-0", outcome("d")) is None


def test_the_oldest_are_let_go() -> None:
    recent = RecentDecisions(most=2)
    for number, name in enumerate("def", start=1):
        recent.add(f"{number}-0", decision(name))
    assert recent.record_of("9-0", outcome("d")) is None
    assert recent.record_of("9-1", outcome("e")) is not None
