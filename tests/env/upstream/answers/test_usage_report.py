from typing import Any

import pytest

from highwayman.env.upstream.answers.usage_report import ReportedUsage, joined, parse_reported_usage


@pytest.mark.parametrize(
    ("usage", "report"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, ReportedUsage(7, 3)),
        ({"completion_tokens": 3}, ReportedUsage(None, 3)),
        ({"prompt_tokens": 7, "completion_tokens": -1}, ReportedUsage(7, None)),
        ({"prompt_tokens": 2**70, "completion_tokens": 3}, ReportedUsage(None, 3)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}, ReportedUsage(10, None, 8)),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 8}, ReportedUsage(10, None, 8)),
        ({"prompt_tokens": 10, "cached_tokens": 8}, ReportedUsage(10, None, 8)),
        ({"prompt_tokens": 10, "cache_read_input_tokens": 8}, ReportedUsage(10, None, 8)),
        (
            {"input_tokens": 10, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 8}},
            ReportedUsage(10, 3, 8),
        ),
        ({"input_tokens": 2, "output_tokens": 3, "cache_read_input_tokens": 8}, ReportedUsage(10, 3, 8)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "input_tokens": 0, "output_tokens": 0}, ReportedUsage(7, 3)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}, ReportedUsage(10, None, 0)),
        ({"prompt_tokens": 10, "prompt_tokens_details": [8]}, ReportedUsage(10, None, 0)),
        ({"prompt_tokens": True, "completion_tokens": "3"}, None),
        ({"prompt_tokens": 1.0, "completion_tokens": float("nan")}, None),
        (None, None),
        ("7", None),
    ],
    ids=str,
)
def test_each_number_is_believed_alone_and_only_if_it_can_be(usage: Any, report: ReportedUsage | None) -> None:
    assert parse_reported_usage({"usage": usage}) == report


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 7, "completion_tokens": 3}}]},
        {"choices": [], "usage": None, "x_groq": {"id": "r", "usage": {"prompt_tokens": 7, "completion_tokens": 3}}},
    ],
)
def test_usage_is_read_where_servers_tell_it_in_a_place_of_their_own(chunk: Any) -> None:
    assert parse_reported_usage(chunk) == ReportedUsage(7, 3)


def test_of_several_reports_each_number_is_what_was_said_last_but_that_there_was_nothing() -> None:
    asked, wrote = ReportedUsage(1000, 1, 800), ReportedUsage(None, 50)
    assert joined(None, asked) == asked
    assert joined(asked, wrote) == joined(joined(asked, wrote), ReportedUsage(0, 0)) == ReportedUsage(1000, 50, 800)
    assert joined(asked, ReportedUsage(1200, 60)) == ReportedUsage(1200, 60, 800)


@pytest.mark.parametrize(
    ("total", "reasoning", "tokens_out"),
    [(310, 200, 300), (510, 200, 500), (310, 301, 601), (None, 200, 300), (310, 0, 300), (310, -5, 300)],
)
def test_reasoning_is_counted_once_whether_it_is_told_within_the_answer_or_beside_it(
    total: int | None, reasoning: int, tokens_out: int
) -> None:
    details = {"reasoning_tokens": reasoning}
    usage = {"prompt_tokens": 10, "completion_tokens": 300, "total_tokens": total, "completion_tokens_details": details}
    assert parse_reported_usage({"usage": usage}) == ReportedUsage(10, tokens_out)


@pytest.mark.parametrize(
    ("usage", "tokens_out"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}, 603),  # Gemini's
        ({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 218}, 198),
        ({"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 100}, 198),
        ({"completion_tokens": 198, "total_tokens": 218}, 198),  # the rest is what was read
        ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 825, "cache_read_input_tokens": 800}, 5),
    ],
)
def test_thoughts_that_only_the_total_tells_of_are_counted(usage: Any, tokens_out: int) -> None:
    report = parse_reported_usage({"usage": usage})
    assert report is not None
    assert report.tokens_out == tokens_out
