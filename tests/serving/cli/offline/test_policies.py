from itertools import pairwise

import pytest
from click.testing import CliRunner

from highwayman.bandit.loading import shipped_policies
from highwayman.serving.cli.main import main


def told(*words: str) -> str:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(main, ["policies", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_shipped_policy_is_listed_with_one_line() -> None:
    lines = told().splitlines()
    for name in shipped_policies():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert len(line.split()) > 4


def test_a_policy_that_is_named_says_what_it_takes_with_defaults() -> None:
    page = told("LinTS")
    assert "Agrawal & Goyal" in page
    assert "exploration = 0.75" in page
    assert "prior_precision = 2.0" in page
    assert "early_precision = 3000.0" in told("HierTS")
    assert "Options:\n  none" in told("Uniform")


def test_a_page_of_a_policy_is_broken_where_the_terminal_ends_and_nowhere_else() -> None:
    lines = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["policies", "HierTS"]).output.splitlines()
    assert max(map(len, lines)) <= 80
    (start,) = (place for place, line in enumerate(lines) if line.startswith("Hong, Kveton"))
    paragraph = [line.strip() for line in lines[start : lines.index("Options:") - 1]]
    assert all(len(f"{line} {after.split()[0]}") > 80 for line, after in pairwise(paragraph))
    (place,) = (place for place, line in enumerate(lines) if line.startswith("    patience: weight"))
    assert lines[place + 1].startswith("    ")


def test_a_policy_that_there_is_not_is_a_plain_error_with_the_nearest_one() -> None:
    done = CliRunner().invoke(main, ["policies", "LinTSS"])
    assert done.exit_code == 1
    assert "did you mean 'LinTS'?" in done.output
    assert "Traceback" not in done.output


def test_a_policy_whose_library_is_missing_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "highwayman.serving.cli.offline.policies.missing_policies",
        lambda: {"vowpal_wabbit": "No module named 'vowpal'"},
    )
    assert "vowpal_wabbit" in told()
    assert "No module named 'vowpal'" in told()
