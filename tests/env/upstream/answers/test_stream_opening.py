import pytest

from highwayman.env.upstream.answers.endings import AttemptFailed, Ending
from highwayman.env.upstream.answers.lines import AnswerSizes
from highwayman.env.upstream.answers.stream_opening import StreamOpening

SIZES = AnswerSizes(line=200)
WORD = b'data: {"choices":[{"delta":{"content":"hi"}}]}'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
COMMENT = b":" + b"." * 126 + b"\n"  # 128 bytes
MEBIBYTE = 1 << 20


def fed(*chunks: bytes) -> StreamOpening:
    opening = StreamOpening(SIZES)
    for chunk in chunks:
        opening.feed(chunk)
    return opening


def failure(*chunks: bytes, ends: bool = False) -> str:
    with pytest.raises(AttemptFailed) as caught:
        fed(*chunks).finish() if ends else fed(*chunks)
    assert caught.value.account.ending is Ending.ARMS_FAULT
    return caught.value.account.why


def test_it_begins_with_the_first_word_and_keeps_every_byte_of_what_came_before_and_with_it() -> None:
    chunks = [b": ping\n\n", ROLE, WORD[:20], WORD[20:] + b"\n\ndata: [DO"]
    assert not fed(*chunks[:3]).begun
    opening = fed(*chunks)
    assert opening.begun
    assert opening.data == b"".join(chunks)


def test_what_comes_behind_the_first_word_in_one_chunk_is_not_its_judges_concern() -> None:
    assert fed(WORD + b"\n\ndata: not json\n\n").begun


def test_a_mebibyte_of_lines_that_say_nothing_is_borne_and_no_byte_more() -> None:
    opening = fed(COMMENT * (MEBIBYTE // len(COMMENT)))
    opening.feed(WORD + b"\n")
    assert opening.begun
    assert failure(COMMENT * (MEBIBYTE // len(COMMENT)), b"\n") == "sent much and said nothing"


def test_a_line_that_does_not_end_is_borne_up_to_its_size() -> None:
    assert not fed(b":" + b"." * 199).begun
    assert failure(b":" + b"." * 199, b".") == "sent a line of more than 200 bytes"


@pytest.mark.parametrize("rest", [b"", ROLE, b"data: [DONE]", b"data:", b": bye"])
def test_a_stream_that_ends_before_it_has_said_anything_has_failed(rest: bytes) -> None:
    assert failure(ROLE + rest, ends=True) == "ended without an answer"


def test_a_last_word_without_the_end_of_its_line_is_one() -> None:
    opening = fed(WORD)
    assert not opening.begun
    opening.finish()
    assert opening.begun


def test_done_before_a_word_and_what_is_no_json_have_failed_at_once() -> None:
    assert failure(ROLE, b"data:[DONE]\n") == "ended without an answer"
    assert failure(ROLE, b"data: {\n\n") == "answered with something that is not JSON"
