"""Placeholders go out, and whatever pieces an answer comes in, their values come back."""

from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.pattern_detector import PatternDetector
from highwayman.env.privacy.redaction import PiecewiseRestorer, Redaction, restored

VALUES = {"[EMAIL_1]": "ann@example.org", "[PHONE_2]": "+49 171 2345678", "[EMAIL_12]": "[EMAIL_1]"}
PIECES = st.lists(st.sampled_from([*VALUES, "[", "]", "[EMAIL", "_1", "1", "a", " ", "[X_1]", "\n"]), max_size=12)


@given(PIECES, st.data())
def test_wherever_an_answer_is_cut_it_is_restored_as_if_it_were_whole(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    restorer, told = PiecewiseRestorer(VALUES), []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        told.append(restorer.feed(text[begin:end]))
    assert "".join([*told, restorer.finish()]) == restored(text, VALUES)


def test_only_what_may_be_a_placeholder_waits() -> None:
    restorer = PiecewiseRestorer(VALUES)
    assert [restorer.feed(piece) for piece in ("see [", "1] and [EMA", "IL_1", "], ok")] == [
        "see ", "[1] and ", "", "ann@example.org, ok",
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["ann@example.org", "bob@example.org", "4111111111111111", "hello", "[EMAIL_1]"])))
def test_what_is_redacted_is_gone_and_comes_back(words: list[str]) -> None:
    text = " ".join(words)
    redaction = Redaction(text)
    hidden = redaction.redacted(text, PatternDetector().detect(text))
    assert not any(value in hidden for value in redaction.values.values())
    assert restored(hidden, redaction.values) == text
    assert len(redaction.values) == len({word for word in words if word[-1].isalnum() and word != "hello"})


def test_of_stretches_that_overlap_nothing_is_left() -> None:
    redaction = Redaction("abcdef")
    detections = [Detection("x", DataClass.SECRET, 1, 3), Detection("y", DataClass.SECRET, 2, 5)]
    assert redaction.redacted("abcdef", detections) == "a[X_1]f"
    assert redaction.values == {"[X_1]": "bcde"}
