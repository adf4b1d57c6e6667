"""What the terminal and the page say of a comparison."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from highwayman.demo.report.comparison import Comparison, PairedDifference, Strategy

Rows = list[list[str]]


def verdict(found: Comparison) -> str:
    """Return in plain words whether the router beat the best fixed arm and random."""
    fixed, uniform = found.over_fixed, found.over_uniform
    rival = found.best_fixed.name
    if fixed.above_zero:
        first = f"Learned beats the best fixed arm ({rival}) by {_interval(fixed)}"
    elif fixed.high < 0:
        first = f"Learned is WORSE than the best fixed arm ({rival}): {_interval(fixed)}"
    else:
        first = f"No clear difference between learned and the best fixed arm ({rival}): {_interval(fixed)}"
    second = "beats random by" if uniform.above_zero else "does not clearly beat random:"
    return f"{first}, and it {second} {_interval(uniform)}."


def footnote(found: Comparison) -> str:
    """Return what the numbers mean."""
    return (
        f"Last third: {found.rounds} prompts, each answered by every arm. Reward = quality - the arm's "
        f"mean cost here at {found.points_per_usd:,.6g} points (.01) per dollar. Intervals: 95%, paired bootstrap over "
        "prompts. The best fixed arm and the best arm of each kind are known only in hindsight."
    )


def strategies(found: Comparison) -> tuple[list[str], Rows]:
    """Return the table of strategies: what each earned, how good it was, what it cost."""
    ordered = [found.learned, found.best_fixed, found.uniform, found.per_kind]
    others = [arm for arm in found.arms if f"always {arm.name}" != found.best_fixed.name]
    rows = [_strategy(one, one.name) for one in ordered] + [_strategy(one, f"always {one.name}") for one in others]
    return ["strategy", "reward", "quality", "$ per million requests"], rows


def kinds(found: Comparison, arms: Sequence[str]) -> tuple[list[str], Rows]:
    """Return the table of kinds: for each arm its share of the router's choices and its quality; * the best."""
    rows = [[kind, *(_share(found, kind, arm) for arm in arms)] for kind in found.shares]
    return ["kind", *arms], rows


def print_report(console: Console, found: Comparison, arms: Sequence[str]) -> None:
    """Print tables and verdict."""
    for title, (head, rows) in _tables(found, arms):
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for place, column in enumerate(head):
            table.add_column(column, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(footnote(found), style="dim", highlight=False)
    console.print(verdict(found), style="bold green" if found.over_fixed.above_zero else "bold red", highlight=False)


def _tables(found: Comparison, arms: Sequence[str]) -> Iterator[tuple[str, tuple[list[str], Rows]]]:
    yield "Last third", strategies(found)
    yield "\nLast third, by kind: share chosen (quality), * best for it", kinds(found, arms)


def _share(found: Comparison, kind: str, arm: str) -> str:
    mark = "*" if found.best_for[kind] == arm else ""
    quality = f"{found.qualities[kind][arm]:.2f}".removeprefix("0")  # five arms fit into 80 columns
    return f"{found.shares[kind][arm]:.0%} ({quality}){mark}"


def _strategy(one: Strategy, name: str) -> list[str]:
    return [name, f"{one.reward:.3f}", f"{one.quality:.3f}", f"{1e6 * one.cost_usd:.2f}"]


def _interval(difference: PairedDifference) -> str:
    return f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
