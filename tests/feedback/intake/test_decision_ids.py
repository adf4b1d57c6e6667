import secrets

from hypothesis import given
from hypothesis import strategies as st

from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.serving.feedback.body import MAX_ID

IDS = DecisionIds([b"secret"], secrets.token_bytes, lambda: 1_700_000_000.75)


def test_an_issued_id_is_genuine_and_two_differ() -> None:
    one, two = IDS.issue(), IDS.issue()
    assert one != two
    assert IDS.issued_at(one) == 1_700_000_000.0
    assert len(one) <= MAX_ID


def test_an_id_of_another_namespace_is_not_genuine() -> None:
    assert DecisionIds([b"other"], secrets.token_bytes, lambda: 0.0).issued_at(IDS.issue()) is None


def test_an_id_of_a_second_secret_is_genuine_where_both_are_known() -> None:
    both = DecisionIds([b"other", b"secret"], secrets.token_bytes, lambda: 5.0)
    assert both.issued_at(IDS.issue()) == 1_700_000_000.0
    assert DecisionIds([b"other"], secrets.token_bytes, lambda: 5.0).issued_at(both.issue()) == 5.0


def test_a_pseudonym_is_the_same_for_a_person_and_says_nothing_without_the_secret() -> None:
    other = DecisionIds([b"other"], secrets.token_bytes, lambda: 0.0)
    assert IDS.pseudonym("ann") == IDS.pseudonym("ann") != IDS.pseudonym("bob")
    assert IDS.pseudonym("ann") != other.pseudonym("ann")
    assert IDS.pseudonym("") == IDS.pseudonym(None) == ""


@given(st.integers(3, 30), st.sampled_from("ABab01-_"))
def test_a_changed_character_makes_a_forgery(place: int, letter: str) -> None:
    issued = IDS.issue()
    place = min(place, len(issued) - 1)
    changed = issued[:place] + letter + issued[place + 1 :]
    assert (IDS.issued_at(changed) is not None) == (changed == issued)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    assert IDS.issued_at(text) is None
    assert IDS.issued_at("hw-" + text) is None
