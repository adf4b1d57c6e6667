from rich.console import Console

from highwayman.serving.cli.top import arms_table


def test_the_table_shows_share_quality_cost_latency_and_feedback() -> None:
    arm = {
        "share": 0.75, "recent_share": 0.9, "decisions": 40, "failures": 33, "feedback": 12, "quality": 0.8333,
        "quality_low": 0.55, "quality_high": 0.95, "cost_usd": 0.0004, "latency_s": 0.42,
    }  # fmt: skip
    unseen = {**arm, "quality": None, "quality_low": 0.0, "quality_high": 1.0, "decisions": 0, "latency_s": None}
    console = Console(width=80, record=True, file=None)
    with console.capture() as captured:
        console.print(arms_table({"policy": "x.y:LinTS", "version": 7, "arms": {"terse": arm, "new": unseen}}))
    text = captured.get()
    assert "LinTS, version 7" in text
    for cell in ("75%", "90%", "40", "33", "12", "0.83 (0.55-0.95)", "0.0100", "0.42 s", "- (0.00-1.00)"):
        assert cell in text
    unfailed = {name: {**each, "failures": 0} for name, each in (("terse", arm), ("new", unseen))}
    with console.capture() as captured:
        console.print(arms_table({"policy": "LinTS", "version": 7, "arms": unfailed}))
    assert "failures" in text
    assert "failures" not in captured.get(), "where none has failed, the terminal's width is for the others"


def test_the_table_shows_how_likely_a_failing_arm_answers_and_how_many_of_its_endpoints_rest() -> None:
    arm = {
        "share": 0.5, "recent_share": 0.5, "decisions": 40, "failures": 33, "feedback": 12, "quality": 0.8333,
        "quality_low": 0.55, "quality_high": 0.95, "cost_usd": 0.0004, "latency_s": 0.42,
        "chance_to_answer": 0.124, "resting": ["http://a:1", "http://a:2"],
    }  # fmt: skip
    console = Console(width=80, record=True, file=None)
    with console.capture() as captured:
        console.print(arms_table({"policy": "LinTS", "version": 7, "arms": {"terse": arm}}))
    text = captured.get()
    assert "terse" in text
    assert "33 (12%, 2 rest)" in text
    assert "0.83 (0.55-0.95)" in text
    assert "0.42 s" in text
