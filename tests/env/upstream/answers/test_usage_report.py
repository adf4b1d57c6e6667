from typing import Any

import pytest

from highwayman.env.upstream.answers.usage_report import ReportedUsage, parse_reported_usage


@pytest.mark.parametrize(
    ("usage", "report"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, ReportedUsage(7, 3)),
        ({"completion_tokens": 3}, ReportedUsage(None, 3)),
        ({"prompt_tokens": 7, "completion_tokens": -1}, ReportedUsage(7, None)),
        ({"prompt_tokens": 2**70, "completion_tokens": 3}, ReportedUsage(None, 3)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 8}}, ReportedUsage(10, None, 8)),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 8}, ReportedUsage(10, None, 8)),
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
    ("total", "reasoning", "tokens_out"),
    [(310, 200, 300), (510, 200, 500), (310, 301, 601), (None, 200, 300), (310, 0, 300), (310, -5, 300)],
)
def test_reasoning_is_counted_once_whether_it_is_told_within_the_answer_or_beside_it(
    total: int | None, reasoning: int, tokens_out: int
) -> None:
    details = {"reasoning_tokens": reasoning}
    usage = {"prompt_tokens": 10, "completion_tokens": 300, "total_tokens": total, "completion_tokens_details": details}
    assert parse_reported_usage({"usage": usage}) == ReportedUsage(10, tokens_out)
