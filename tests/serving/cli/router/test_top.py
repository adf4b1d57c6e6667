from rich.console import Console

from highwayman.serving.cli.router.top import arms_table


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


def shown(arms: dict[str, dict[str, object]]) -> str:
    console = Console(width=80, file=None)
    with console.capture() as captured:
        console.print(arms_table({"policy": "HierTS", "version": 1_234, "arms": arms}))
    return captured.get()


BUSY: dict[str, object] = {
    "share": 1.0, "recent_share": 1.0, "decisions": 1_234_567, "failures": 12_345, "feedback": 234_567,
    "quality": 0.8333, "quality_low": 0.55, "quality_high": 0.95, "cost_usd": 98_765.4, "latency_s": 112.345,
    "chance_to_answer": 1.0, "resting": ["http://a:1", "http://a:2"], "replicas": [{}, {}, {}],
}  # fmt: skip


def test_eighty_columns_hold_a_busy_pool_and_no_number_is_cut_off() -> None:
    text = shown({"gemini-2.5-flash-lite-preview": BUSY, "gpt-5-mini@low-effort": {**BUSY, "resting": []}})
    assert max(map(len, text.splitlines())) <= 80, text
    assert "…" not in text
    for cell in ("1.2M", "12k (100%, 2 rest)", "235k", "0.83 (0.55-0.95)", "80.0", "112 s"):
        assert cell in text, text


def test_what_drains_rests_is_down_or_on_probation_is_told_below() -> None:
    text = shown({
        "old": {**BUSY, "state": "draining", "resting": []},
        "mid": {**BUSY, "state": "active", "unwell": None},
        "large": {**BUSY, "state": "active", "unwell": "all replicas rest after failures"},
        "new": {**BUSY, "state": "probation", "resting": []},
        "well": {**BUSY, "state": "active", "resting": []},
    })  # fmt: skip
    below = [line.strip() for line in text.splitlines()[-4:]]
    assert below == [
        "draining: old", "on probation: new", "down: large (all replicas rest after failures)", "resting: mid (2 of 3)",
    ]  # fmt: skip
    assert "draining" not in shown({"well": {**BUSY, "resting": []}})
