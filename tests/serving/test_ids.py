import secrets

from hypothesis import given
from hypothesis import strategies as st

from highwayman.serving.ids import DecisionIds
from highwayman.serving.wire import MAX_DECISION_ID

IDS = DecisionIds(b"secret", secrets.token_bytes)


def test_an_issued_id_is_genuine_and_two_differ() -> None:
    one, two = IDS.issue(), IDS.issue()
    assert one != two
    assert IDS.genuine(one)
    assert len(one) <= MAX_DECISION_ID


def test_an_id_of_another_namespace_is_not_genuine() -> None:
    assert not DecisionIds(b"other", secrets.token_bytes).genuine(IDS.issue())


@given(st.integers(3, 30), st.sampled_from("ABab01-_"))
def test_a_changed_character_makes_a_forgery(place: int, letter: str) -> None:
    issued = IDS.issue()
    place = min(place, len(issued) - 1)
    changed = issued[:place] + letter + issued[place + 1 :]
    assert IDS.genuine(changed) == (changed == issued)


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    assert not IDS.genuine(text)
    assert not IDS.genuine("hw-" + text)
