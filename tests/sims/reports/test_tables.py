import math
import re
from dataclasses import replace

from highwayman.sims.plots.look import Look
from highwayman.sims.reports.document import breakable
from highwayman.sims.reports.tables import ReportTable, arms_table, comparison_table, figures_table, manifest_table
from highwayman.sims.sweeps.results import Case, Results
from highwayman.sims.sweeps.standings import fixed_arm
from tests.sims.plots.synthetic import results
from tests.sims.reports.leads import made, only


def rows(table: ReportTable) -> list[list[str]]:
    """A table as text, row by row, its heads first; marks go by what they say."""
    cells = [[" ".join(filter(None, (cell.says, cell.text, cell.ends))) for cell in row.cells] for row in table.rows]
    return [list(table.heads), *([row.name, *texts] for row, texts in zip(table.rows, cells, strict=True))]


def look(case: Case) -> Look:
    return Look.of(case.results)


def compared(case: Case) -> ReportTable:
    return comparison_table(case, look(case))


def figures(case: Case) -> ReportTable:
    return figures_table(case, look(case))


def replaced(case: Case, **new: object) -> Case:
    return only(replace(case.results, runs=tuple(replace(run, **new) for run in case.runs)))


def test_each_difference_has_a_mark_a_mean_and_an_interval() -> None:
    found = rows(compared(only(made(p=(0.03, 0.031, 0.032), q=(-0.02, 0.01, 0.05)))))
    assert found == [
        ["policy", "best fixed"],
        ["p", "ahead +0.031 [+0.029, +0.033]"],
        ["q", "not clearly different +0.013 [−0.074, +0.101]"],
    ]


def test_the_first_row_is_the_best_fixed_arm_by_name_where_it_has_a_rival() -> None:
    (case,) = results(policies={"p": 0.3, "q": -0.3}, seeds=3, bins=2, full=False).cases()
    head, first, second, *_ = rows(compared(case))
    assert (first[0], second[0]) == (f"best fixed: {fixed_arm(case)}", "p")
    assert first[head.index("best fixed")] == "–"
    assert first[head.index("oracle")].startswith("behind −")


def test_differences_of_one_seed_have_neither_marks_nor_intervals() -> None:
    table = compared(only(made(p=(0.03,))))
    assert rows(table)[1] == ["p", "+0.030"]
    assert "one seed, so no intervals" in table.caption
    assert not re.search("95%|▲|▼|○", table.caption)
    assert not any(cell.mark or cell.ends or cell.tone for row in table.rows for cell in row.cells)


def test_a_baseline_that_shares_no_seed_has_a_dash() -> None:
    found = made(p=(0.03, 0.031, 0.032))
    apart = tuple(replace(run, seed=run.seed + 10 * (run.policy == "p")) for run in found.runs)
    assert rows(compared(only(Results(apart, arms=found.arms))))[1] == ["p", "–"]


def test_all_figures_stand_best_first_after_the_best_fixed_arm_and_say_who_is_no_policy() -> None:
    (case,) = results(policies={"p": 0.3, "q": -0.3}, seeds=3, bins=2, full=False).cases()
    table = figures(case)
    assert [row[0] for row in rows(table)][1:4] == [f"best fixed: {fixed_arm(case)}", "p", "oracle"]
    assert rows(table)[-1][0] == "q"
    assert [row.name for row in table.rows if not row.quiet] == ["p", "q"]
    assert sum(row.quiet for row in table.rows) == 8
    assert {row.name: row.color for row in table.rows if row.color} == look(case).policies


def test_figures_nobody_has_are_left_out_and_one_policy_s_alone_are_dashes_for_the_rest() -> None:
    case = only(made(p=(0.03, 0.031, 0.032)))
    assert rows(figures(case))[0] == ["name", "value [95% interval]", "quality", "cost of 1,000 requests",
                                                  "last 25%"]  # fmt: skip
    spent = tuple(replace(run, exploration_usd=0.5 if run.policy == "p" else math.nan) for run in case.runs)
    found = rows(figures(only(replace(case.results, runs=spent))))
    assert [row[-1] for row in found] == ["exploration, whole run", "–", "$0.500"]
    assert [row[0] for row in found] == ["name", "best fixed: general-32b", "p"]


def test_costs_are_of_1000_requests_and_budgets_in_multiples_of_the_ceiling() -> None:
    case = replaced(only(made(p=(0.03, 0.031, 0.032))), cost_usd=0.000456, budget_ratio=1.234)
    head, first, *_ = rows(figures(case))
    assert first[head.index("cost of 1,000 requests")] == "$0.456"
    assert first[head.index("worst 500 rounds over ceiling")] == "1.23 ×"


def test_a_value_of_one_seed_has_no_interval() -> None:
    found = {name: value for name, value, *_ in rows(figures(only(made(p=(0.03,)))))}
    assert found["p"] == "0.530"


def test_the_arms_have_what_they_are_worth_after_their_penalty() -> None:
    case = only(made(p=(0.03,)))
    table = arms_table(case, look(case))
    assert {row.name: row.color for row in table.rows} == look(case).arms["t"]
    assert rows(table)[-1] == ["frontier", "0.740", "$4.20", "0.150", "0.590"]


def test_the_manifest_is_flat_whole_and_text() -> None:
    table = manifest_table({"data": {"<b>": {"sha256": "ab"}}, "seeds": [0, 1], "without": {}, "note": '"&'})
    assert rows(table) == [
        ["name", "value"],
        ["data.<b>.sha256", "ab"],
        ["seeds", "[0, 1]"],
        ["without", "{}"],
        ["note", '"&'],
    ]


def test_what_the_figures_mean_is_said_of_each_that_is_there() -> None:
    case = only(made(p=(0.03, 0.031, 0.032)))
    assert set(figures(case).meanings) == {"value", "quality", "cost of 1,000 requests", "last 25%"}


def test_a_name_may_break_where_its_parts_end_and_a_number_may_not() -> None:
    assert breakable("LinTS:noise=0.3,prior=4,000+a/b") == "LinTS:<wbr>noise=0.3,<wbr>prior=4,000+<wbr>a/<wbr>b"
    assert breakable("<script>:x") == "&lt;script&gt;:x"
