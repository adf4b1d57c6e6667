import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.errors import ConfigError
from highwayman.sims.plots.palette import DASHES, POLICY_COLORS
from highwayman.sims.plots.style import Look, columns, house_style, log_steps, short, steps, usd


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 8))
def test_ticks_are_round_few_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    found = steps(low, high, most=most)
    slack = 1e-6 * (abs(low) + span)
    assert len(found) <= most + 1
    assert all(low - slack <= one <= high + slack for one in found)


def test_ticks_are_those_a_person_would_choose() -> None:
    assert steps(0.0, 4000.0, most=5) == [0, 1000, 2000, 3000, 4000]
    assert steps(-0.11, 0.05, most=4) == pytest.approx([-0.1, -0.05, 0.0, 0.05])
    assert log_steps(0.03, 5.0) == pytest.approx([0.03, 0.1, 0.3, 1.0, 3.0])
    assert log_steps(1e-3, 1e3) == pytest.approx([10.0**power for power in range(-3, 4)])


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.234, "$1.23"), (0.000456, "$0.000456"), (1234.5, "$1,234.50"), (0.0, "$0"), (math.nan, "unknown")],
)
def test_dollars_have_three_significant_digits(value: float, said: str) -> None:
    assert usd(value) == said


@given(st.text(), st.integers(4, 30))
def test_a_name_is_cut_to_one_printable_line(name: str, longest: int) -> None:
    assert len(short(name, longest)) <= longest
    assert all(letter.isprintable() for letter in short(name, longest))


def test_a_cut_name_keeps_its_end() -> None:
    assert short("lin_ts with floor 0.02 and prior 5") == "lin_ts with floo…prior 5"
    assert short("ridge") == "ridge"


def test_a_name_loses_its_module_before_its_middle_and_only_where_there_is_no_room() -> None:
    assert short("highwayman.bandit.policies.lin_ucb:LinUCB:alpha=0.1") == "LinUCB:alpha=0.1"
    assert short("my.bandits:Mine") == "my.bandits:Mine"
    assert short("openai/gpt-4.1:a-very-long-version") == "openai/gpt-4.1:a…version"


def test_small_plots_leave_few_places_empty() -> None:
    assert [columns(panels) for panels in range(1, 13)] == [1, 2, 3, 4, 3, 3, 4, 4, 3, 4, 4, 4]


def test_policies_look_different_from_each_other() -> None:
    look = Look(tuple(f"p{number}" for number in range(len(POLICY_COLORS) * len(DASHES))))
    assert len({(look.color(name), str(look.dash(name))) for name in look.names}) == len(look.names)


def test_without_matplotlib_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"pip install 'highwayman\[sims\]'"), house_style():
        pass
