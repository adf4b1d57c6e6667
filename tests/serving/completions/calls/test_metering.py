"""What an answer took: what its server counted, and what is estimated where it did not."""

from typing import Any

import pytest

from highwayman.env.types import Usage
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.usage_report import ReportedUsage
from highwayman.serving.completions.calls.metering import meter, text_tokens

WORDS = "Paris is the capital of France. " * 8


def text(content: str = WORDS, *, pieces: int = 1) -> AnswerText:
    """An answer that came in so many equal pieces."""
    made, size = AnswerText(), len(content) // pieces
    for number in range(pieces):
        made.add({"choices": [{"message": {"content": content[number * size : (number + 1) * size]}}]})
    return made


def test_what_a_server_counted_is_believed_whatever_was_estimated() -> None:
    metered = meter(ReportedUsage(20, 7, 16), text(), prompt_tokens=999)
    assert (metered.usage, metered.estimated) == (Usage(20, 7, 16), False)


@pytest.mark.parametrize("report", [None, ReportedUsage(), ReportedUsage(0, 0, 0), ReportedUsage(None, None, 16)])
def test_where_nothing_was_counted_both_sides_are_estimated_and_no_cache_is_assumed(
    report: ReportedUsage | None,
) -> None:
    metered = meter(report, text(), prompt_tokens=30)
    assert (metered.usage, metered.estimated) == (Usage(30, text_tokens(text()), 0), True)
    assert 20 < metered.usage.tokens_out < 120


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        (ReportedUsage(20, None, 4), (20, None, 4)),
        (ReportedUsage(20, 0, 4), (20, None, 4)),
        (ReportedUsage(None, 7), (30, 7, 0)),
    ],
)
def test_what_is_missing_of_a_report_is_estimated_and_the_rest_believed(report: ReportedUsage, usage: Any) -> None:
    tokens_in, tokens_out, cached = usage
    metered = meter(report, text(), prompt_tokens=30)
    assert metered.estimated
    assert metered.usage == Usage(tokens_in, text_tokens(text()) if tokens_out is None else tokens_out, cached)


def test_an_answer_without_words_has_no_tokens_if_its_server_says_so_and_without_a_report_none_either() -> None:
    silent = AnswerText()
    assert meter(ReportedUsage(20, 0), silent, prompt_tokens=30).estimated is False
    assert meter(ReportedUsage(20, 0), silent, prompt_tokens=30).usage == Usage(20, 0, 0)
    assert meter(None, silent, prompt_tokens=30).usage == Usage(30, 0, 0)


def test_every_sample_reads_the_prompt_and_writes_an_answer() -> None:
    each = text_tokens(text())
    assert meter(None, text(), prompt_tokens=30, samples=3).usage == Usage(90, 3 * each, 0)
    some = meter(ReportedUsage(60, 14, 8), text(), prompt_tokens=30, samples=3, uncounted=1)
    assert (some.usage, some.estimated) == (Usage(90, 14 + each, 8), True)


def test_a_stream_has_a_token_at_least_for_each_piece() -> None:
    assert text_tokens(AnswerText()) == 0
    assert text_tokens(text("a" * 60, pieces=60)) == 60
    assert text_tokens(text("a" * 60)) < 60
